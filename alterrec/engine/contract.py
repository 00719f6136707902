"""The contract of a baseline: what its file declares, what it is given, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from alterrec.data.dataset import Dataset
from alterrec.engine.checkpoint import Checkpoint
from alterrec.engine.windows import Batch
from alterrec.study.settings import ModelConfig


@dataclass(frozen=True)
class Task:
    """What a model is given: a prepared dataset, its text vectors, settings, seed, and the runs that it builds on.

    `text` is (vectors [M, w], text_of_item [N]), or None for a model that uses no text. `required` maps the names in
    the baseline's `requires` to the folders of their runs. A training run that was killed continues from `checkpoint`.
    With the `weights` of its finished run a network is read instead of trained.
    Training stops after the first `share` of its epochs, without any other change of their schedule.
    """

    dataset: Dataset
    config: ModelConfig
    seed: np.random.SeedSequence
    text: tuple[np.ndarray, np.ndarray] | None = None
    required: Mapping[str, Path] = field(default_factory=dict)
    device: torch.device = torch.device("cpu")
    checkpoint: Checkpoint | None = None
    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    share: Fraction = Fraction(1)

    def text_tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`text` as tensors on the device."""
        vectors, text_of_item = self.text
        return torch.from_numpy(vectors).to(self.device), torch.from_numpy(text_of_item).to(self.device)

    def seed_torch(self) -> np.random.Generator:
        """Seed torch for initialisation, dropout and negatives; return the generator for the order of batches."""
        torch_seed, order = self.seed.generate_state(2, np.uint64)
        torch.manual_seed(int(torch_seed) & (2**63 - 1))
        return np.random.default_rng(order)


class Scorer(Protocol):
    """A trained model. `blend_parts` names the two scores that its "model" score blends; None if it blends none."""

    blend_parts: tuple[str, str] | None

    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        """[I, N] scores under "model" and, where the model has such parts, under "id" and "text"."""


@dataclass
class Fitted:
    """A model that is ready to rank, with its history (a row per epoch), its weights and facts for metrics.json."""

    scorer: Scorer
    history: list[dict] = field(default_factory=list)
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)


class Baseline(Protocol):
    """What a file of baselines/ declares at its top level. Only the first three are required.

    Its docstring says what the model is and cites its paper. Everything but `fit` is read without importing torch.
    """

    version: int
    """Part of every run's specification: raise it when results change."""
    Config: type[ModelConfig]
    """The settings that the model takes."""

    def fit(self, task: Task) -> Fitted:
        """Train the model (or read it) and return it ready to rank."""

    family: str = "external"
    """Where tables show it: control, single, fusion, ensemble, method or external."""
    label: str
    """Its name in tables and figures; the file's name if it is not stated."""
    uses_text: bool = False
    """Whether it reads `task.text`."""
    requires: tuple[str, ...] = ()
    """Models whose runs it reads, on the same dataset and seed."""
    networks: tuple[str, ...] = ()
    """The models of one network whose tuned settings its own networks take, where it is not tuned itself. Where it is tuned,
    one of its trials has the best settings of both."""
    variant_of: str | None = None
    """The model that it changes in one idea. It is compared with that model and, where it is not tuned itself, takes that
    model's tuned settings."""
    space: Mapping[str, dict | list] = {}
    """What `snakemake tune` varies of the model's own settings: lists of choices, or ranges {"low", "high", "log"}."""
    tuned_in_one_rung: bool = False
    """Whether its first epochs say nothing of its settings, as those of a pre-training. `snakemake tune` then prunes none of
    its trials. It has fewer of them, which train as many epochs in all as another model's."""
    deterministic: bool = False
    """Whether the seed changes nothing: it then runs once."""
