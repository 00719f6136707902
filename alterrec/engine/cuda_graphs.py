"""Training steps on a GPU as CUDA graphs: a batch of a known shape is one copy and one replay, not hundreds of launches.

A step on a catalogue of thousands of items is bound by the launching of its kernels. Batches are filled up to a few shapes.
The first step of a network and mode runs as usual; then the first step of each shape is captured, and replayed from there
on. What fills a batch up has no weight, so losses and gradients are those of the batch alone.
"""

from collections.abc import Iterator

import torch

from alterrec.engine.batching import Draw, Shape, TrainingBatches
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.optimisation import train_step
from alterrec.engine.windows import Batch


class GraphedSteps:
    """Runs epochs on a GPU, losses under `autocast`; `optimisers` are those of the learner's networks, capturable."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], autocast: torch.autocast
    ):
        self.learner, self.optimisers, self.autocast = learner, optimisers, autocast
        self.warm: set[tuple[str, str]] = set()
        self.graphs: dict[tuple, tuple[torch.Tensor, torch.cuda.CUDAGraph]] = {}
        self.pool, self.layout_stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
        self.total = torch.zeros((), device="cuda")

    def run(self, epoch: Epoch, batches: TrainingBatches, drawn: Draw, padded: bool) -> float:
        """Train on the drawn batches; return the mean loss. ValueError if their rows are too long (see `packs`)."""
        if not batches.packs(padded):
            raise ValueError("no attention kernel for rows of this length: use Steps")
        self.total.zero_()
        blocks, in_use = batches.of_fixed_shapes(drawn, padded), []
        while block := self.laid_out(blocks):
            in_use.append(block)  # until the device has read them
            for shape, numbers in block:
                self.step(epoch, shape, numbers)
        return float(self.total) / len(drawn)

    def laid_out(
        self, blocks: Iterator[list[tuple[Shape, torch.Tensor]]]
    ) -> list[tuple[Shape, torch.Tensor]] | None:
        """The next batches, laid out while the device still trains on the earlier ones."""
        with torch.cuda.stream(self.layout_stream):
            block = next(blocks, None)
        torch.cuda.current_stream().wait_stream(self.layout_stream)
        return block

    def step(self, epoch: Epoch, shape: Shape, numbers: torch.Tensor) -> None:
        kind = epoch.network, epoch.mode
        if kind not in self.warm:  # memory of the optimiser and compiled kernels must exist before a capture
            self.warm.add(kind)
            self.train(epoch, shape.batch(numbers))
            return
        if (*kind, shape) not in self.graphs:
            static, graph = numbers.clone(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                self.train(epoch, shape.batch(static))
            self.graphs[*kind, shape] = static, graph
        static, graph = self.graphs[*kind, shape]
        static.copy_(numbers)
        graph.replay()

    def train(self, epoch: Epoch, batch: Batch) -> None:
        self.total += train_step(self.learner, self.optimisers[epoch.network], batch, epoch, self.autocast)
