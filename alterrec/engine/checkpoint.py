"""The progress of a training run, and the file that keeps it: a run that was killed continues to the same bits."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from alterrec.engine.learner_interface import Learner
from alterrec.files import atomic

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """One file beside a run's outputs, complete or absent, named by the hash of everything that decides the run's result."""

    path: Path

    @classmethod
    def of(cls, folder: Path, identity: dict) -> Checkpoint:
        """The checkpoint of the run in `folder`. Those of other identities (older settings, data or code) are deleted."""
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        own = cls(folder / f"checkpoint-{key}.pt")
        for path in folder.glob("checkpoint-*.pt"):
            if path != own.path:
                path.unlink(missing_ok=True)
        return own

    def save(self, state: dict) -> None:
        """Write tensors and plain containers, and the states of the random generators."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        with atomic(self.path) as temporary, temporary.open("wb") as file:
            torch.save(state | {"cpu_random": torch.get_rng_state(), "cuda_random": cuda}, file)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> dict | None:
        """What was saved, after resetting the random generators to it; None if nothing usable was saved."""
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types for a broken file
            logger.warning("%s cannot be read (%s): training starts from the beginning", self.path, error)
            return None
        torch.set_rng_state(state.pop("cpu_random"))
        cuda = state.pop("cuda_random")
        if cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(cuda)
        return state

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class Progress:
    """Where a training run stands: weights, optimisers, the order's generator, history, and the best epoch so far."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], order: np.random.Generator
    ):
        self.module, self.optimisers, self.order = learner.module, optimisers, order
        self.updates = dict.fromkeys(learner.networks, 0)
        self.history: list[dict] = []
        self.best, self.best_epoch, self.best_weights = -1.0, 0, {}

    def record(self, row: dict) -> None:
        """Add a finished epoch to the history; keep its weights if they are the best."""
        self.history.append(row)
        if row["hits20"] > self.best:
            self.best, self.best_epoch = row["hits20"], row["epoch"]
            self.best_weights = copy.deepcopy(self.module.state_dict())

    def epochs_without_gain(self) -> int:
        """How many epochs of its own every network has had since the best epoch, at least."""
        since = [row["network"] for row in self.history if row["epoch"] > self.best_epoch]
        return min(since.count(network) for network in self.updates)

    def state(self) -> dict:
        return {
            "weights": self.module.state_dict(),
            "optimisers": {name: each.state_dict() for name, each in self.optimisers.items()},
            "order": self.order.bit_generator.state,
            "updates": self.updates,
            "history": self.history,
            "best": [self.best, self.best_epoch, self.best_weights],
        }

    def restore(self, state: dict) -> None:
        self.module.load_state_dict(state["weights"])
        for name, each in self.optimisers.items():
            each.load_state_dict(state["optimisers"][name])
            for group in each.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"] = group["lr"].to(next(self.module.parameters()).device)
        self.order.bit_generator.state = state["order"]
        self.updates, self.history = state["updates"], state["history"]
        self.best, self.best_epoch, self.best_weights = state["best"]
