"""SR-GNN: a session is a graph of its items, whose edges lead from each item to the next; a gated network passes along them.

Wu, Tang, Zhu, Wang, Xie and Tan, Session-based recommendation with graph neural networks, AAAI 2019 (arXiv 1811.00855).
Reference implementations: github.com/CRIPAC-DIG/SR-GNN and RecBole 1.2.1. An item that occurs twice is one node, and an edge
counts once. The session's vector is made of the last item's node and of an attention-weighted sum. It is expected to be near
NARM.

Departures: the optimiser, the batches and the choice of the epoch are the suite's. `blocks`, `heads` and `dropout` have no
effect; `l2` is the only regulariser, as in the paper.
"""

from pydantic import Field

from alterrec.study.settings import Schedule, SequenceConfig, SequenceInitialisation

version = 2
label = "SR-GNN"
space = {"l2": {"low": 1e-6, "high": 1e-3, "log": True}}


class Config(SequenceConfig):
    """The settings of the paper, which lowers the learning rate to a tenth after every three epochs."""

    dimension: int = Field(100, ge=2)
    batch_size: int = Field(100, ge=1)
    schedule: Schedule = "step"
    id_decay_every: int = Field(3, ge=1)
    initialisation: SequenceInitialisation = "authors"
    steps: int = Field(1, ge=1, description="How often every item receives from its neighbours")
    l2: float = Field(
        1e-5,
        ge=0,
        description="Weight of the penalty, half of the sum of squares of all parameters. Its gradient is what Adam's weight "
        "decay adds in the authors' program",
    )


def fit(task):
    import torch
    from torch import nn

    from alterrec.sequence_models.prefix_network import (
        PrefixLearner,
        PrefixNetwork,
        at_last,
        filled,
        fit_prefix_network,
    )

    class SRGNN(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            d = config.dimension
            self.steps = config.steps
            self.received, self.sent = nn.Linear(d, d), nn.Linear(d, d)
            self.received_bias, self.sent_bias = (nn.Parameter(torch.empty(d)) for _ in range(2))
            self.gate = nn.GRUCell(2 * d, d)
            self.of_last, self.of_item = nn.Linear(d, d), nn.Linear(d, d)
            self.weight = nn.Linear(d, 1, bias=False)
            self.project = nn.Linear(2 * d, d)

        def session_vectors(self, items, length):
            node, edges = session_graph(items, length)
            hidden = self.item(items)  # [i, T, d]; only positions that are nodes matter
            for _ in range(self.steps):
                hidden = self.step(hidden, edges.to(hidden.dtype))
            of_item = hidden.gather(1, node[:, :, None].expand_as(hidden))
            last = at_last(of_item, length)
            weight = self.weight((self.of_last(last)[:, None] + self.of_item(of_item)).sigmoid())
            whole = (weight * filled(length, items.shape[1])[:, :, None] * of_item).sum(1)
            return self.project(torch.cat([whole, last], 1))

        def step(self, hidden, edges):
            """[i, T, d] every node after it has received the mean of its predecessors and that of its successors."""
            before = edges.mT / edges.sum(1).clamp(min=1)[:, :, None]
            after = edges / edges.sum(2).clamp(min=1)[:, :, None]
            received = before @ self.received(hidden) + self.received_bias
            sent = after @ self.sent(hidden) + self.sent_bias
            inputs = torch.cat([received, sent], 2)
            return self.gate(inputs.flatten(0, 1), hidden.flatten(0, 1)).view_as(hidden)

    class PenalisedLearner(PrefixLearner):
        def loss(self, batch, epoch):
            squares = sum(parameter.square().sum() for parameter in self.network.parameters())
            return super().loss(batch, epoch) + task.config.l2 / 2 * squares

    def session_graph(items, length):
        """The node of every position [i, T], which is its item's first position, and the edges between nodes [i, T, T]."""
        width = items.shape[1]
        node = (items[:, :, None] == items[:, None, :]).int().argmax(2)
        edge = node[:, :-1] * width + node[:, 1:]
        counts = torch.zeros(len(items), width * width, device=items.device)
        counts.scatter_add_(1, edge, filled(length, width)[:, 1:].float())
        return node, (counts > 0).view(-1, width, width)

    return fit_prefix_network(task, SRGNN, PenalisedLearner)
