"""Training steps on a GPU as CUDA graphs: a batch of a known shape is one copy and one replay, not hundreds of launches.

A step on a catalogue of thousands of items is bound by the launching of its kernels. Batches are filled up to a few
shapes; a shape's first step runs as usual, its second is captured, and from then on replayed. What fills a batch up has no
weight, so losses and gradients are those of the batch alone.
"""

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
        self.graphs: dict[tuple, tuple[torch.Tensor, torch.cuda.CUDAGraph | None]] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.total = torch.zeros((), device="cuda")

    def run(self, epoch: Epoch, batches: TrainingBatches, drawn: Draw, padded: bool) -> float:
        """Train on the drawn batches; return the mean loss."""
        self.total.zero_()
        for shape, numbers in batches.of_fixed_shapes(drawn, padded):
            self.step(epoch, shape, numbers)
        return float(self.total) / len(drawn)

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
