"""Training batches: which instances share an optimiser step, and how their rows are laid out without much padding.

With `batches: prefixes` a batch is `batch_size` instances drawn without replacement from all of an epoch's, whatever their
sessions and lengths. With `batches: sessions` it is whole sessions, or pieces of at most `prefixes_per_session`
neighbouring prefixes, of about `batch_size` instances together.

The rows of a batch are sorted by length and split into groups of about equal length (see `Batch.groups`), so a step has one
loss and one gradient over all of them and still computes little padding. A GPU needs batches of fixed shapes (see
cuda_graphs.py): there the groups have a capacity that all batches of an epoch fit into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from alterrec.engine.windows import Batch, Groups, Layout, Windows, split_windows
from alterrec.study.settings import NeuralConfig

BOUNDS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 25, 32, 40)
"""Lengths that end a group: the rows longer than one bound and not longer than the next form a group."""
AT_ONCE = 256  # batches of fixed shape that are laid out together


@dataclass(frozen=True)
class Draw:
    """The rows of an epoch's batches: each row's number in `TrainingBatches.table`, its view and its batch, all [n]."""

    row: np.ndarray
    view: np.ndarray
    batch: np.ndarray

    def __len__(self) -> int:
        return int(self.batch[-1]) + 1 if len(self.batch) else 0

    def blocks(self, batches: int) -> Iterator[Draw]:
        """The same in pieces of at most so many batches, each counted from 0."""
        for first in range(0, len(self), batches):
            rows = slice(*np.searchsorted(self.batch, [first, first + batches]))
            yield Draw(self.row[rows], self.view[rows], self.batch[rows] - first)


@dataclass(frozen=True)
class Shape:
    """The fixed sizes of a batch: its groups of rows, and its instances."""

    groups: Groups
    instances: int
    layout: Layout = field(compare=False, repr=False)

    @property
    def tokens(self) -> int:
        return sum(rows * length for rows, length in self.groups)

    def batch(self, numbers: torch.Tensor) -> Batch:
        """The batch whose `numbers` [tokens + 4 * instances + 1] are laid out by `TrainingBatches.lay_out`, as views."""
        sizes = [self.tokens, *[self.instances] * 4, 1]
        tokens, state, target, instance, view, count = numbers.split(sizes)
        valid = torch.arange(self.instances, device=numbers.device) < count
        return Batch(tokens, self.layout, state, target, instance, view, valid)


class TrainingBatches:
    """Draws and lays out the batches of every epoch. `table` [W, 3] has the rows, as in `Windows.table`."""

    def __init__(self, windows: Windows, config: NeuralConfig):
        self.windows, self.batch_size = windows, config.batch_size
        self.single = config.batches == "prefixes"
        self.table = split_windows(windows.table, 1 if self.single else config.prefixes_per_session)
        self.start, self.length, self.first = (
            torch.from_numpy(self.table[:, i].copy()).to(windows.flat.device) for i in range(3)
        )
        self.shapes: dict[tuple, Shape] = {}

    @property
    def plain(self) -> int:
        """Batches of an epoch in which every instance occurs once."""
        return -(-self.windows.instances // self.batch_size)

    def draw(self, order: np.random.Generator, views: int = 1, limit: int | None = None) -> Draw:
        """Every row once under each of its views, in random order, cut into batches; at most the first `limit`."""
        pick = order.permutation(len(self.table) * views)
        row, view = pick // views, pick % views
        running = (self.table[row, 1] - self.table[row, 2]).cumsum()
        batch = (running - 1) // self.batch_size
        if not self.single:
            batch = np.unique(batch, return_inverse=True)[1]  # no empty ones
        end = len(batch) if limit is None else np.searchsorted(batch, limit)
        return Draw(row[:end], view[:end], batch[:end])

    def lengths(self, drawn: Draw, padded: bool) -> np.ndarray:
        """[n] positions that each row is read with: its own, or `max_length` for a padded augmented row."""
        own = self.table[drawn.row, 1]
        return np.where(drawn.view > 0, self.windows.max_length, own) if padded else own

    def one_by_one(self, drawn: Draw, padded: bool = False) -> Iterator[Batch]:
        """The batches, each with groups and instances of its own sizes."""
        for one in drawn.blocks(1):
            length = self.lengths(one, padded)
            instances = int((self.table[one.row, 1] - self.table[one.row, 2]).sum())
            shape = self.make_shape(groups_of(length), instances)
            batch = shape.batch(self.lay_out(one, shape, padded)[0])
            yield Batch(
                batch.tokens, batch.layout, batch.state, batch.target, batch.instance, batch.view, None
            )

    def of_one_shape(self, drawn: Draw, padded: bool = False) -> tuple[Shape, Iterator[torch.Tensor]]:
        """The shape that all batches fit into, and each batch's numbers (see `Shape.batch`)."""
        shape = self.shape_of(drawn, padded)
        blocks = (self.lay_out(block, shape, padded) for block in drawn.blocks(AT_ONCE))
        return shape, (numbers for block in blocks for numbers in block)

    def shape_of(self, drawn: Draw, padded: bool) -> Shape:
        """The last shape of such epochs if the batches fit into it, else a larger one."""
        key, length = (padded, bool(drawn.view.any())), self.lengths(drawn, padded)
        rows = [most(drawn.batch[length > bound]) for bound in BOUNDS]  # longer than each bound, in any batch
        instances = np.bincount(drawn.batch, self.table[drawn.row, 1] - self.table[drawn.row, 2])
        last = self.shapes.get(key)
        if last and last.instances >= instances.max() and fits(rows, last.groups):
            return last
        spare = [count and -(-(count + 3) // 4) * 4 for count in rows]  # later epochs need a little more
        rows = [rows[0] if self.single else spare[0], *(min(rows[0], count) for count in spare[1:])]
        ends = [min(end, self.windows.max_length) for end in (*BOUNDS[1:], self.windows.max_length)]
        groups = tuple(
            (more - fewer, end)
            for more, fewer, end in zip(rows, [*rows[1:], 0], ends, strict=True)
            if more > fewer
        )
        size = self.batch_size if self.single else -(-int(instances.max()) // 32) * 32
        self.shapes[key] = self.make_shape(groups[::-1], size)
        return self.shapes[key]

    def state(self) -> list[tuple]:
        """The shapes so far. They decide rounding and dropout on a GPU, so a run that continues needs the same ones."""
        return [(key, shape.groups, shape.instances) for key, shape in self.shapes.items()]

    def restore(self, state: list[tuple]) -> None:
        self.shapes = {key: self.make_shape(groups, instances) for key, groups, instances in state}

    def make_shape(self, groups: Groups, instances: int) -> Shape:
        return Shape(groups, instances, Layout.of(groups, self.windows.flat.device))

    def lay_out(self, drawn: Draw, shape: Shape, padded: bool) -> torch.Tensor:
        """[B, tokens + 4 * instances + 1] int64: per batch its tokens, then state, target, instance and view of its
        instances (see `Batch`), then the number of instances.

        A padded augmented row is read as the authors' program reads it: the prefix, then item 0 up to `max_length`.
        """
        flat, device = self.windows.flat, self.windows.flat.device
        row, view, batch = (
            torch.from_numpy(part).to(device) for part in (drawn.row, drawn.view, drawn.batch)
        )
        filled, last = self.length[row], self.first[row]
        length = filled
        if padded:
            length = torch.where(view > 0, self.windows.max_length, filled)
            last = last + length - filled
        longest_first = torch.argsort(batch * (self.windows.max_length + 1) - length, stable=True)
        batches, rows = len(drawn), sum(count for count, _ in shape.groups)
        in_batch = torch.bincount(batch, minlength=batches)
        slot = torch.arange(len(row), device=device) - (in_batch.cumsum(0) - in_batch)[batch]
        place = batch * rows + slot  # `batch` is in rising order, and the sorting keeps it so

        def spread(values: torch.Tensor) -> torch.Tensor:
            empty = values.new_zeros(batches * rows)
            return empty.scatter_(0, place, values[longest_first]).view(batches, rows, 1)

        start, filled, length, last, view = map(spread, (self.start[row], filled, length, last, view))
        tokens, ends, instance, views = [], [], [], []
        at = 0
        for count, width in shape.groups:
            own = slice(at, at + count)
            position = torch.arange(width, device=device)
            index = start[:, own] + position
            inside = position < filled[:, own]
            tokens.append(torch.where(inside, flat[index.clamp(max=len(flat) - 1)], 0).flatten(1))
            ends.append(((position >= last[:, own]) & (position < length[:, own])).flatten(1))
            instance.append((start[:, own] + torch.minimum(position + 1, filled[:, own])).flatten(1))
            views.append(view[:, own].expand(-1, -1, width).flatten(1))
            at += count
        tokens, ends, instance, views = (torch.cat(parts, 1) for parts in (tokens, ends, instance, views))
        owner, state = ends.nonzero(as_tuple=True)
        counts = ends.sum(1)
        nth = torch.arange(len(owner), device=device) - (counts.cumsum(0) - counts)[owner]
        instance, views = instance[owner, state], views[owner, state]
        columns = tokens.new_zeros(4, batches, shape.instances)
        columns[:, owner, nth] = torch.stack([state, flat[instance], instance, views])
        return torch.cat([tokens, *columns, counts[:, None]], 1)


def groups_of(length: np.ndarray) -> Groups:
    """Groups for rows of these lengths, the longest first, each as wide as its longest row."""
    groups = []
    for low, high in zip(BOUNDS, [*BOUNDS[1:], np.inf], strict=True):
        own = length[(length > low) & (length <= high)]
        if len(own):
            groups.append((len(own), int(own.max())))
    return tuple(groups[::-1])


def most(batch: np.ndarray) -> int:
    return int(np.bincount(batch).max()) if len(batch) else 0


def fits(rows: list[int], groups: Groups) -> bool:
    """Whether batches with at most `rows` rows longer than each bound can be laid out in `groups`."""
    capacity = [sum(count for count, width in groups if width > bound) for bound in BOUNDS]
    return all(needed <= there for needed, there in zip(rows, capacity, strict=True))
