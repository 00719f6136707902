"""What one causal pass per session saves: `python -m alterrec.bench.ratio '{"objective": "full", ...}'`.

Training steps of alterrec and of the plain program that expands every prefix to a row (tests/reference/prefix_expanding.py),
in turns, on the same instances and the same parameters.
"""

import json
import sys

import numpy as np
import torch
from torch.nn import functional as F

from alterrec.batches import Batch, Windows
from alterrec.bench.made_up import load, shape
from alterrec.bench.training import clock, device_name, made, prepare_torch
from alterrec.config import AlterRecConfig
from alterrec.learners import Epoch, Learner, Single
from alterrec.training import optimiser
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
    """Seconds per instance of both programs over the same `steps` batches, the plain one padded to 50 and unpadded.

    The objective is "full", "random" or "hard", of the ID network.
    """
    where = prepare_torch(threads)
    dataset = load(data, items, sessions)
    items = dataset.catalogue_size
    config = AlterRecConfig(dimension=dimension, batch_size=batch_size, k1=k1, k2=min(k2, items // 2))
    alternating, _ = made("hard", items, data, config, where)
    alternating.module.eval()
    network = alternating.networks["id"].train()
    fast = Single(network, "id") if objective == "full" else alternating
    windows = Windows(dataset, ("train",), config.max_length, where)
    slow = Plain(alternating, windows, torch.from_numpy(dataset.offsets).to(where), config)
    losses = {
        "one_pass": lambda batch: fast.loss(batch, Epoch("id", 1, objective)),
        "padded": lambda batch: slow.loss(batch, objective, True),
        "unpadded": lambda batch: slow.loss(batch, objective, False),
    }
    batches = spread(windows, batch_size, steps)
    adam = optimiser(network, config)
    timed_step(losses, batches[0], adam)
    seconds = [timed_step(losses, batch, adam) for batch in batches]
    instances = sum(map(len, batches))
    found = {side: sum(taken[side] for taken in seconds) / instances for side in losses}
    counts = {"timed_steps": len(batches), "timed_instances": instances, "k1": config.k1, "k2": config.k2}
    return found | counts | shape(dataset) | {"device": device_name(where)}


def spread(windows: Windows, batch_size: int, steps: int) -> list[Batch]:
    """`steps` of the training's batches, each of sessions of about one length, spread evenly over the lengths."""
    batches = list(windows.shuffled(batch_size, np.random.default_rng(0)))
    batches.sort(key=lambda batch: batch.tokens.shape[1])
    return [batches[int((step + 0.5) / steps * len(batches))] for step in range(steps)]


def timed_step(losses: dict, batch: Batch, adam: torch.optim.Optimizer) -> dict[str, float]:
    """Seconds of a training step by each program; the fast one as it is used, with deterministic operations only."""
    seconds = {}
    for side, loss in losses.items():
        where = batch.target.device
        torch.use_deterministic_algorithms(side == "one_pass", warn_only=where.type == "cuda")
        started = clock(where)
        adam.zero_grad(set_to_none=True)
        loss(batch).backward()
        adam.step()
        seconds[side] = clock(where) - started
    return seconds


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
