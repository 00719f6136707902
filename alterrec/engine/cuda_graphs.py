"""Training steps on a GPU as CUDA graphs: a batch of a known shape is one copy and one replay, not hundreds of launches.

A step on a catalogue of thousands of items is bound by the launching of its kernels. Batches are padded to one of a few
shapes; a shape's first step runs as usual, its second is captured, and from then on replayed. Padding has no weight, so
losses and gradients are those of the batch alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import train_step
from alterrec.engine.windows import Batch, Windows


@dataclass(frozen=True)
class Shape:
    """Sizes that a batch is padded to: windows, positions, instances."""

    rows: int
    length: int
    instances: int

    @property
    def size(self) -> int:
        return self.rows * self.length + 4 * self.instances + 1

    def batch(self, flat: torch.Tensor) -> Batch:
        """The batch whose numbers `flat` [size] holds, as views of it."""
        ends = np.cumsum([self.rows * self.length, *[self.instances] * 4]).tolist()
        tokens, state, target, instance, view = (
            flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)
        )
        valid = torch.arange(self.instances, device=flat.device) < flat[-1]
        return Batch(tokens.view(self.rows, self.length), state, target, instance, view, valid)


def rounded(value: int, parts: int) -> int:
    """`value` or a little more, so that few values occur: `parts` of them between two powers of two."""
    step = max(1, 2 ** (value.bit_length() - 1) // parts)
    return -(-value // step) * step


def packed(windows: Windows, rows: np.ndarray, view: np.ndarray, instances: int) -> tuple[Shape, np.ndarray]:
    """The windows `rows` under their `view` as the numbers of one padded batch; see `Windows.batch`."""
    start, length, first = windows.table[rows].T
    count = int((length - first).sum())
    shape = Shape(
        rows=rounded(len(rows), 8),
        length=min(rounded(int(length.max()), 4), windows.max_length),
        instances=-(-max(count, instances) // 32) * 32,
    )
    position = np.arange(shape.length)
    index = start[:, None] + position
    inside = position < length[:, None]
    counted = inside & (position >= first[:, None])
    numbers = np.zeros(shape.size, np.int64)
    tokens = numbers[: shape.rows * shape.length].reshape(shape.rows, shape.length)
    tokens[: len(rows)][inside] = windows.items[index[inside]]
    row, place = np.nonzero(counted)
    columns = numbers[shape.rows * shape.length : -1].reshape(4, shape.instances)
    instance = index[row, place] + 1
    columns[:, :count] = row * shape.length + place, windows.items[instance], instance, view[row]
    numbers[-1] = count
    return shape, numbers


class GraphedSteps:
    """Runs epochs of a learner on a GPU, losses under `autocast`; `optimisers` are those of its networks, capturable."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], autocast: torch.autocast
    ):
        self.learner, self.optimisers, self.autocast = learner, optimisers, autocast
        self.graphs: dict[tuple, tuple[torch.Tensor, torch.cuda.CUDAGraph | None]] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.total = torch.zeros((), device="cuda")

    def run(self, epoch: Epoch, windows: Windows, pieces: Iterator, instances: int, limit: int | None):
        """Train on the pieces (rows and views of one batch each), at most `limit`; the mean loss and the steps."""
        self.total.zero_()
        batches = [packed(windows, *piece, instances) for piece in islice(pieces, limit)]
        flat = torch.from_numpy(np.concatenate([numbers for _, numbers in batches]))
        flat = flat.pin_memory().to("cuda", non_blocking=True)
        for (shape, _), numbers in zip(
            batches, flat.split([shape.size for shape, _ in batches]), strict=True
        ):
            self.step(epoch, shape, numbers)
        return float(self.total) / len(batches), len(batches)

    def step(self, epoch: Epoch, shape: Shape, numbers: torch.Tensor) -> None:
        key = (epoch.network, epoch.mode, shape)
        if key not in self.graphs:
            self.graphs[key] = numbers.clone(), None
            self.train(epoch, shape.batch(numbers))
            return
        static, graph = self.graphs[key]
        if graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                self.train(epoch, shape.batch(static))
            self.graphs[key] = static, graph
        static.copy_(numbers)
        graph.replay()

    def train(self, epoch: Epoch, batch: Batch) -> None:
        self.total += train_step(self.learner, self.optimisers[epoch.network], batch, epoch, self.autocast)
