"""What one causal pass per session saves: `python -m alterrec.bench.plain_ratio '{"objective": "full", ...}'`.

Training steps of alterrec and of the plain program that expands every prefix to a row (tests/reference/prefix_expanding.py),
on the same instances and the same parameters.
"""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from alterrec.bench.epoch_cost import arithmetic, clock, device_name, made, prepare_torch
from alterrec.bench.synthetic import load, shape
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import autocast_for, make_optimiser
from alterrec.engine.training_loop import Steps
from alterrec.engine.windows import Batch, Windows
from alterrec.method.learners import Single
from alterrec.study.settings import AlterRecConfig
from tests.reference import prefix_expanding as plain


class Plain:
    """The plain program's loss of AlterRec's ID network, with the same parameters and settings."""

    def __init__(self, learner: Learner, windows: Windows, offsets: torch.Tensor, config: AlterRecConfig):
        self.networks, self.windows, self.offsets, self.config = learner.networks, windows, offsets, config

    def loss(self, batch: Batch, objective: str, padded: bool) -> torch.Tensor:
        config = self.config
        rows = plain.expand(self.windows.flat, self.offsets, batch.instance, config.max_length, padded)
        scores = self.scores("id", rows, config.dropout)
        if objective == "full":
            return F.cross_entropy(scores, batch.target)
        if objective == "random":
            negatives = plain.random_negatives(*scores.shape, config.k2 - config.k1, scores.device)
        else:
            with torch.no_grad():
                negatives = plain.hard_negatives(self.scores("text", rows, 0.0), config.k1, config.k2)
        return plain.sampled_loss(scores, batch.target, negatives)

    def scores(self, name: str, rows: tuple[torch.Tensor, torch.Tensor], dropout: float) -> torch.Tensor:
        """[I, N] of the network `name`."""
        network = self.networks[name]
        text = network.vectors.text[network.column_of_item] if name == "text" else None
        parameters = dict(network.named_parameters())
        return plain.scores(*rows, parameters, text, self.config.heads, network.temperature, dropout)


def measure(
    objective: str,
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
    """Seconds per instance of both programs over the same `steps` batches, and the arithmetic of each.

    The plain program is padded to 50 and unpadded, in float32; the fast one is timed with the same numbers (tf32 on a GPU
    for all) and with bfloat16 products. The objective is "full", "random" or "hard", of the ID network.
    """
    where = prepare_torch(threads, "tf32")
    dataset = load(data, items, sessions)
    items = dataset.catalogue_size
    config = AlterRecConfig(dimension=dimension, batch_size=batch_size, k1=k1, k2=min(k2, items // 2))
    alternating, _ = made("hard", items, data, config, where)
    alternating.module.eval()
    network = alternating.networks["id"].train()
    fast = Single(network, "id") if objective == "full" else alternating
    windows = Windows(dataset, ("train",), config.max_length, where)
    slow = Plain(alternating, windows, torch.from_numpy(dataset.offsets).to(where), config)
    pieces = spread(windows, batch_size, steps)
    batches = [windows.batch(*(torch.from_numpy(part).to(where) for part in piece)) for piece in pieces]
    adam, epoch = make_optimiser(network, config), Epoch("id", 1, objective)

    def one_pass(precision: str) -> Callable[[], object]:
        within = autocast_for(config.model_copy(update={"precision": precision}), where)
        steps = (GraphedSteps if where.type == "cuda" else Steps)(fast, {"id": adam}, within)
        return lambda: steps.run(epoch, windows, pieces, batch_size, None)

    def prefix_expanding(padded: bool) -> Callable[[], None]:
        return lambda: plain_steps(lambda batch: slow.loss(batch, objective, padded), batches, adam)

    programs = {
        "one_pass": one_pass("tf32"),
        "bfloat16": one_pass("bfloat16"),
        "padded": prefix_expanding(True),
        "unpadded": prefix_expanding(False),
    }
    instances = sum(map(len, batches))
    seconds = {
        name: fastest(program, name in ("one_pass", "bfloat16"), where) for name, program in programs.items()
    }
    operations = {
        "one_pass": counted(lambda batch: fast.loss(batch, epoch), batches),
        "padded": counted(lambda batch: slow.loss(batch, objective, True), batches),
    }
    return (
        {name: taken / instances for name, taken in seconds.items()}
        | {f"{name}_operations": count / instances for name, count in operations.items()}
        | {"timed_steps": len(batches), "timed_instances": instances, "k1": config.k1, "k2": config.k2}
        | shape(dataset)
        | {"device": device_name(where)}
    )


def spread(windows: Windows, batch_size: int, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pieces of `steps` of the training's batches, each of sessions of about one length, evenly over the lengths."""
    pieces = list(windows.shuffled_rows(batch_size, np.random.default_rng(0)))
    pieces.sort(key=lambda piece: windows.table[piece[0], 1].max())
    return [pieces[int((step + 0.5) / steps * len(pieces))] for step in range(steps)]


def plain_steps(
    loss: Callable[[Batch], torch.Tensor], batches: list[Batch], adam: torch.optim.Optimizer
) -> None:
    for batch in batches:
        adam.zero_grad(set_to_none=True)
        loss(batch).backward()
        adam.step()


def counted(loss: Callable[[Batch], torch.Tensor], batches: list[Batch]) -> int:
    """Floating-point operations of a step on each batch."""
    return sum(arithmetic(partial(loss, batch), nullcontext()) for batch in batches)


def fastest(program: Callable[[], object], ours: bool, where: torch.device) -> float:
    """Seconds of the faster of two runs; ours as it is used, with deterministic operations only on a CPU.

    On a GPU the first runs of ours capture its steps.
    """
    torch.use_deterministic_algorithms(ours and where.type == "cpu")
    for _ in range(2 if ours and where.type == "cuda" else 0):
        program()
    seconds = []
    for _ in range(2):
        started = clock(where)
        program()
        seconds.append(clock(where) - started)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
