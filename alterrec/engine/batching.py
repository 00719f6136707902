"""Training batches: which instances share an optimiser step, and how their rows are laid out without much padding.

With `batches: prefixes` a batch is `batch_size` instances drawn without replacement from all of an epoch's, whatever their
sessions and lengths. With `batches: sessions` it is whole sessions, or pieces of at most `prefixes_per_session`
neighbouring prefixes, of about `batch_size` instances together.

The rows of a batch are sorted by length. For PyTorch's attention they are split into groups of about equal length (see
`Layout`), so a step has one loss and one gradient over all of them and still computes little padding. CUDA graphs (see
cuda_graphs.py) need batches of fixed sizes: there the rows lie behind each other without any padding, and a batch is filled
up to one of a few numbers of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from alterrec.engine.windows import Batch, Groups, Layout, Windows, attention_kernel, split_windows
from alterrec.study.settings import NeuralConfig

BOUNDS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 25, 32, 40)
"""Lengths that end a group: the rows longer than one bound and not longer than the next form a group."""
TILE = 64  # the most tokens of a tile of Layout, as in kernels/packed_attention.py
STEPS = 8  # a batch is filled up to a multiple of this part of the mean number of tokens
AT_ONCE = 2**17  # tokens of batches of fixed sizes that are laid out together
CUTS = (1 / 16, 1 / 4, 1 / 2)
"""Where the blocks of `Layout.prefixes` begin: after these shares of a batch's instances, the longest prefixes first."""


@dataclass(frozen=True)
class Draw:
    """The rows of an epoch's batches: each row's number in `TrainingBatches.table`, its view and its batch, all [n].

    `size` is the number of instances after which a batch ends.
    """

    row: np.ndarray
    view: np.ndarray
    batch: np.ndarray
    size: int

    def __len__(self) -> int:
        return int(self.batch[-1]) + 1 if len(self.batch) else 0

    def blocks(self, batches: int) -> Iterator[Draw]:
        """The same in pieces of at most so many batches, each counted from 0."""
        for first in range(0, len(self), batches):
            rows = slice(*np.searchsorted(self.batch, [first, first + batches]))
            yield Draw(self.row[rows], self.view[rows], self.batch[rows] - first, self.size)

    def only(self, batches: np.ndarray) -> Draw:
        """The given batches, counted from 0."""
        chosen = np.isin(self.batch, batches)
        batch = np.searchsorted(batches, self.batch[chosen])
        return Draw(self.row[chosen], self.view[chosen], batch, self.size)


@dataclass(frozen=True)
class Shape:
    """The fixed sizes of a batch: its tokens, its instances, the positions of its longest row, and `Layout.prefixes`."""

    tokens: int
    instances: int
    longest: int
    prefixes: Groups | None = None

    @property
    def tiles(self) -> int:
        """The most tiles that whole rows can need: a full one has more than TILE / 2 tokens, and each of the 15 numbers of
        rows that a tile can have may leave one that is not full."""
        return self.tokens * 2 // TILE + 15

    def batch(self, numbers: torch.Tensor) -> Batch:
        """The batch whose `numbers` are laid out by `TrainingBatches.pack`, as views."""
        sizes = [self.tokens, self.tokens, 2 * self.tiles, *[self.instances] * 4, 1]
        tokens, place, tiles, state, target, instance, view, count = numbers.split(sizes)
        valid = torch.arange(self.instances, device=numbers.device) < count
        layout = Layout(place, self.longest, tiles=tiles.view(2, self.tiles), prefixes=self.prefixes)
        return Batch(tokens, layout, state, target, instance, view, valid)


@dataclass(frozen=True)
class Rows:
    """The rows of one or several batches, the longest of each batch first; all [n].

    A row is read with `length` positions: `filled` items of the flat array from `start` on, then item 0. Its positions from
    `last` on are the ends of instances' prefixes.
    """

    batch: torch.Tensor
    start: torch.Tensor
    filled: torch.Tensor
    length: torch.Tensor
    last: torch.Tensor
    view: torch.Tensor

    def sorted(self) -> Rows:
        order = torch.argsort(self.batch * 2**32 - self.length, stable=True)
        return Rows(*(values[order] for values in vars(self).values()))

    def filled_up(self, batches: int, tokens: int) -> Rows:
        """The same with rows of one position and no instance, so that each batch has so many `tokens`."""
        used = torch.zeros(batches, dtype=torch.int64, device=self.batch.device)
        spare = tokens - used.index_add_(0, self.batch, self.length)
        batch = torch.arange(batches, device=spare.device).repeat_interleave(spare)
        none, one = torch.zeros_like(batch), torch.ones_like(batch)
        filler = Rows(batch, none, none, one, one, none)
        joined = zip(vars(self).values(), vars(filler).values(), strict=True)
        return Rows(*(torch.cat(pair) for pair in joined)).sorted()


class TrainingBatches:
    """Draws and lays out the batches of every epoch. `table` [W, 3] has the rows, as in `Windows.table`."""

    def __init__(self, windows: Windows, config: NeuralConfig):
        self.windows, self.batch_size = windows, config.batch_size
        self.single = config.batches == "prefixes"
        self.table = split_windows(windows.table, 1 if self.single else config.prefixes_per_session)
        self.start, self.length, self.first = (
            torch.from_numpy(self.table[:, i].copy()).to(windows.flat.device) for i in range(3)
        )

    @property
    def plain(self) -> int:
        """Batches of an epoch in which every instance occurs once."""
        return -(-self.windows.instances // self.batch_size)

    def longest(self, padded: bool) -> int:
        """The most positions that a row is read with; a padded augmented row has `max_length`, see `lengths`."""
        return self.windows.max_length if padded else self.windows.longest

    def packs(self, padded: bool) -> bool:
        """Whether attention over rows of any lengths is fast here, which batches of fixed sizes need."""
        return attention_kernel(self.longest(padded), self.windows.flat.device) is not None

    def draw(
        self, order: np.random.Generator, views: int = 1, limit: int | None = None, factor: int = 1
    ) -> Draw:
        """Every row once under each of its views, in random order, cut into batches; at most the first `limit`.

        A batch has `factor` times `batch_size` instances.
        """
        pick = order.permutation(len(self.table) * views)
        row, view = pick // views, pick % views
        running = (self.table[row, 1] - self.table[row, 2]).cumsum()
        size = factor * self.batch_size
        batch = (running - 1) // size
        if not self.single:
            batch = np.unique(batch, return_inverse=True)[1]  # no empty ones
        end = len(batch) if limit is None else np.searchsorted(batch, limit)
        return Draw(row[:end], view[:end], batch[:end], size)

    def instances_of(self, drawn: Draw) -> np.ndarray:
        """[n] how many instances each row holds."""
        return self.table[drawn.row, 1] - self.table[drawn.row, 2]

    def labels(self, drawn: Draw) -> int:
        """How many true labels the batches hold: instances that are not augmented."""
        return int(self.instances_of(drawn)[drawn.view == 0].sum())

    def lengths(self, drawn: Draw, padded: bool) -> np.ndarray:
        """[n] positions that each row is read with: its own, or `max_length` for a padded augmented row."""
        own = self.table[drawn.row, 1]
        return np.where(drawn.view > 0, self.windows.max_length, own) if padded else own

    def rows(self, drawn: Draw, padded: bool) -> Rows:
        """A padded augmented row is read as the authors' program reads it: the prefix, then item 0 to `max_length`."""
        device = self.windows.flat.device
        row, view, batch, length = (
            torch.from_numpy(part).to(device)
            for part in (drawn.row, drawn.view, drawn.batch, self.lengths(drawn, padded))
        )
        filled = self.length[row]
        return Rows(batch, self.start[row], filled, length, self.first[row] + length - filled, view)

    def positions(self, rows: Rows, width: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Rows of `width` [n] positions behind each other, as tensors [P] over all their positions.

        The place in the row, the item, whether an instance's prefix ends here, the index in the flat array of that
        instance's target, and the instance's view.
        """
        flat = self.windows.flat
        row = torch.arange(len(width), device=width.device).repeat_interleave(width)
        place = torch.arange(len(row), device=width.device) - (width.cumsum(0) - width)[row]
        start, filled = rows.start[row], rows.filled[row]
        token = torch.where(place < filled, flat[(start + place).clamp(max=len(flat) - 1)], 0)
        ends = (place >= rows.last[row]) & (place < rows.length[row])
        return place, token, ends, start + torch.minimum(place + 1, filled), rows.view[row]

    def one_by_one(self, drawn: Draw, padded: bool = False) -> Iterator[Batch]:
        """The batches, each with groups and instances of its own sizes."""
        for one in drawn.blocks(1):
            rows = self.rows(one, padded).sorted()
            groups = groups_of(rows.length.cpu().numpy())
            width = np.repeat([width for _, width in groups], [count for count, _ in groups])
            _, token, ends, instance, view = self.positions(
                rows, torch.from_numpy(width).to(rows.start.device)
            )
            state = ends.nonzero().squeeze(1)
            instance = instance[state]
            layout = Layout.of(groups, token.device)
            yield Batch(token, layout, state, self.windows.flat[instance], instance, view[state])

    def of_fixed_shapes(
        self, drawn: Draw, padded: bool = False
    ) -> Iterator[list[tuple[Shape, torch.Tensor]]]:
        """The batches in lists of about AT_ONCE tokens: each one's shape, one of a few, and its numbers (`Shape.batch`)."""
        if self.single:
            instances = int(np.bincount(drawn.batch).max())
        else:  # the most that a batch can have in any epoch
            instances = drawn.size + int((self.table[:, 1] - self.table[:, 2]).max())
        length = self.lengths(drawn, padded)
        prefixes = self.prefix_blocks(instances) if self.single and not padded else None
        step = -(-length.sum() // len(drawn) // STEPS // TILE) * TILE
        for block in drawn.blocks(max(1, AT_ONCE * len(drawn) // int(length.sum()))):
            tokens = np.bincount(block.batch, self.lengths(block, padded)).astype(np.int64)
            filled_up, fits = -(-tokens // step) * step, self.fit(block, prefixes)
            packed = {}
            for size, fit in set(zip(filled_up.tolist(), fits.tolist(), strict=True)):
                own = np.flatnonzero((filled_up == size) & (fits == fit))
                shape = Shape(size, instances, self.longest(padded), prefixes if fit else None)
                numbers = self.pack(block.only(own), shape, padded)
                packed |= {number: (shape, one) for number, one in zip(own, numbers, strict=True)}
            yield [packed[number] for number in range(len(block))]

    def prefix_blocks(self, instances: int) -> Groups:
        """Blocks ((i, T), ...) of a batch's instances, the longest prefixes first.

        Before each block there is room for the longer prefixes of almost every batch: for their expected number and four
        standard deviations. So few batches have a prefix that does not fit.
        """
        longer = 1 - np.bincount(self.table[:, 1]).cumsum() / len(self.table)
        most = instances * longer + 4 * np.sqrt(instances * longer)
        starts = np.unique([0, *(int(instances * share) for share in CUTS)])
        widths = [self.windows.longest, *(max(1, int(np.argmax(most <= start))) for start in starts[1:])]
        counts = np.diff(starts, append=instances).tolist()
        return tuple(zip(counts, widths, strict=True))

    def fit(self, drawn: Draw, prefixes: Groups | None) -> np.ndarray:
        """[B] whether a batch's prefixes, the longest first, fit into these blocks; False where there are none."""
        fits = np.full(len(drawn), prefixes is not None)
        if prefixes is None:
            return fits
        length = self.table[drawn.row, 1]
        order = np.lexsort((-length, drawn.batch))
        batch = drawn.batch[order]
        nth = np.arange(len(batch)) - np.searchsorted(batch, batch)
        width = np.repeat([width for _, width in prefixes], [count for count, _ in prefixes])
        fits[batch[length[order] > width[nth]]] = False
        return fits

    def pack(self, drawn: Draw, shape: Shape, padded: bool) -> torch.Tensor:
        """[B, n] int64: per batch its tokens, their places, its tiles, then state, target, instance and view of its
        instances (see `Batch`), then the number of instances."""
        batches = len(drawn)
        rows = self.rows(drawn, padded).filled_up(batches, shape.tokens)
        place, token, ends, instance, view = self.positions(rows, rows.length)
        state = torch.arange(shape.tokens, device=place.device).repeat(batches)
        values = torch.stack([state, self.windows.flat[instance], instance, view]).view(4, batches, -1)
        ends = ends.view(batches, -1)
        # positions without an instance share one more slot
        slot = torch.where(ends, ends.cumsum(1) - 1, shape.instances)
        columns = values.new_zeros(4, batches, shape.instances + 1)
        columns.scatter_(2, slot.expand_as(values), values)
        parts = [token.view(batches, -1), place.view(batches, -1), tile_table(rows, shape, batches)]
        return torch.cat([*parts, *columns[:, :, :-1], ends.sum(1, keepdim=True)], 1)


def tile_table(rows: Rows, shape: Shape, batches: int) -> torch.Tensor:
    """[B, 2 * tiles] per batch the first token of every tile, then its number of tokens, 0 for a tile that is not used."""
    together = rows_per_tile(rows.length)
    kind, index = rows.batch * (TILE + 1) + together, torch.arange(len(together), device=together.device)
    changes = torch.ones_like(kind, dtype=torch.bool)
    changes[1:] = kind[1:] != kind[:-1]
    opens = (index - torch.where(changes, index, 0).cummax(0).values) % together == 0
    before = torch.zeros(batches + 1, dtype=torch.int64, device=kind.device)
    before[1:].index_add_(0, rows.batch, opens.long())
    nth = torch.where(opens, opens.cumsum(0) - 1 - before.cumsum(0)[rows.batch], shape.tiles)
    first = rows.length.cumsum(0) - rows.length - rows.batch * shape.tokens
    starts = torch.full((batches, shape.tiles + 1), shape.tokens, device=kind.device)
    starts[rows.batch, nth] = torch.where(opens, first, shape.tokens)
    return torch.cat([starts[:, :-1], starts.diff(dim=1)], 1)


def rows_per_tile(length):
    """How many rows of each `length` make a tile."""
    return (TILE // length).clip(1)


def groups_of(length: np.ndarray) -> Groups:
    """Groups for rows of these lengths, the longest first, each as wide as its longest row."""
    groups = []
    for low, high in zip(BOUNDS, [*BOUNDS[1:], np.inf], strict=True):
        own = length[(length > low) & (length <= high)]
        if len(own):
            groups.append((len(own), int(own.max())))
    return tuple(groups[::-1])
