"""SASRec with full softmax: SASRec as the library RecBole trains it, under cross-entropy over the whole catalogue.

Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018; Klenitskiy and Vasilev (RecSys 2023) show that this
loss decides SASRec's quality. Reference implementation: RecBole 1.2.1 (Zhao et al., CIKM 2021), whose blocks are those of
BERT: GELU, LayerNorm after each residual, biases in the attention. It is expected to be close to id_only, which has ReLU,
no biases in the attention, and normalised item vectors. Departure: the optimiser, the batches and the choice of the epoch
are the suite's.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "SASRec, full softmax"


class Config(SequenceConfig):
    """The settings of RecBole's SASRec."""

    dimension: int = Field(64, ge=2)
    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"


def fit(task):
    from alterrec.sequence_models.prefix_network import PrefixNetwork, fit_prefix_network
    from alterrec.sequence_models.transformer import Transformer

    class SASRec(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            self.encoder = Transformer(config, config.max_length)

        def states(self, batch):
            return self.encoder.of_batch(self.item(batch.tokens), batch)

    return fit_prefix_network(task, SASRec)
