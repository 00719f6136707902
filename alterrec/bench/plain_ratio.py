"""Training steps of alterrec timed beside those of a plain program: `python -m alterrec.bench.plain_ratio '{...}'`.

alterrec computes little padding and, with `batches: sessions`, reads several prefixes of a session in one pass. The plain
program (tests/reference/prefix_expanding.py) expands every prefix to a padded row. Both train on the same instances from
the same parameters.
"""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from alterrec.bench.epoch_cost import count_operations, load_learner
from alterrec.bench.machine import clock, device_name, multiplies_bfloat16, prepare_torch
from alterrec.bench.synthetic import load_dataset, shape
from alterrec.engine.batching import TrainingBatches
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import autocast_for, make_optimiser
from alterrec.engine.training_loop import Steps
from alterrec.engine.windows import Batch, Windows
from alterrec.method.learners import Single
from alterrec.study.settings import AlterRecConfig
from tests.reference import prefix_expanding as plain


class PlainProgram:
    """The plain program's loss of AlterRec's ID network, with the same parameters and settings."""

    def __init__(self, learner: Learner, windows: Windows, offsets: torch.Tensor, config: AlterRecConfig):
        self.networks, self.windows, self.offsets, self.config = learner.networks, windows, offsets, config

    def loss(self, batch: Batch, mode: str, padded: bool) -> torch.Tensor:
        config = self.config
        rows = plain.expand(self.windows.flat, self.offsets, batch.instance, config.max_length, padded)
        scores = self.scores("id", rows, config.dropout)
        if mode == "full":
            return F.cross_entropy(scores, batch.target)
        if mode == "random":
            negatives = plain.random_negatives(*scores.shape, config.k2 - config.k1, scores.device)
        else:
            with torch.no_grad():
                negatives = plain.hard_negatives(self.scores("text", rows, 0.0), config.k1, config.k2)
        return plain.sampled_loss(scores, batch.target, negatives)

    def scores(self, name: str, rows: tuple[torch.Tensor, torch.Tensor], dropout: float) -> torch.Tensor:
        """[I, N] scores of the network `name`."""
        network = self.networks[name]
        text = network.vectors.text[network.column_of_item] if name == "text" else None
        parameters = dict(network.named_parameters())
        return plain.scores(*rows, parameters, text, self.config.heads, network.temperature, dropout)


def measure(
    mode: str,
    batches: str,
    items: int,
    sessions: int,
    dimension: int,
    batch_size: int,
    threads: int,
    steps: int,
    k1: int,
    k2: int,
    data: str | None = None,
) -> dict:
    """Seconds and floating-point operations per instance of both programs over the same `steps` batches.

    The ID network trains in the mode "full", "random" or "hard", on `batches` of "prefixes" or "sessions". The plain
    program runs padded to 50 and unpadded, in float32 (tf32 on a GPU). alterrec runs in the same precision, and with
    bfloat16 products where the device has instructions for them.
    """
    where = prepare_torch(threads, "tf32")
    dataset = load_dataset(data, items, sessions)
    items = dataset.catalogue_size
    config = AlterRecConfig(
        dimension=dimension, batch_size=batch_size, batches=batches, k1=k1, k2=min(k2, items // 2)
    )
    alternating, _ = load_learner("hard", items, data, config, where)
    alternating.module.eval()
    network = alternating.networks["id"].train()
    learner = Single(network, "id") if mode == "full" else alternating
    windows = Windows(dataset, ("train",), config.max_length, where)
    plain_program = PlainProgram(alternating, windows, torch.from_numpy(dataset.offsets).to(where), config)
    training = TrainingBatches(windows, config)
    drawn = training.draw(np.random.default_rng(0), limit=steps)
    batch_list = list(training.one_by_one(drawn))
    adam, epoch = make_optimiser(network, config), Epoch("id", 1, mode)

    def run_alterrec(precision: str) -> Callable[[], object]:
        autocast = autocast_for(config.model_copy(update={"precision": precision}), where)
        runner = (GraphedSteps if training.packs(padded=False) else Steps)(learner, {"id": adam}, autocast)
        return lambda: runner.run(epoch, training, drawn, False)

    def run_plain(padded: bool) -> Callable[[], None]:
        return lambda: plain_steps(lambda batch: plain_program.loss(batch, mode, padded), batch_list, adam)

    seconds = {
        "alterrec": fastest_alterrec(run_alterrec("tf32"), where),
        "padded": fastest_plain(run_plain(True), where),
        "unpadded": fastest_plain(run_plain(False), where),
    }
    if multiplies_bfloat16(where):
        seconds["bfloat16"] = fastest_alterrec(run_alterrec("bfloat16"), where)
    operations = {
        "alterrec": total_operations(lambda batch: learner.loss(batch, epoch), batch_list),
        "padded": total_operations(lambda batch: plain_program.loss(batch, mode, True), batch_list),
    }
    instances = sum(map(len, batch_list))
    return (
        {name: value / instances for name, value in seconds.items()}
        | {f"{name}_operations": value / instances for name, value in operations.items()}
        | {"timed_steps": len(batch_list), "timed_instances": instances, "k1": config.k1, "k2": config.k2}
        | shape(dataset)
        | {"device": device_name(where)}
    )


def plain_steps(
    loss: Callable[[Batch], torch.Tensor], batches: list[Batch], adam: torch.optim.Optimizer
) -> None:
    """One training step on each batch, as PyTorch programs write it."""
    for batch in batches:
        adam.zero_grad(set_to_none=True)
        loss(batch).backward()
        adam.step()


def total_operations(loss: Callable[[Batch], torch.Tensor], batches: list[Batch]) -> int:
    """Floating-point operations of one step on each batch."""
    return sum(count_operations(partial(loss, batch), nullcontext()) for batch in batches)


def fastest_alterrec(program: Callable[[], object], where: torch.device) -> float:
    """Seconds of the faster of two runs, set up as in a study: deterministic on a CPU, with a captured step on a GPU."""
    torch.use_deterministic_algorithms(where.type == "cpu")
    for _ in range(2 if where.type == "cuda" else 0):  # these runs capture the step
        program()
    return faster_of_two(program, where)


def fastest_plain(program: Callable[[], object], where: torch.device) -> float:
    """Seconds of the faster of two runs, without deterministic algorithms."""
    torch.use_deterministic_algorithms(False)
    return faster_of_two(program, where)


def faster_of_two(program: Callable[[], object], where: torch.device) -> float:
    seconds = []
    for _ in range(2):
        started = clock(where)
        program()
        seconds.append(clock(where) - started)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
