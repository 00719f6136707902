"""The cost of a training epoch: `python -m alterrec.bench.epoch_cost '{"workload": "id", ...}'` prints it as JSON.

It runs the training steps of alterrec/engine/ on a synthetic or a prepared dataset, for a part of an epoch on a CPU.
A workload is a network, or a pair of networks, with what an epoch learns from.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from alterrec.bench.machine import clock, device_name, peak_bytes, prepare_torch
from alterrec.bench.synthetic import load_dataset, load_vectors, shape
from alterrec.data.dataset import Dataset
from alterrec.engine.batching import Draw, TrainingBatches
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import autocast_for, make_optimiser
from alterrec.engine.training_loop import Steps
from alterrec.engine.windows import Windows
from alterrec.method.alternation import Alternating
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused, Joint, Single
from alterrec.method.networks import id_network, text_network
from alterrec.ranking.rank import rank
from alterrec.study.settings import AlterRecConfig, NeuralConfig

GPU_EPOCHS = 3  # of the same batches: the last one is timed, the earlier ones capture a step of each shape
RANKED_BATCHES = 40  # about as many are ranked, and the time for all is extrapolated from them
# FlopCounterMode counts matrix products, but does not know the in-place one.
IN_PLACE_FLOPS = {torch.ops.aten.addmm_: lambda own, a, b, out_shape=None, **_: 2 * a[0] * a[1] * b[1]}


class TimedBatches(TrainingBatches):
    """Training batches that end an epoch after `max_steps` steps, or after about `max_seconds`, and then time these again.

    Kernels are compiled and memory is allocated the first time that a batch of another shape comes. `seconds`, `steps`
    and `timed_instances` are those of the last epoch's batches the second time.
    """

    def __init__(self, windows: Windows, config: NeuralConfig, max_steps: int, max_seconds: float):
        super().__init__(windows, config)
        self.max_steps, self.max_seconds, self.device = max_steps, max_seconds, windows.flat.device

    def one_by_one(self, drawn, padded=False):
        """The epoch's batches until a limit is reached, then the same again."""
        self.steps = self.timed_instances = 0
        started = clock(self.device)
        for batch in super().one_by_one(drawn, padded):
            yield batch
            self.steps += 1
            if self.steps == self.max_steps or clock(self.device) - started > self.max_seconds:
                break
        started = clock(self.device)
        for batch in islice(super().one_by_one(drawn, padded), self.steps):
            yield batch
            self.timed_instances += len(batch)
        self.seconds = clock(self.device) - started


class TimedWindows(Windows):
    """Training windows that measure the ranking of all training instances, if there is one.

    `ranking_seconds` is extrapolated from about RANKED_BATCHES of the batches. It is 0 until instances were ranked.
    """

    ranking_seconds = 0.0

    def in_order(self, instances):
        """About RANKED_BATCHES of the batches, evenly spaced."""
        batches = list(super().in_order(instances))
        chosen = batches[:: max(1, len(batches) // RANKED_BATCHES)]
        started = clock(self.flat.device)
        yield from chosen
        self.ranking_seconds = (clock(self.flat.device) - started) * len(batches) / len(chosen)


def measure(
    workload: str,
    items: int,
    sessions: int,
    dimension: int,
    batch_size: int,
    threads: int,
    steps: int,
    seconds: float,
    precision: str = "tf32",
    length: int | None = None,
    max_length: int = 50,
    ranks: int = 0,
    data: str | None = None,
) -> dict:
    """Seconds, bytes and floating-point operations of the workload's training.

    "id" and "text" are networks under full softmax. "random", "hard" and "augmented" are AlterRec in these modes; their
    cost is the mean of an ID and a text epoch. "sum" and "score" are fusions. `ranks` targets are ranked as well.
    """
    where = prepare_torch(threads, precision)
    start_bytes = peak_bytes()
    dataset = load_dataset(data, items, sessions, length)
    config = AlterRecConfig(
        dimension=dimension,
        batch_size=batch_size,
        max_length=max_length,
        augment=workload == "augmented",
        augmented_epoch="all_instances",
        precision=precision,
    )
    learner, epochs = load_learner(workload, dataset.catalogue_size, data, config, where)
    windows = TimedWindows(dataset, ("train",), max_length, where)
    batches = TimedBatches(windows, config, steps, seconds)
    costs = [measure_epoch(learner, epoch, batches, config) for epoch in epochs]
    result = {key: float(np.mean([cost[key] for cost in costs])) for key in costs[0]}
    result["epochs"] = {
        epoch.network: cost["seconds_per_epoch"] for epoch, cost in zip(epochs, costs, strict=True)
    }
    if ranks:
        started = clock(where)
        ranked = rank(learner, last_targets(dataset, ranks), max_length, where)[0]
        result |= {"ranks": len(ranked), "seconds_per_rank": (clock(where) - started) / len(ranked)}
    if where.type == "cuda":
        memory = {"peak_bytes": torch.cuda.max_memory_allocated(where), "start_bytes": 0}
    else:
        memory = {"peak_bytes": peak_bytes(), "start_bytes": start_bytes}
    return result | shape(dataset) | memory | {"device": device_name(where)}


def load_learner(
    workload: str, items: int, data: str | None, config: AlterRecConfig, where: torch.device
) -> tuple[Learner, list[Epoch]]:
    """The workload's learner on the device, with the text vectors of `data` if it needs any, and its epochs."""
    text = () if workload == "id" else load_vectors(data, items)
    tensors = tuple(torch.from_numpy(array).to(where) for array in text)
    learner, epochs = build_learner(workload, items, tensors, config)
    learner.module.to(where)
    return learner, epochs


def build_learner(
    workload: str, items: int, text: tuple, config: AlterRecConfig
) -> tuple[Learner, list[Epoch]]:
    """The learner, and one epoch of each network that it trains in turns."""
    if workload == "id":
        return Single(id_network(items, config), "id"), [Epoch("id", 1)]
    if workload == "text":
        return Single(text_network(*text, config), "text"), [Epoch("text", 1)]
    if workload == "sum":
        return Fused(FusionNetwork(items, *text, "sum", config)), [Epoch("joint", 1)]
    networks = id_network(items, config), text_network(*text, config)
    if workload == "score":
        return Joint(*networks), [Epoch("joint", 1)]
    epochs = [Epoch(network, 1, mode=workload) for network in ("id", "text")]
    return Alternating(*networks, items, config), epochs


def measure_epoch(
    learner: Learner, epoch: Epoch, batches: TimedBatches, config: AlterRecConfig
) -> dict[str, float]:
    """Seconds per epoch and per instance, how much of the epoch was timed, and operations per instance."""
    learner.module.eval()
    learner.start(epoch, batches.windows)
    network = learner.networks[epoch.network].train()
    optimisers = {epoch.network: make_optimiser(network, config)}
    views, padded = learner.views(epoch), learner.pads_views(epoch)
    drawn, autocast = fixed_draw(batches, views), autocast_for(config, batches.device)
    first = next(batches.one_by_one(drawn, padded))
    operations = count_operations(lambda: learner.loss(first, epoch), autocast) / len(first)
    instances = batches.windows.instances * views
    if batches.packs(padded) and batches.max_steps >= len(drawn):
        steps = GraphedSteps(learner, optimisers, autocast)
        for _ in range(GPU_EPOCHS):
            started = clock(batches.device)
            steps.run(epoch, batches, fixed_draw(batches, views), padded)
            batches.seconds = clock(batches.device) - started
        batches.steps, batches.timed_instances = len(drawn), instances
    else:
        Steps(learner, optimisers, autocast).run(epoch, batches, drawn, padded)
    seconds_per_instance = batches.seconds / batches.timed_instances
    return {
        "seconds_per_instance": seconds_per_instance,
        "seconds_per_epoch": batches.windows.ranking_seconds + seconds_per_instance * instances,
        "ranking_seconds": batches.windows.ranking_seconds,
        "epoch_instances": instances,
        "timed_steps": batches.steps,
        "timed_instances": batches.timed_instances,
        "operations_per_instance": operations,
    }


def fixed_draw(batches: TimedBatches, views: int) -> Draw:
    """The same batches in every epoch, so that no shape comes for the first time in the timed one."""
    return batches.draw(np.random.default_rng(0), views)


def count_operations(loss: Callable[[], torch.Tensor], autocast: torch.autocast) -> int:
    """Floating-point operations of the matrix products of a training step."""
    with FlopCounterMode(display=False, custom_mapping=IN_PLACE_FLOPS) as counter:
        with autocast:
            value = loss()
        value.backward()
    return counter.get_total_flops()


def last_targets(dataset: Dataset, ranks: int) -> Dataset:
    """The dataset with `ranks` targets to rank: the last items of ranks / 2 validation and ranks / 2 test sessions."""
    split = dataset.split.copy()
    for name in ("validation", "test"):
        split[dataset.sessions_of(name)[ranks // 2 :]] = "not ranked"
    return replace(dataset, split=split, targets=np.minimum(dataset.targets, 1))


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
