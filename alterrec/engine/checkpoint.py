"""The progress of a training run, and the file that keeps it: a run that was killed continues to the same bits."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from alterrec.engine.learner_interface import Learner
from alterrec.errors import Stopped
from alterrec.files import atomic

logger = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """One file beside a run's outputs, complete or absent, named by the hash of everything that decides the run's result.

    After the `deadline`, in seconds since 1970, the run is to stop at the end of its epoch. `seconds_before` is what the run
    took up to the saved state from which it continued at `started`, by `time.perf_counter`.
    """

    path: Path
    deadline: float = math.inf
    started: float = field(default_factory=time.perf_counter)
    seconds_before: float = 0.0

    @classmethod
    def of(cls, folder: Path, identity: dict, deadline: float = math.inf) -> Checkpoint:
        """The checkpoint of the run in `folder`. Those of other identities (older settings, data or code) are deleted."""
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        own = cls(folder / f"checkpoint-{key}.pt", deadline)
        for path in folder.glob("checkpoint-*.pt"):
            if path != own.path:
                path.unlink(missing_ok=True)
        return own

    def save(self, state: dict) -> None:
        """Write tensors and plain containers, the states of the random generators and the seconds of the run so far."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        with atomic(self.path) as temporary, temporary.open("wb") as file:
            randomness = {"cpu_random": torch.get_rng_state(), "cuda_random": cuda}
            torch.save(state | randomness | {"seconds": self.seconds()}, file)
            file.flush()
            os.fsync(file.fileno())

    def seconds(self) -> float:
        """How long the run took in all processes so far. What a killed process did after its last epoch is not counted."""
        return self.seconds_before + time.perf_counter() - self.started

    def stop_if_late(self) -> None:
        """Raise `Stopped` after the deadline."""
        if time.time() > self.deadline:
            raise Stopped(f"the time is over: the run continues from {self.path}")

    def load(self) -> dict | None:
        """What was saved, after resetting the random generators to it; None if nothing usable was saved."""
        if not self.path.is_file():
            return None
        try:
            if broken := ZipFile(self.path).testzip():  # torch does not compare the checksums
                raise BadZipFile(f"the checksum of {broken} differs")
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types for a broken file
            logger.warning("%s cannot be read (%s): training starts from the beginning", self.path, error)
            return None
        self.seconds_before, self.started = state.pop("seconds"), time.perf_counter()
        torch.set_rng_state(state.pop("cpu_random"))
        cuda = state.pop("cuda_random")
        if cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(cuda)
        return state

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


@dataclass
class Kept:
    """The weights of `networks` as they were after the epoch that is the best so far, and the value that chose it."""

    networks: tuple[str, ...]
    value: float = -1.0
    epoch: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


class Progress:
    """Where a training run stands: weights, optimisers, the order's generator, history, and what is kept of it."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], order: np.random.Generator
    ):
        self.module, self.optimisers, self.order = learner.module, optimisers, order
        self.updates = dict.fromkeys(learner.networks, 0)
        self.labels = dict.fromkeys(learner.networks, 0)
        self.history: list[dict] = []
        self.kept = {column: Kept(networks) for column, networks in learner.chosen_by.items()}

    def record(self, row: dict) -> None:
        """Add a finished epoch to the history; keep the weights of the networks for which it is the best."""
        self.history.append(row)
        for column, kept in self.kept.items():
            if row["network"] in kept.networks and row[column] > kept.value:
                kept.value, kept.epoch = row[column], row["epoch"]
                kept.weights = {
                    key: value.clone()
                    for key, value in self.module.state_dict().items()
                    if key.split(".")[0] in kept.networks
                }

    def kept_epochs(self) -> dict[str, int]:
        """The epoch of the run, for each network, whose weights are kept."""
        return {network: kept.epoch for kept in self.kept.values() for network in kept.networks}

    def kept_weights(self) -> dict[str, torch.Tensor]:
        """The weights of all networks, each as it was after its kept epoch; as it is now if it never trained."""
        kept = {key: value for each in self.kept.values() for key, value in each.weights.items()}
        return dict(self.module.state_dict()) | kept

    def epochs_without_gain(self, treated_from: int = 0) -> int:
        """How many epochs of its own every network has had, at least, since its kept epoch and from `treated_from` on."""
        first = {network: max(kept + 1, treated_from) for network, kept in self.kept_epochs().items()}
        return min(
            sum(row["network"] == network and row["epoch"] >= first[network] for row in self.history)
            for network in first
        )

    def state(self) -> dict:
        return {
            "weights": self.module.state_dict(),
            "optimisers": {name: each.state_dict() for name, each in self.optimisers.items()},
            "order": self.order.bit_generator.state,
            "updates": self.updates,
            "labels": self.labels,
            "history": self.history,
            "kept": {column: [each.value, each.epoch, each.weights] for column, each in self.kept.items()},
        }

    def restore(self, state: dict) -> None:
        self.module.load_state_dict(state["weights"])
        for name, each in self.optimisers.items():
            each.load_state_dict(state["optimisers"][name])
            for group in each.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"] = group["lr"].to(next(self.module.parameters()).device)
        self.order.bit_generator.state = state["order"]
        self.updates, self.labels, self.history = state["updates"], state["labels"], state["history"]
        for column, each in self.kept.items():
            each.value, each.epoch, each.weights = state["kept"][column]
