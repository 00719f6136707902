"""TedRec: IDs and texts of a prefix are fused in the frequency domain, before a transformer reads them.

Xu et al., Sequence-level semantic representation fusion for recommender systems, CIKM 2024 (arXiv 2402.18166). Reference
implementation: github.com/Sherry-XLL/TedRec. The product of two spectra along the prefix is the circular convolution of ID
and text vectors, so that each position sees the texts of the whole prefix. Texts come from the adaptor of UniSRec; the
catalogue is scored by IDs alone. Text vectors are scaled as in `unisrec`. Texts count only as factors of ID vectors. The ID
vectors of rare items are nearly random, so their products with texts are, too. It is expected to be near sasrec_softmax, and
to gain little from texts on rare items.

Departures: behind a prefix stand zeros, where the program has the adaptor's value for no text and a random ID vector; the
adaptor's shift is the same at every position; the gates start from `initialisation`, where the program's start at zero; the
feed-forward layer has width 4d instead of 256; the optimiser, the batches and the choice of the epoch are the suite's. A step
takes more time than one of sasrec_softmax, because eight experts read the text of every item of a prefix.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 2
label = "TedRec"
uses_text = True
space = {"adaptor_dropout": {"low": 0.0, "high": 0.5}, "temperature": {"low": 0.02, "high": 0.2, "log": True}}


class Config(SequenceConfig):
    """The authors' settings."""

    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"
    experts: int = Field(8, ge=1, description="Number of experts of the adaptor")
    adaptor_dropout: Dropout = Field(
        0.2, description="Dropout probability of the text vectors in each expert"
    )


def fit(task):
    from dataclasses import replace
    from functools import partial

    import torch
    from torch.nn import functional as F

    from alterrec.sequence_models.experts import MixtureOfExperts
    from alterrec.sequence_models.frequency_fusion import FrequencyFusion
    from alterrec.sequence_models.prefix_network import PrefixLearner, filled, fit_prefix_network
    from alterrec.sequence_models.text_network import PrefixNetworkWithTexts, cosines
    from alterrec.sequence_models.transformer import Transformer

    class TedRec(PrefixNetworkWithTexts):
        def __init__(self, items, config):
            super().__init__(items, config, *task.text_tensors())
            d = config.dimension
            self.temperature = config.temperature
            self.scale = self.text.shape[1] ** 0.5
            self.adaptor = MixtureOfExperts(self.text.shape[1], d, config.experts, config.adaptor_dropout)
            self.fuse = FrequencyFusion(config.max_length, d)
            self.encoder = Transformer(config, config.max_length)

        def states(self, batch):
            ids = self.item(batch.tokens)  # [P, d]
            texts = self.adaptor(self.scale * self.texts_of(batch.tokens))
            places = replace(batch, tokens=torch.arange(len(batch.tokens), device=ids.device)).prefix_rows()
            return torch.cat([self.session_vectors(ids, texts, *block) for block in places])

        def session_vectors(self, ids, texts, place, length):
            """[i, d] of the prefixes whose tokens are the first `length` [i] of each row of `place` [i, T]."""
            inside = filled(length, place.shape[1])[:, :, None]
            fused = self.fuse(*(F.embedding(place, vectors) * inside for vectors in (ids, texts)))
            return self.encoder.last_states(fused, length)

        def forward(self, batch):
            return cosines(*super().forward(batch), self.temperature)

    return fit_prefix_network(task, TedRec, partial(PrefixLearner, modality="joint"))
