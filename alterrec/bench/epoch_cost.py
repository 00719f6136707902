"""One point of the engine's cost, in a process of its own: `python -m alterrec.bench.epoch_cost '{"objective": "id", ...}'`.

It runs the epochs of alterrec.engine.training_loop, cut short, on a made-up dataset and prints what they cost as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from alterrec.bench.machine import peak_bytes
from alterrec.bench.synthetic import load, load_vectors, shape
from alterrec.data.dataset import Dataset
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.device import device, set_determinism, set_precision
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import autocast_for, make_optimiser
from alterrec.engine.training_loop import Steps
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.method.alternation import Alternating
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused, Joint, Single
from alterrec.method.networks import id_network, text_network
from alterrec.ranking.rank import rank
from alterrec.study.settings import AlterRecConfig

WARM_UP = 2  # steps that are not timed; the arithmetic of the first one is counted
EPOCHS = 4  # on a GPU; the last is timed, the ones before capture the steps of every shape
RANKED = 40  # about so many blocks of instances are ranked to time the ranking of all
# The library counts products of matrices; this one, in place, it does not know.
COUNTED = {torch.ops.aten.addmm_: lambda own, a, b, out_shape=None, **_: 2 * a[0] * a[1] * b[1]}


class Timed(Windows):
    """Windows whose epochs end after `steps` timed steps or `seconds`, and that remember what those took (on a CPU)."""

    def __init__(self, dataset: Dataset, max_length: int, where: torch.device, steps: int, seconds: float):
        super().__init__(dataset, ("train",), max_length, where)
        self.most_steps, self.most_seconds = steps, seconds
        self.ranking = 0.0

    def timed(self, pieces):
        """The pieces of an epoch up to the limits; `seconds`, `steps` and `seen` instances after the warm-up."""
        self.steps = self.seen = 0
        for step, (rows, view) in enumerate(pieces):
            if step == WARM_UP:
                started = clock(self.start.device)
            if self.steps == self.most_steps or (
                self.steps and time.perf_counter() - started > self.most_seconds
            ):
                break
            yield rows, view
            if step >= WARM_UP:
                self.steps += 1
                self.seen += int((self.table[rows, 1] - self.table[rows, 2]).sum())
        if not self.steps:
            raise UserError(f"the data have no more than {WARM_UP} batches")
        self.seconds = clock(self.start.device) - started

    def in_order(self, instances):
        """About RANKED of the batches, evenly spread; `ranking` is what all would take."""
        batches = list(super().in_order(instances))
        picked = batches[:: max(1, len(batches) // RANKED)]
        started = clock(self.start.device)
        yield from picked
        self.ranking = (clock(self.start.device) - started) * len(batches) / len(picked)


def clock(where: torch.device) -> float:
    """Seconds, when the device has done what it was given."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    return time.perf_counter()


def made(
    objective: str, items: int, data: str | None, config: AlterRecConfig, where: torch.device
) -> tuple[Learner, list[Epoch]]:
    """The objective's learner on the device, with the text vectors that it needs of `data`, and its epochs."""
    text = () if objective == "id" else load_vectors(data, items)
    learner, epochs = learner_of(
        objective, items, tuple(torch.from_numpy(each).to(where) for each in text), config
    )
    learner.module.to(where)
    return learner, epochs


def learner_of(
    objective: str, items: int, text: tuple, config: AlterRecConfig
) -> tuple[Learner, list[Epoch]]:
    """The learner, and one epoch of each network that it trains in turns."""
    if objective == "id":
        return Single(id_network(items, config), "id"), [Epoch("id", 1)]
    if objective == "text":
        return Single(text_network(*text, config), "text"), [Epoch("text", 1)]
    if objective == "sum":
        return Fused(FusionNetwork(items, *text, "sum", config)), [Epoch("joint", 1)]
    networks = id_network(items, config), text_network(*text, config)
    if objective == "score":
        return Joint(*networks), [Epoch("joint", 1)]
    return Alternating(*networks, items, config), [Epoch(name, 1, objective) for name in ("id", "text")]


def measure(
    objective: str,
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
    """What the objective's training costs: seconds, bytes and floating-point operations.

    "id" and "text" are networks under full softmax; "random", "hard", "augmented" AlterRec's objectives, each the mean
    of an epoch of its ID and of its text network; "sum" and "score" fusions. `ranks` targets are ranked as well.
    """
    where = prepare_torch(threads, precision)
    start = peak_bytes()
    dataset = load(data, items, sessions, length)
    config = AlterRecConfig(
        dimension=dimension,
        batch_size=batch_size,
        max_length=max_length,
        augment=objective == "augmented",
        augmented_epoch="all_instances",
        precision=precision,
    )
    learner, epochs = made(objective, dataset.catalogue_size, data, config, where)
    windows = Timed(dataset, max_length, where, steps, seconds)
    taken = [of_epoch(learner, epoch, windows, config) for epoch in epochs]
    found = {key: float(np.mean([each[key] for each in taken])) for key in taken[0]}
    found["epochs"] = {
        epoch.network: each["seconds_per_epoch"] for epoch, each in zip(epochs, taken, strict=True)
    }
    if ranks:
        started = clock(where)
        ranked = rank(learner, last_targets(dataset, ranks), max_length, where)[0]
        found |= {"ranks": len(ranked), "seconds_per_rank": (clock(where) - started) / len(ranked)}
    peak = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_bytes()
    before = 0 if where.type == "cuda" else start
    return found | shape(dataset) | {"peak_bytes": peak, "start_bytes": before, "device": device_name(where)}


def of_epoch(learner: Learner, epoch: Epoch, windows: Timed, config: AlterRecConfig) -> dict[str, float]:
    """Seconds of the epoch and per instance, of what share of it they were measured, and its arithmetic."""
    learner.module.eval()
    learner.start(epoch, windows)
    network = learner.networks[epoch.network].train()
    optimisers = {epoch.network: make_optimiser(network, config)}
    pieces = partial(windows.shuffled_rows, config.batch_size, np.random.default_rng(0), learner.views(epoch))
    within = autocast_for(config, windows.start.device)
    first = windows.batch(*(torch.from_numpy(part).to(windows.start.device) for part in next(pieces())))
    operations = arithmetic(lambda: learner.loss(first, epoch), within) / len(first)
    if windows.start.device.type == "cuda" and windows.most_steps >= windows.batches(config.batch_size):
        time_whole_epochs(GraphedSteps(learner, optimisers, within), epoch, windows, pieces, config)
        windows.seen = windows.instances * learner.views(epoch)
    else:
        steps = Steps(learner, optimisers, within)
        steps.run(epoch, windows, windows.timed(pieces()), config.batch_size, None)
    instances = windows.instances * learner.views(epoch)
    return {
        "seconds_per_instance": windows.seconds / windows.seen,
        "seconds_per_epoch": windows.ranking + windows.seconds / windows.seen * instances,
        "ranking_seconds": windows.ranking,
        "epoch_instances": instances,
        "timed_steps": windows.steps,
        "timed_instances": windows.seen,
        "operations_per_instance": operations,
    }


def arithmetic(loss: Callable[[], torch.Tensor], within: torch.autocast) -> int:
    """Floating-point operations of a training step."""
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        with within:
            value = loss()
        value.backward()
    return counter.get_total_flops()


def time_whole_epochs(steps: GraphedSteps, epoch: Epoch, windows: Timed, pieces, config) -> None:
    """The last of a few whole epochs is timed: the first ones capture the steps of each shape."""
    for _ in range(EPOCHS):
        started = clock(windows.start.device)
        _, windows.steps = steps.run(epoch, windows, pieces(), config.batch_size, None)
        windows.seconds = clock(windows.start.device) - started


def prepare_torch(threads: int, precision: str) -> torch.device:
    """As a training run sets torch; the device."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    set_determinism()
    set_precision(precision)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return device()


def device_name(where: torch.device) -> str:
    return torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"


def last_targets(dataset: Dataset, ranks: int) -> Dataset:
    """The dataset with `ranks` targets to rank: the last items of half as many validation and of test sessions."""
    split = dataset.split.copy()
    for name in ("validation", "test"):
        split[dataset.sessions_of(name)[ranks // 2 :]] = "not ranked"
    return replace(dataset, split=split, targets=np.minimum(dataset.targets, 1))


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
