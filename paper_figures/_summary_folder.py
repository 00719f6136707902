"""The one way into a summary folder: its tables, the study's order and labels, its reservations.

Figures and tables read `results/<name>/summary` only, never a run. Values are fractions there; what is
printed as percent is multiplied by 100 where it is printed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import pandas as pd
from pandas.api.typing import SeriesGroupBy

from alterrec.errors import UserError

PRIMARY = {
    "split": "test",
    "part": "model",
    "scope": "all",
    "targets": "all",
    "catalogue": "full",
    "metric": "Hits",
}
"""What is reported unless a script asks otherwise, at the summary's own cut-off `Study.k`."""
VERSION = 1  # of the summary format that these scripts read


class Study:
    """A study's summary folder: its tables through `read`, order, labels and roles from study.json.

    `k` is the cut-off of everything that was tested, `level` the two-sided level of every significance mark.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        path = self.folder / "study.json"
        if not path.is_file():
            raise UserError(
                f"{path} is missing: give the summary folder of a study, e.g. results/demo/summary"
            )
        study = json.loads(path.read_text(encoding="utf-8"))
        if study.get("version") != VERSION:
            raise UserError(f"{path} is of another version of the suite: make the summary again")
        self.name, self.k, self.level = study["name"], study["k"], study["level"]
        self.primary = PRIMARY | {"k": self.k}
        self.models: dict[str, dict] = as_run(study, "model")
        self.datasets: dict[str, dict] = as_run(study, "dataset")

    def read(self, table: str) -> pd.DataFrame:
        """One table of the summary; UserError where its file is missing."""
        path = self.folder / f"{table}.parquet"
        if not path.is_file():
            raise UserError(f"{path} is missing: make the summary again")
        return pd.read_parquet(path)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        return self.read("metrics")

    @cached_property
    def significance(self) -> pd.DataFrame:
        return self.read("significance")

    @cached_property
    def tail(self) -> pd.DataFrame:
        return self.read("long_tail")

    @property
    def real_datasets(self) -> list[str]:
        """Datasets that are not the permuted twin of another one of the study, in the study's order."""
        return [name for name, about in self.datasets.items() if about.get("twin_of") not in self.datasets]

    def label(self, model: str) -> str:
        return self.models.get(model, {}).get("label") or model

    def dataset_label(self, dataset: str) -> str:
        return self.datasets.get(dataset, {}).get("label") or dataset

    def family(self, model: str) -> str:
        return self.models.get(model, {}).get("family", "external")

    def base(self, model: str) -> str:
        return self.models.get(model, {}).get("base", model)

    def of_family(self, *families: str) -> list[str]:
        return [model for model in self.models if self.family(model) in families]

    def ordered(self, models: Iterable[str]) -> list[str]:
        """The models in the study's order; those that study.json does not name come last, by name."""
        known = set(models)
        return [m for m in self.models if m in known] + sorted(known - set(self.models))

    def role(self, model: str) -> int:
        """0 for a floor (random, popularity), 1 for a model under comparison, 2 for the ceiling (oracle)."""
        if self.family(model) != "control":
            return 1
        return 2 if self.base(model) == "oracle" else 0

    def best_fusion(self, dataset: str) -> str | None:
        """The naive fusion that the long-tail table names, or else the best on validation Hits@20."""
        named = self.tail.loc[self.tail.dataset == dataset, "best_fusion"].dropna()
        if len(named):
            return named.iloc[0]
        means = self.on_validation(dataset).mean()
        means = means[means.index.isin(self.of_family("fusion"))]
        return means.idxmax() if len(means) else None

    def on_validation(self, dataset: str) -> SeriesGroupBy:
        """Validation Hits@20 over all prefixes, a value per seed, grouped by model."""
        where = self.primary | {"split": "validation"}
        return select(self.metrics, dataset=dataset, **where).groupby("model", observed=True).value

    def scores(self, dataset: str, wanted: dict[str, dict]) -> pd.DataFrame:
        """One row per model: each key of `wanted` as mean over seeds, `<key>_sd` as standard deviation.

        `wanted[key]` says what differs from `primary` (test Hits@20 of the whole model over all prefixes).
        """
        here = self.metrics[self.metrics.dataset == dataset]
        models = sorted(self.ordered(here.model.unique()), key=self.role)
        table = pd.DataFrame(
            {"dataset": dataset, "model": models, "_label": [self.row_label(m) for m in models]}
        )
        table["_group"] = [self.role(m) for m in models]
        over_seeds = here.groupby([*self.primary, "model"], observed=True).value.agg(["mean", "std"])
        for key, differs in wanted.items():
            where = tuple((self.primary | differs).values())
            found = (
                over_seeds.loc[where]
                if where in over_seeds.index
                else over_seeds.iloc[:0].droplevel([*self.primary])
            )
            table[key] = table.model.map(found["mean"]).astype(float)
            table[f"{key}_sd"] = table.model.map(found["std"]).astype(float)
        return table.dropna(subset=list(wanted), how="all").reset_index(drop=True)

    def row_label(self, model: str) -> str:
        return self.label(model) + {0: " (floor)", 1: "", 2: " (ceiling)"}[self.role(model)]

    def absent(self, models: Iterable[str]) -> list[str]:
        """A sentence that names the models that the study leaves out, if there are any."""
        missing = [self.label(model) for model in models if model not in self.models]
        return [f"Not in this study: {', '.join(missing)}."] if missing else []

    def remarks(self) -> list[str]:
        """What a reader may not conclude from these datasets: one sentence per reservation."""
        data = self.read("datasets").set_index("dataset").reindex(self.real_datasets)
        demo = data.demo.fillna(False).astype(bool)
        drawn = ~data.order_known.fillna(True).astype(bool)
        kinds = {
            "Demonstration data, never evidence": demo,
            "The order of items within a session is not recorded but drawn": drawn,
        }
        return [
            f"{what}: {', '.join(map(self.dataset_label, data.index[rows]))}."
            for what, rows in kinds.items()
            if rows.any()
        ]


def as_run(study: dict, kind: str) -> dict[str, dict]:
    """The study's models or datasets in the order of its cells: the keys of a JSON file may be sorted."""
    about = study[f"{kind}s"]
    order = dict.fromkeys(cell[kind] for cell in study.get("cells", []))
    return {name: about[name] for name in [*order, *about] if name in about}


def select(frame: pd.DataFrame, **where) -> pd.DataFrame:
    """The rows whose columns equal the given values."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def in_order(frame: pd.DataFrame, study: Study, *then: str) -> pd.DataFrame:
    """Rows by dataset, role and model in the study's order, then by the columns `then`."""
    models = study.ordered(frame.model.unique())
    ranks = frame.assign(
        _dataset=frame.dataset.map(list(study.datasets).index),
        _role=frame.model.map(study.role),
        _model=frame.model.map(models.index),
    )
    places = ["_dataset", "_role", "_model"]
    return ranks.sort_values([*places, *then], kind="stable").drop(columns=places).reset_index(drop=True)


def run(main: Callable[[Study, Path], None], description: str) -> None:
    """Command line of every script: SUMMARY_DIR OUT_DIR."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("summary", type=Path, help="summary folder of a study: results/<name>/summary")
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    arguments = parser.parse_args()
    try:
        main(Study(arguments.summary), arguments.out)
    except UserError as error:
        sys.exit(f"error: {error}")
