"""The settings that all models, all neural models or all forms of AlterRec share.

docs/configuration.md is made from the descriptions of the fields. Defaults are the paper's where it states them
(section 5.1), or else those of the authors' released program. `defaults` in a study's config replaces them.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TUNED_KEYS = ("initialisation", "learning_rate", "schedule", "dropout")
"""The shared keys that `snakemake tune` varies. A text network beside an ID network has its own, with the prefix text_."""

TREATMENTS = ("hard", "augmented", "frozen_id", "frozen_text", "finetune")
"""The modes of an epoch in which a network learns from the other one (see alterrec/method/alternation.py), without one of its
branches (see alterrec/method/learners.py), or after pre-training."""

Blending = Literal["raw", "zscore", "validation"]
Alpha = Annotated[float, Field(ge=0, le=1)] | Literal["validation"]
Schedule = Literal["step", "constant", "cosine"]
LearningRate = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Initialisation = Literal["authors", "xavier"]
TextInitialisation = Literal["authors", "xavier", "unit_gain"]
SequenceInitialisation = Literal["authors", "xavier", "normal"]
TEXT_INITIALISATION = (
    "'authors' and 'xavier' are as for every network. 'unit_gain' is 'xavier' with the LayerNorm gains of the text "
    "item matrix at 1 as well, so that its scores start 1 / temperature times as large"
)


class ModelConfig(BaseModel):
    """Settings of every model. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    max_length: int = Field(
        50, ge=1, description="Number of items of a prefix that the model reads: its last ones. Authors': 50"
    )


class NeuralConfig(ModelConfig):
    """Settings of every neural model. All of them get the same budget."""

    dimension: int = Field(
        300, ge=2, description="Width d of all vectors. It must be a multiple of `heads`. Authors': 300"
    )
    blocks: int = Field(2, ge=1, description="Number of transformer blocks of a session encoder. Authors': 2")
    heads: int = Field(2, ge=1, description="Number of attention heads of a transformer block. Authors': 2")
    dropout: Dropout = Field(0.1, description="Dropout probability. Authors': 0.1")
    temperature: float = Field(
        0.07, gt=0, description="Temperature tau. Text scores are divided by it. Authors': 0.07"
    )
    epochs: int = Field(
        30,
        ge=1,
        description="Largest number of training epochs of each network. A model that trains two networks in turns has "
        "twice as many in all. Authors': at most 30",
    )
    patience: int | None = Field(
        15,
        ge=1,
        description="Training stops once every network has had this many epochs of its own without a better "
        "validation Hits@20. Epochs before the first one on hard negatives or additional labels, with a frozen branch, or "
        "after pre-training, do not count. With null every network has all of its `epochs`, so that budgets are equal. "
        "Authors': 15",
    )
    batch_size: int = Field(
        512, ge=1, description="Approximate number of instances per optimiser step. Authors': 512"
    )
    batches: Literal["prefixes", "sessions"] = Field(
        "prefixes",
        description="Which instances share an optimiser step. 'prefixes' draws single instances, whatever their sessions, as "
        "the authors do. 'sessions' draws whole sessions or pieces of them, which costs less computation",
    )
    prefixes_per_session: int | None = Field(
        None,
        ge=1,
        description="With `batches: sessions`, largest number of neighbouring prefixes of a session in a piece. null "
        "leaves sessions whole",
    )
    learning_rate: LearningRate = Field(
        1e-3, description="Learning rate of Adam at the first epoch. Authors': 0.001"
    )
    schedule: Schedule = Field(
        "step",
        description="'step' multiplies the learning rate by `decay` after every `id_decay_every` or "
        "`text_decay_every` epochs, as the authors do. 'constant' leaves it as it is. 'cosine' lowers it to 0 along half a "
        "cosine over the network's `epochs`",
    )
    decay: float = Field(0.1, gt=0, le=1, description="Factor of the step schedule. Authors': 0.1")
    id_decay_every: int = Field(
        2,
        ge=1,
        description="Number of its own epochs after which an ID network or an early fusion decays its learning rate. "
        "Authors': 2",
    )
    text_decay_every: int = Field(
        5,
        ge=1,
        description="Number of its own epochs after which a text network decays its learning rate. Authors': 5",
    )
    initialisation: Initialisation = Field(
        "authors",
        description="'authors' draws every parameter from a uniform distribution, LayerNorm gains included, as the "
        "authors do. 'xavier' is Xavier-uniform with LayerNorm gains of 1; the gains of a text item matrix start at "
        "`temperature`, which cancels the division of text scores by it",
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "tf32",
        description="Precision of the factors of matrix products in training. 'tf32' applies to a GPU; a CPU then uses "
        "float32. Parameters, softmax and sums are always float32. 'bfloat16' does not apply to the item vectors or to "
        "the computation of ranks",
    )

    def of_text_network(self) -> Self:
        """The settings of the text network: each text_ setting that is not null replaces the one without the prefix."""
        own = {key: getattr(self, f"text_{key}", None) for key in TUNED_KEYS}
        return self.model_copy(update={key: value for key, value in own.items() if value is not None})

    @model_validator(mode="after")
    def heads_divide_dimension(self):
        if self.dimension % self.heads:
            raise ValueError(
                f"dimension {self.dimension} is not a multiple of heads {self.heads}: change one of them"
            )
        return self


class TextConfig(NeuralConfig):
    """Settings of a text network that is trained alone. It has one more initialisation, 'unit_gain'."""

    initialisation: TextInitialisation = Field("authors", description=TEXT_INITIALISATION)


class SequenceConfig(NeuralConfig):
    """Settings of a model from another paper. It has one more initialisation, 'normal'."""

    initialisation: SequenceInitialisation = Field(
        "xavier",
        description="'authors' and 'xavier' are as for every network. 'normal' draws matrices from a normal distribution "
        "with standard deviation 0.02; LayerNorm gains are 1 and biases 0",
    )
    schedule: Schedule = "constant"


class FusionConfig(NeuralConfig):
    """Settings of a model that learns from ids and texts. Its text part may be initialised and optimised differently."""

    text_initialisation: TextInitialisation | None = Field(
        None,
        description=f"Initialisation of the text part. null takes `initialisation`. {TEXT_INITIALISATION}",
    )
    text_dropout: Dropout | None = Field(
        None, description="Dropout probability of the text part. null takes `dropout`"
    )
    text_learning_rate: LearningRate | None = Field(
        None, description="Learning rate of the text part. null takes `learning_rate`"
    )
    text_schedule: Schedule | None = Field(
        None,
        description="Schedule of the text part. null takes `schedule`. In a fusion, 'step' then means every "
        "`id_decay_every` epochs for both parts; a 'step' that is stated here means every `text_decay_every`",
    )


class NaiveFusionConfig(FusionConfig):
    """Settings of a naive fusion, whose ID branch and text branch train under one loss. One of them may be frozen."""

    id_dropout: Dropout = Field(
        0.0,
        description="Dropout probability of the ID embeddings. `dropout` is that of the session encoder and, without "
        "`text_dropout`, of the projected texts",
    )
    freeze: Literal["none", "id", "text"] = Field(
        "none",
        description="The branch that does not learn after `freeze_after` epochs: the item vectors of that modality or, in "
        "score fusion, that network",
    )
    freeze_after: int = Field(
        0, ge=0, description="Number of epochs after which the branch named by `freeze` is frozen"
    )


class BlendConfig(ModelConfig):
    """How two scores become one: alpha * ID score + (1 - alpha) * text score."""

    blend: Blending = Field(
        "raw",
        description="'raw' blends the scores as they are, as the authors do. 'zscore' first standardises each score "
        "per instance over the catalogue. 'validation' takes the one with the better validation Hits@20",
    )
    alpha: Alpha = Field(
        0.5,
        description="Weight of the ID score (of the first score, where both are ID scores). 'validation' takes the "
        "one of 0, 0.1, ..., 1 with the best validation Hits@20. Authors': 0.5",
    )


class NegativesConfig(ModelConfig):
    """The negatives against which a network is trained, where it is not the whole catalogue."""

    k1: int = Field(
        20, ge=0, description="Hard negatives come after the k1 best items of the other network. Authors': 20"
    )
    k2: int = Field(
        20000,
        ge=1,
        description="Hard negatives come from the k2 best items of the other network. k2 is cut to half the catalogue. "
        "An instance has k2 - k1 negatives, half of them hard; a network that is trained alone draws all of them "
        "uniformly. Authors': 20000",
    )
    negatives: Literal["multiset", "set"] = Field(
        "multiset",
        description="'multiset' counts a negative as often as it was drawn, as the authors do. 'set' counts it once",
    )


class AlterRecConfig(FusionConfig, BlendConfig, NegativesConfig):
    """Settings of AlterRec: two networks that train in turns."""

    m_gap: int = Field(
        2, ge=1, description="Number of epochs after which the other network trains. Authors': 2"
    )
    m_random: int = Field(
        4,
        ge=0,
        description="Number of first epochs of the run that use random negatives only. Authors' command: 4",
    )
    hard_negatives_for: Literal["both", "id", "text", "none"] = Field(
        "both", description="The networks that learn from hard negatives, which the other network ranks"
    )
    choice: Literal["joint", "separate"] = Field(
        "joint",
        description="The epoch that is kept. 'joint' keeps both networks as they were at the best validation Hits@20 of "
        "the fused score, as the authors do. 'separate' keeps each network as it was at its own best validation Hits@20",
    )
    augment: bool = Field(
        False,
        description="Whether the other network's `p` best items are additional labels of an instance (AlterRec_aug)",
    )
    p: int = Field(5, ge=1, description="Number of additional labels of an instance. Authors': 5")
    beta: float = Field(
        0.5,
        ge=0,
        description="Weight of the mean loss of the additional labels beside that of the instances. Authors': 0.5",
    )
    positives_from: Literal["other", "id"] = Field(
        "other",
        description="The network that gives the additional labels: the other one, as in the paper, or always the ID "
        "network, as in the authors' program",
    )
    augmented_prefix: Literal["clean", "padded"] = Field(
        "clean",
        description="How the prefix of an augmented instance is read. 'padded' repeats item 0 behind it up to "
        "`max_length`, as the authors' program does; it needs `batches: prefixes`",
    )
    augmented_epoch: Literal["equal_steps", "all_instances", "larger_batches"] = Field(
        "equal_steps",
        description="Length of an epoch with additional labels. 'equal_steps' has as many optimiser steps as an epoch "
        "without them, and so sees one of p + 1 labels. 'larger_batches' has as many steps too, each of p + 1 times "
        "`batch_size` instances, and sees every label. 'all_instances' has p + 1 times as many steps and sees every "
        "label, as the authors do",
    )

    @model_validator(mode="after")
    def padding_needs_single_prefixes(self):
        if self.augment and self.augmented_prefix == "padded" and self.batches == "sessions":
            raise ValueError(
                "augmented_prefix: padded needs `batches: prefixes`, not sessions: change one of them"
            )
        return self
