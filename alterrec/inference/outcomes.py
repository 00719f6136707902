"""What the tests compare: Hits@20 and NDCG@20 of every test instance, summed per session."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from alterrec.inference.statistics import SessionSums
from alterrec.ranking.metrics import K, expected
from alterrec.ranking.rank_file import PARTS

METRICS = ("Hits", "NDCG")
SCOPES = ("all", "last")  # all prefixes of a session, or only the one before its last item


class Outcomes:
    """Hits@20 and NDCG@20 of all test instances of a dataset, for all models, available as sums per session.

    `instances` is the dataset's `instance_table`, `bin_of_item` [N] each item's popularity bin, and `models` the
    section of that name in the study.
    """

    def __init__(self, name: str, instances: pd.DataFrame, bin_of_item: np.ndarray, models: dict[str, dict]):
        self.name, self.models = name, models
        self.test = (instances["split"] == "test").to_numpy()
        test = instances[self.test]
        self.sessions, self.session_of = np.unique(test["session"].to_numpy(), return_inverse=True)
        self.last, self.bin = test["last"].to_numpy(), bin_of_item[test["target"].to_numpy()]
        # (model, part) -> seed -> [I, METRICS]
        self.values: dict[tuple[str, str], dict[int, np.ndarray]] = {}
        # model -> seed -> validation Hits@20
        self.validation: dict[str, dict[int, float]] = {}
        # (model, seed) -> its networks (see budgets.py)
        self.budgets: dict[tuple[str, int], pd.DataFrame] = {}

    def add(self, model: str, seed: int, ranks: pd.DataFrame) -> None:
        """Add one run by its checked ranks, which are in the order of the instances."""
        for part, prefix in (("model", ""), *((part, f"{part}_") for part in PARTS)):
            if f"{prefix}above" in ranks:
                above, ties = (
                    ranks[f"{prefix}{column}"].to_numpy()[self.test] for column in ("above", "ties")
                )
                values = np.stack([expected(metric, K, above, ties) for metric in METRICS], axis=1)
                self.values.setdefault((model, part), {})[seed] = values
        hits = expected("Hits", K, *(ranks[column].to_numpy()[~self.test] for column in ("above", "ties")))
        self.validation.setdefault(model, {})[seed] = float(hits.mean()) if len(hits) else float("nan")

    def runs(self) -> Iterator[tuple[str, int]]:
        """The model and seed of every run that was added."""
        return (
            (model, seed) for (model, part), seeds in self.values.items() if part == "model" for seed in seeds
        )

    def __contains__(self, model: str) -> bool:
        return (model, "model") in self.values

    def has_part(self, model: str, part: str) -> bool:
        return (model, part) in self.values

    def in_family(self, *families: str) -> list[str]:
        """The models of these families that ran on this dataset, in the order of the study."""
        return [
            model for model, about in self.models.items() if about.get("family") in families and model in self
        ]

    def naive_fusions(self) -> list[str]:
        """The fusions that ran, without variants of one that ran, such as a fusion with modality dropout."""
        return [name for name in self.in_family("fusion") if self.models[name].get("variant_of") not in self]

    def best_on_validation(self, models: Iterable[str]) -> str | None:
        """Of the models that ran, the first with the highest mean validation Hits@20; None if none ran."""
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
        """The sums per session of one metric, in one of SCOPES and in one popularity bin or in all of them."""
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
