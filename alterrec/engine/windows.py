"""Sessions as batches for a causal encoder: one pass over a window of items serves several prefixes at once.

Every prefix s[:t] of a session (1 <= t < L) is one instance with target s[t]. A session of at most `max_length` + 1
items is one window; the encoder's hidden state at position t - 1 is the state of prefix t. A longer prefix sees its last
`max_length` items only, with positions counted from the first of these, so each such prefix is a window of its own with
one instance at its end. Where only a session's last items are targets, shorter prefixes are no instances.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from alterrec.data.dataset import Dataset
from alterrec.kernels.build import built_kernel

# Positions that a ranked batch may have per instance: an instance costs a score per item, a position a few vectors.
POSITIONS = 16
Groups = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """How the P tokens of a batch are divided into rows, one row after the other.

    `place` [P] is the position of every token in its row, from 0. `longest` is the most positions that a row can have.
    `groups` ((R, T), ...) are R rows of T positions each, padded at the right; None where every row has its own length. Only
    then `prefixes` ((I, T), ...) may say that the prefixes of the first I instances have at most T items, and so on.
    `tiles` [2, n] is for the GPU's attention kernel (kernels/packed_attention.py); None where that cannot be used.
    """

    place: torch.Tensor
    longest: int
    groups: Groups | None = None
    tiles: torch.Tensor | None = None
    prefixes: Groups | None = None

    @classmethod
    def of(cls, groups: Groups, device: torch.device) -> "Layout":
        place = torch.cat([torch.arange(width, device=device).repeat(rows) for rows, width in groups])
        longest = max(width for _, width in groups)
        kernel = attention_kernel(longest, device)
        return cls(place, longest, groups, kernel and kernel.tiles(groups, device))


def attention_kernel(longest: int, device: torch.device) -> ModuleType | None:
    """The GPU's attention kernel, or None where it cannot be used for rows of up to `longest` positions."""
    kernel = built_kernel("packed_attention") if device.type == "cuda" else None
    return kernel if kernel and longest <= kernel.TILE else None


@dataclass(frozen=True)
class Batch:
    """Rows of items for the encoder, and the instances that are read off its hidden states.

    `tokens` [P] items, row after row, as `layout` divides them. One entry per instance I in the other tensors: `state` [I]
    index into P of the instance's hidden state, ascending; `target` [I] next item; `instance` [I] index of the target in the
    dataset's flat item array, which names the instance; `view` [I] 0 for the session's own target, j for the j-th
    augmented positive. `valid` [I] is False where a batch of fixed size has no instance; None means that all are.
    """

    tokens: torch.Tensor
    layout: Layout
    state: torch.Tensor
    target: torch.Tensor
    instance: torch.Tensor
    view: torch.Tensor
    valid: torch.Tensor | None = None

    def mean_over(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """[I] weights that sum to the mean over the instances, or over the `chosen` [I] ones of them."""
        if self.valid is not None:
            chosen = self.valid if chosen is None else chosen & self.valid
        if chosen is None:
            return torch.full((len(self),), 1 / len(self), dtype=torch.float64, device=self.target.device)
        return chosen.double() / chosen.sum().clamp(min=1)

    @property
    def last_item(self) -> torch.Tensor:
        """[I] the last item of each instance's prefix."""
        return self.tokens[self.state]

    def prefix_events(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[E] every item that the model reads, prefix after prefix, in order: instance, item, and position from 1."""
        length = self.layout.place[self.state] + 1
        instance = torch.arange(len(self), device=length.device).repeat_interleave(length)
        first = length.cumsum(0) - length
        position = torch.arange(len(instance), device=length.device) - first[instance] + 1
        return instance, self.tokens[(self.state - length)[instance] + position], position

    def prefix_rows(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every instance's prefix as a row of its own, for models that do not read the rows of a batch as they are.

        Blocks of neighbouring instances: (items [i, T], number of items [i]); behind a prefix stands item 0. There is one
        block for each group of rows. In a batch without groups all sizes are fixed, as a CUDA graph needs: the blocks are
        the layout's `prefixes`, or one as wide as the longest row can be.
        """
        groups = self.layout.groups
        if groups is None:
            blocks = self.layout.prefixes or ((len(self), self.layout.longest),)
        else:
            ends = torch.tensor([rows * width for rows, width in groups], device=self.state.device).cumsum(0)
            before = torch.searchsorted(self.state, ends).tolist()
            blocks = zip(np.diff(before, prepend=0).tolist(), [width for _, width in groups], strict=True)
        counts, widths = zip(*blocks, strict=True)
        states = self.state.split(counts)
        return [self._rows_up_to(state, width) for state, width in zip(states, widths, strict=True)]

    def _rows_up_to(self, state: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        last = self.layout.place[state]
        place = torch.arange(width, device=state.device)
        index = (state - last)[:, None] + place
        inside = place <= last[:, None]
        return torch.where(inside, self.tokens[index.clamp(max=len(self.tokens) - 1)], 0), last + 1

    def __len__(self) -> int:
        return len(self.target)


class Windows:
    """The windows that cover every prefix of the given sessions exactly once, as tensors on one device.

    `table` [W, 3] holds each window's first index in the flat item array, its length, and its first position that is the
    end of an instance's prefix. `longest` is the length of the longest window, which `max_length` bounds.
    """

    def __init__(self, dataset: Dataset, splits: tuple[str, ...], max_length: int, device: torch.device):
        self.table = window_table(dataset, splits, max_length)
        self.max_length, self.catalogue_size = max_length, dataset.catalogue_size
        self.longest = int(self.table[:, 1].max(initial=0))
        self.start, self.length, self.first = (
            torch.from_numpy(self.table[:, i].copy()).to(device) for i in range(3)
        )
        self.flat = torch.from_numpy(dataset.flat.astype(np.int64)).to(device)
        self.instances = int((self.length - self.first).sum())

    def __len__(self) -> int:
        return len(self.start)

    def batch(self, rows: torch.Tensor) -> Batch:
        """The windows `rows` [R] as one batch of one group."""
        start, length, first = self.start[rows], self.length[rows], self.first[rows]
        longest = int(length.max())
        position = torch.arange(longest, device=start.device)
        index = start[:, None] + position
        inside = position < length[:, None]
        tokens = torch.where(inside, self.flat[index.clamp(max=len(self.flat) - 1)], 0)
        ends = inside & (position >= first[:, None])
        state = ends.flatten().nonzero().squeeze(1)
        instance = (index + 1)[ends]
        layout = Layout.of(((len(rows), longest),), start.device)
        return Batch(
            tokens.flatten(), layout, state, self.flat[instance], instance, torch.zeros_like(instance)
        )

    def in_order(self, instances: int) -> Iterator[Batch]:
        """Every window once, longest first, in batches of about `instances` and at most POSITIONS times as many positions.

        Memory is then bounded, however long sessions are.
        """
        order = torch.argsort(self.length, descending=True, stable=True)
        sizes = self._instances_of(order).maximum(self.length[order] // POSITIONS)
        yield from (self.batch(rows) for rows in self._cut(order, instances, sizes))

    def sample(self, instances: int, generator: np.random.Generator) -> Batch:
        """About `instances` instances in windows drawn without replacement."""
        rows = torch.from_numpy(generator.permutation(len(self))).to(self.start.device)
        return self.batch(self._cut(rows, instances, self._instances_of(rows))[0])

    def _instances_of(self, rows: torch.Tensor) -> torch.Tensor:
        return self.length[rows] - self.first[rows]

    def _cut(self, rows: torch.Tensor, size: int, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split `rows` where the running sum of their `sizes` passes a multiple of `size`."""
        running = sizes.cumsum(0).cpu()
        bins = torch.div(running - 1, size, rounding_mode="floor")
        return rows.split(torch.unique_consecutive(bins, return_counts=True)[1].tolist())


def window_table(dataset: Dataset, splits: tuple[str, ...], max_length: int) -> np.ndarray:
    """[W, 3] of every window in the order of its session: first item's index, length, first position that counts."""
    sessions = np.concatenate([dataset.sessions_of(split) for split in splits])
    start = dataset.offsets[sessions]
    prefixes = dataset.offsets[sessions + 1] - start - 1
    context = prefixes - dataset.targets[sessions]  # shorter prefixes are no instances
    whole = np.stack([start, np.minimum(prefixes, max_length), context], 1)
    beyond = np.maximum(max_length, context)
    owner = np.repeat(np.arange(len(sessions)), np.maximum(0, prefixes - beyond))
    nth = np.arange(len(owner)) - np.searchsorted(owner, owner)
    first = start[owner] + 1 + beyond[owner] + nth - max_length
    longer = np.stack([first, np.full_like(first, max_length), np.full_like(first, max_length - 1)], 1)
    in_order = np.argsort(np.concatenate([np.arange(len(sessions)), owner]), kind="stable")
    table = np.concatenate([whole, longer])[in_order]
    return table[table[:, 1] > table[:, 2]]


def split_windows(table: np.ndarray, instances: int | None) -> np.ndarray:
    """[W', 3] the windows of `table` [W, 3] cut so that each holds at most `instances` neighbouring prefixes.

    With 1 every prefix is a row of its own; None leaves the windows whole.
    """
    if instances is None:
        return table
    start, length, first = table.T
    pieces = -(-(length - first) // instances)
    owner = np.repeat(np.arange(len(table)), pieces)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = first[owner] + nth * instances
    return np.stack([start[owner], np.minimum(first + instances, length[owner]), first], 1)
