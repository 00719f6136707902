"""What tests compare: Hits@20 and NDCG@20 of every test instance, summed per session."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from alterrec.analysis.statistics import SessionSums
from alterrec.ranking.metrics import K, expected
from alterrec.ranking.rank_file import PARTS

METRICS = ("Hits", "NDCG")
SCOPES = ("all", "last")  # all prefixes of a session, or its last item only


class Outcomes:
    """Hits@20 and NDCG@20 of all test instances of a dataset, for all models, handed out as sums per session.

    `bin_of_item` [N] is each item's popularity bin; `models` is the study's section of that name.
    """

    def __init__(self, name: str, where: pd.DataFrame, bin_of_item: np.ndarray, models: dict[str, dict]):
        self.name, self.models = name, models
        self.test = (where["split"] == "test").to_numpy()
        test = where[self.test]
        self.sessions, self.session_of = np.unique(test["session"].to_numpy(), return_inverse=True)
        self.last, self.bin = test["last"].to_numpy(), bin_of_item[test["target"].to_numpy()]
        self.values: dict[tuple[str, str], dict[int, np.ndarray]] = {}
        self.validation: dict[str, dict[int, float]] = {}
        self.updates: dict[str, dict[str, list[int]]] = {}  # model -> network -> one count per seed

    def add(self, model: str, seed: int, ranks: pd.DataFrame) -> None:
        """Take in the checked ranks of one run, in the order of the instances."""
        for part, prefix in (("model", ""), *((part, f"{part}_") for part in PARTS)):
            if f"{prefix}above" in ranks:
                above, ties = (
                    ranks[f"{prefix}{column}"].to_numpy()[self.test] for column in ("above", "ties")
                )
                values = np.stack([expected(metric, K, above, ties) for metric in METRICS], axis=1)
                self.values.setdefault((model, part), {})[seed] = values
        hits = expected("Hits", K, *(ranks[column].to_numpy()[~self.test] for column in ("above", "ties")))
        self.validation.setdefault(model, {})[seed] = float(hits.mean()) if len(hits) else float("nan")

    def add_updates(self, model: str, history: pd.DataFrame) -> None:
        """Take in how often the networks of one run were updated in all."""
        for network, count in history.groupby("network")["updates"].max().items():
            self.updates.setdefault(model, {}).setdefault(network, []).append(int(count))

    def __contains__(self, model: str) -> bool:
        return (model, "model") in self.values

    def has_part(self, model: str, part: str) -> bool:
        return (model, part) in self.values

    def in_family(self, *families: str) -> list[str]:
        """The models of these families that ran on this dataset, in the study's order."""
        return [
            model for model, about in self.models.items() if about.get("family") in families and model in self
        ]

    def best(self, models: Iterable[str]) -> str | None:
        """The model with the best mean validation Hits@20 of those that ran; the first of equals."""
        means = {model: np.mean(list(self.validation[model].values())) for model in models if model in self}
        return max(means, key=means.get) if means else None

    def sums(
        self,
        model: str,
        scope: str = "all",
        metric: str = "Hits",
        part: str = "model",
        bin: int | None = None,
    ) -> SessionSums:
        """Sums per session [S, K] of a metric at 20, over all prefixes or the last, in one bin or all."""
        mask = self.last if scope == "last" else np.ones(len(self.last), bool)
        if bin is not None:
            mask = mask & (self.bin == bin)
        sessions, rows = len(self.sessions), self.session_of[mask]
        seeds = self.values[model, part]
        columns = [values[mask, METRICS.index(metric)] for values in seeds.values()]
        about = self.models.get(model, {})
        return SessionSums(
            sums=np.stack([np.bincount(rows, column, sessions) for column in columns], axis=1),
            counts=np.bincount(rows, minlength=sessions),
            seeds=tuple(seeds),
            networks=frozenset(f"{self.name}/{network}" for network in about.get("networks", [model])),
            deterministic=len(seeds) == 1
            and bool(about.get("deterministic", about.get("family") == "control")),
            name=f"{self.name}/{model}",
        )
