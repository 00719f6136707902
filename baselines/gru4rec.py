"""GRU4Rec: one GRU layer over the items of a session, under the losses and the negatives of its author's programs.

Hidasi, Karatzoglou, Baltrunas and Tikk, Session-based recommendations with recurrent neural networks, ICLR 2016; Hidasi and
Karatzoglou, Recurrent neural networks with top-k gains, CIKM 2018 (negatives drawn by popularity, BPR-max). Reference
implementation: github.com/hidasib/GRU4Rec_PyTorch_Official. Hidasi and Czapski (The effect of third party implementations,
RecSys 2023) show that other programs lack parts and are much worse; so negatives are here the other targets of the batch and
`negatives` more, drawn once for the batch, and items have the same vectors as input and as output, with a bias. It is
expected to be near SASRec with full softmax on short sessions.

Departures: a session's prefixes are instances of the suite's batches and gradients reach through the whole prefix, where the
reference trains sessions in parallel and one item at a time, with dropout of the states inside the recurrence; the optimiser
is Adam, not Adagrad with momentum. One `dropout` serves item vectors and states, which have one each in the reference; the
penalty and the ELU of BPR-max are not searched; and the first weights of the GRU's three gates are drawn as one matrix, so
they are smaller by a factor of about 1.4. `blocks` and `heads` have no effect.
"""

from typing import Literal

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig

version = 2
label = "GRU4Rec"
space = {"loss": ["cross_entropy", "bpr_max"], "popularity_exponent": {"low": 0.0, "high": 1.0}}


class Config(SequenceConfig):
    """The defaults of the reference implementation, but for `logq`."""

    dimension: int = Field(100, ge=2)
    dropout: Dropout = 0.0
    batch_size: int = Field(64, ge=1)
    loss: Literal["cross_entropy", "bpr_max"] = Field("cross_entropy", description="Loss over the negatives")
    negatives: int = Field(2048, ge=1, description="Number of negatives that are drawn for a batch")
    popularity_exponent: float = Field(
        0.5, ge=0, le=1, description="Power of an item's count in training that it is drawn in proportion to"
    )
    logq: float = Field(
        1.0,
        ge=0,
        description="How much of the logarithm of an item's rate among the negatives 'cross_entropy' subtracts from its "
        "score in training: 1 in all settings that the authors publish for this loss, 0 by their program's default",
    )
    penalty: float = Field(
        1.0, ge=0, description="Weight of the penalty on the scores of negatives in 'bpr_max'"
    )


def fit(task):
    from functools import partial

    import torch
    from torch import nn

    from alterrec.sequence_models.batch_negatives import BatchNegativesLearner, bpr_max, cross_entropy
    from alterrec.sequence_models.prefix_network import (
        PrefixNetwork,
        at_last,
        fit_prefix_network,
        with_bias,
    )

    config = task.config

    class GRU4Rec(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            self.gru = nn.GRU(config.dimension, config.dimension, batch_first=True)
            self.bias = nn.Parameter(torch.empty(items))
            self.dropout = nn.Dropout(config.dropout)

        def session_vectors(self, items, length):
            hidden, _ = self.gru(self.dropout(self.item(items)))
            return self.dropout(at_last(hidden, length))

        def forward(self, batch):
            return with_bias(*super().forward(batch), self.bias)

    counts = torch.from_numpy(task.dataset.train_count).to(task.device)

    class CrossEntropyLearner(BatchNegativesLearner):
        """Cross-entropy of scores minus the logarithm of how often an item is a target, or of its weight in the draw."""

        def __init__(self, network):
            super().__init__(network, self.corrected, config.negatives, popularity)
            self.log_count = counts.clamp(min=1).log()

        def loss(self, batch, epoch):
            self.log_rate = self.log_count[batch.target]
            return super().loss(batch, epoch)

        def drawn(self):
            items = super().drawn()
            of_drawn = config.popularity_exponent * self.log_count[items]
            self.log_rate = torch.cat([self.log_rate, of_drawn])
            return items

        def corrected(self, scores):
            return cross_entropy(scores - config.logq * self.log_rate)

    popularity = counts.double() ** config.popularity_exponent
    of_bpr_max = partial(bpr_max, penalty=config.penalty)

    def learner(network):
        if config.loss == "cross_entropy":
            return CrossEntropyLearner(network)
        return BatchNegativesLearner(network, of_bpr_max, config.negatives, popularity)

    return fit_prefix_network(task, GRU4Rec, learner)
