"""A training run's state after its last finished epoch, so that a killed run goes on where it was, to the same bits."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from alterrec.files import atomic

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """One file beside a run's outputs, whole or absent, named by the hash of all that decides the run's result."""

    path: Path

    @classmethod
    def of(cls, folder: Path, identity: dict) -> Checkpoint:
        """The checkpoint of the run in `folder`; those of other identities (older settings, data or code) go."""
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        own = cls(folder / f"checkpoint-{key}.pt")
        for path in folder.glob("checkpoint-*.pt"):
            if path != own.path:
                path.unlink(missing_ok=True)
        return own

    def save(self, state: dict) -> None:
        """Write tensors and plain containers, with the random generators' states."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        with atomic(self.path) as temporary, temporary.open("wb") as file:
            torch.save(state | {"cpu_random": torch.get_rng_state(), "cuda_random": cuda}, file)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> dict | None:
        """What was saved, the random generators set back; None where there is nothing to go on from."""
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types for a broken file
            logger.warning("%s cannot be read (%s): training starts anew", self.path, error)
            return None
        torch.set_rng_state(state.pop("cpu_random"))
        cuda = state.pop("cuda_random")
        if cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(cuda)
        return state

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
