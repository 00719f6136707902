"""What a model can be told: the settings that every model or every neural model shares.

Defaults are the paper's where it states them (section 5.1 and the authors' program); a study's config file overrides.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TUNED = ("initialisation", "learning_rate", "schedule", "dropout")
"""What `snakemake tune` varies; a text network beside an ID network may have its own, under text_."""

Blending = Literal["raw", "zscore", "validation"]
Share = Annotated[float, Field(ge=0, le=1)] | Literal["validation"]
Schedule = Literal["step", "constant"]
Rate = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Initialisation = Literal["authors", "xavier"]
TextInitialisation = Literal["authors", "xavier", "unit_gain"]
TEXT_INITIALISATION = (
    "'authors' and 'xavier' as for every network; "
    "'unit_gain': a text matrix's gains 1 too, logits 1 / tau times as large"
)


class ModelConfig(BaseModel):
    """Settings of one model; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    max_length: int = Field(50, ge=1, description="items of a prefix that the model sees, the last ones")


class NeuralConfig(ModelConfig):
    """Settings shared by all neural models, so that all of them get equal chances."""

    dimension: int = Field(300, ge=2, description="width d of all vectors; a multiple of `heads`")
    blocks: int = Field(2, ge=1, description="transformer blocks of a session encoder")
    heads: int = Field(2, ge=1, description="attention heads")
    dropout: Dropout = 0.1
    temperature: float = Field(0.07, gt=0, description="tau: text scores are divided by it")
    epochs: int = Field(30, ge=1, description="budget of each network in its own epochs")
    patience: int = Field(
        15,
        ge=1,
        description="stop when every network has had so many epochs of its own without a better validation Hits@20",
    )
    batch_size: int = Field(512, ge=1, description="instances per optimiser step, about")
    learning_rate: Rate = 1e-3
    schedule: Schedule = Field("step", description="the authors' step decay, or none")
    decay: float = Field(0.1, gt=0, le=1, description="factor of the step decay")
    id_decay_every: int = Field(2, ge=1, description="own epochs of an ID or fused network between decays")
    text_decay_every: int = Field(5, ge=1, description="own epochs of a text network between decays")
    initialisation: Initialisation = Field(
        "authors",
        description="'authors': every parameter uniform, LayerNorm gains too; 'xavier': gains 1, but a text matrix's "
        "tau, which cancels the division of its scores by tau",
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "tf32",
        description="of the factors of matrix products in training; tf32 is a GPU's (a CPU then uses float32). Parameters, "
        "softmax and sums are float32 always; bfloat16 leaves the item vectors and all ranks alone",
    )

    def of_text_network(self) -> Self:
        """The settings of the text network: where a model has an ID network as well, its text_ settings come first."""
        own = {key: getattr(self, f"text_{key}", None) for key in TUNED}
        return self.model_copy(update={key: value for key, value in own.items() if value is not None})

    @model_validator(mode="after")
    def heads_divide_dimension(self):
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is not a multiple of heads {self.heads}")
        return self


class TextConfig(NeuralConfig):
    """Settings of a text network alone: it alone divides its scores by a temperature, so it alone can start too large."""

    initialisation: TextInitialisation = Field("authors", description=TEXT_INITIALISATION)


class FusionConfig(NeuralConfig):
    """Settings of a model that learns from ids and texts: its text part may have its own start and dropout."""

    text_initialisation: TextInitialisation | None = Field(
        None, description=f"of the text part; null = as `initialisation`. {TEXT_INITIALISATION}"
    )
    text_dropout: Dropout | None = Field(None, description="of the text part; null = as `dropout`")


class BlendConfig(ModelConfig):
    """How two scores become one: alpha * id + (1 - alpha) * text, raw or z-scored per instance over the catalogue."""

    blend: Blending = Field("raw", description="'validation' chooses on validation")
    alpha: Share = Field(0.5, description="weight of the first (ID) score, or chosen on validation")


class AlterRecConfig(FusionConfig, BlendConfig):
    """Settings of the alternation. `epochs` is each network's budget, so a run has twice as many."""

    text_learning_rate: Rate | None = Field(
        None, description="of the text network; null = as `learning_rate`"
    )
    text_schedule: Schedule | None = Field(None, description="of the text network; null = as `schedule`")
    m_gap: int = Field(2, ge=1, description="epochs between switches")
    m_random: int = Field(4, ge=0, description="first epochs of the run that use random negatives only")
    hard_negatives_for: Literal["both", "id", "text", "none"] = Field(
        "both", description="the networks that learn from hard negatives of the other"
    )
    k1: int = Field(20, ge=0, description="hard negatives start after the other network's k1 best items")
    k2: int = Field(20000, ge=1, description="and end with its rank k2, at most half the catalogue")
    negatives: Literal["multiset", "set"] = Field(
        "multiset", description="a repeated draw counts repeatedly, or once"
    )
    augment: bool = Field(
        False, description="AlterRec_aug: the other network's top p items are further labels"
    )
    p: int = Field(5, ge=1, description="augmented positives of an instance")
    beta: float = Field(0.5, ge=0, description="weight of their loss")
    positives_from: Literal["other", "id"] = Field("other", description="'id' as in the authors' program")
    augmented_epoch: Literal["equal_steps", "all_instances"] = Field(
        "equal_steps",
        description="an augmented epoch has a plain one's optimiser steps, or p + 1 times as many",
    )
