"""Reads a study's summary folder: its tables, and the order, labels and families of its models and datasets.

Scripts of figures and tables read `results/<name>/summary` only, never a run. Values there are fractions; each
script multiplies by 100 what it prints as percent.
"""

import argparse
import json
import re
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
"""The rows of the metrics table that a script gets by default, at the cut-off `Study.k`."""
VERSION = 1  # the version of the summary format that these scripts read
NOT_TESTED = "not tested"
FLOOR, COMPARED, CEILING = 0, 1, 2
ROLE_SUFFIX = {FLOOR: " (floor)", COMPARED: "", CEILING: " (ceiling)"}
ENSEMBLES = {
    "late_ensemble": "{label}: an ID network and a text network, trained independently; their scores are added with "
    "weights α and 1 − α.",
    "late_ensemble_sampled": "{label}: an ID network and a text network, trained independently against "
    "uniform negatives; their scores are added with weights α and 1 − α.",
    "stacked_ensemble": "{label}: the networks of the late ensemble, with weights that are learned on validation.",
    "id_ensemble": "{label}: two ID networks, trained independently; their scores are added with weights α and 1 − α.",
}


class Study:
    """A summary folder: `read` returns its tables; order, labels and roles come from study.json.

    `k` is the cut-off of every tested metric, `level` the two-sided level of every significance mark.
    UserError if study.json is missing or has another version than `VERSION`.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        path = self.folder / "study.json"
        if not path.is_file():
            raise UserError(
                f"{path} is missing: give the summary folder of a study, for example results/demo/summary"
            )
        study = json.loads(path.read_text(encoding="utf-8"))
        if study.get("version") != VERSION:
            raise UserError(
                f"{path}: the summary has version {study.get('version')}, but these scripts read version {VERSION}: "
                "run `alterrec summarise` again"
            )
        self.name, self.k, self.level = study["name"], study["k"], study["level"]
        self.seeds, self.cells = study.get("seeds", []), study.get("cells", [])
        self.environments: list[dict] = study.get("environments", [])  # an older summary has none
        self.primary = PRIMARY | {"k": self.k}
        self.models: dict[str, dict] = in_cell_order(study, "model")
        self.datasets: dict[str, dict] = in_cell_order(study, "dataset")
        # an older summary does not name them
        self.not_in_study: dict[str, dict] = study.get("models_not_in_study", {})

    def read(self, table: str) -> pd.DataFrame:
        """One table of the summary. UserError if its file is missing."""
        path = self.folder / f"{table}.parquet"
        if not path.is_file():
            raise UserError(f"{path} is missing: run `alterrec summarise` again")
        return pd.read_parquet(path)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        return self.read("metrics")

    @cached_property
    def significance(self) -> pd.DataFrame:
        return self.read("significance")

    @cached_property
    def long_tail(self) -> pd.DataFrame:
        return self.read("long_tail")

    @property
    def real_datasets(self) -> list[str]:
        """The datasets that are not the twin of another dataset of the study, in the study's order."""
        return [name for name, about in self.datasets.items() if about.get("twin_of") not in self.datasets]

    def claims(self) -> pd.DataFrame:
        """The claims, their components and controls, with `primary` as bool."""
        claims = self.read("claims")
        return claims.assign(primary=claims.primary.fillna(False).astype(bool))

    def label(self, model: str) -> str:
        return (self.models.get(model) or self.not_in_study.get(model, {})).get("label") or model

    def with_labels(self, text: str) -> str:
        """A sentence about the suite's models and the study's datasets, with their labels instead of their keys.

        Models outside the families that claims compare stay as they are: "random" is also an ordinary word.
        """
        known = self.not_in_study | self.models
        compared = ("single", "fusion", "ensemble", "method")
        labels = {model: self.label(model) for model in known if known[model].get("family") in compared}
        labels |= {dataset: self.dataset_label(dataset) for dataset in self.datasets}
        keys = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
        return (
            re.sub(rf"(?<![\w-])(?:{keys})(?![\w-])", lambda found: labels[found[0]], text) if keys else text
        )

    def dataset_label(self, dataset: str) -> str:
        return self.datasets.get(dataset, {}).get("label") or dataset

    def family(self, model: str) -> str:
        return self.models.get(model, {}).get("family", "external")

    def base(self, model: str) -> str:
        return self.models.get(model, {}).get("base", model)

    def varied(self, model: str) -> str | None:
        """The model of this study that `model` is a variant of; None if there is none."""
        of = self.models.get(model, {}).get("variant_of")
        return of if of in self.models else None

    def of_family(self, *families: str) -> list[str]:
        return [model for model in self.models if self.family(model) in families]

    def naive_fusions(self) -> list[str]:
        """The fusions of the study, without variants of one of them, such as a fusion with modality dropout."""
        return [model for model in self.of_family("fusion") if not self.varied(model)]

    def ordered(self, models: Iterable[str]) -> list[str]:
        """The models in the study's order. Models that study.json does not name come last, sorted by name."""
        known = set(models)
        return [m for m in self.models if m in known] + sorted(known - set(self.models))

    def role(self, model: str) -> int:
        """FLOOR for random, popularity and Markov; CEILING for the oracle; COMPARED for every other model."""
        if self.family(model) != "control":
            return COMPARED
        return CEILING if self.base(model) == "oracle" else FLOOR

    def best_fusion(self, dataset: str) -> str | None:
        """The naive fusion that the long-tail table names; without one, the best on validation Hits@20."""
        named = self.long_tail.loc[self.long_tail.dataset == dataset, "best_fusion"].dropna()
        if len(named):
            return named.iloc[0]
        means = self.validation_hits(dataset).mean()
        means = means[means.index.isin(self.naive_fusions())]
        return means.idxmax() if len(means) else None

    def validation_hits(self, dataset: str) -> SeriesGroupBy:
        """Validation Hits@20 over all prefixes, one value per seed, grouped by model."""
        where = self.primary | {"split": "validation"}
        return select(self.metrics, dataset=dataset, **where).groupby("model", observed=True).value

    def scores(self, dataset: str, wanted: dict[str, dict]) -> pd.DataFrame:
        """One row per model, with the columns <key> (mean over seeds) and <key>_sd for each key of `wanted`.

        `wanted[key]` holds what differs from `primary` (test Hits@20 of the whole model over all prefixes).
        """
        here = self.metrics[self.metrics.dataset == dataset]
        models = sorted(self.ordered(here.model.unique()), key=self.role)
        table = pd.DataFrame(
            {"dataset": dataset, "model": models, "_label": [self.row_label(m) for m in models]}
        )
        table["_group"] = [self.role(m) for m in models]
        over_seeds = here.groupby([*self.primary, "model"], observed=True).value.agg(["mean", "std"])
        for key, changes in wanted.items():
            where = tuple((self.primary | changes).values())
            found = (
                over_seeds.loc[where]
                if where in over_seeds.index
                else over_seeds.iloc[:0].droplevel([*self.primary])
            )
            table[key] = table.model.map(found["mean"]).astype(float)
            table[f"{key}_sd"] = table.model.map(found["std"]).astype(float)
        return table.dropna(subset=list(wanted), how="all").reset_index(drop=True)

    def cost(self, dataset: str) -> pd.DataFrame:
        """The seconds of every run, and `total`: these and the seconds of the runs whose networks it reads."""
        cost = select(self.read("cost"), dataset=dataset)
        seconds = cost.set_index(["model", "seed"]).seconds
        total = [
            run.seconds + sum(seconds.get((name, run.seed), float("nan")) for name in self.members(run.model))
            for run in cost.itertuples()
        ]
        return cost.assign(total=total)

    def members(self, model: str) -> list[str]:
        """The other models whose networks an ensemble reads."""
        return [name for name in self.models.get(model, {}).get("networks", []) if name != model]

    def row_label(self, model: str) -> str:
        return self.label(model) + ROLE_SUFFIX[self.role(model)]

    def missing_models(self, models: Iterable[str]) -> list[str]:
        """A sentence that names those of `models` that the study does not have; empty if it has all."""
        missing = [self.label(model) for model in models if model not in self.models]
        return [f"Not in this study: {', '.join(missing)}."] if missing else []

    def ensemble_notes(self, models: Iterable[str]) -> list[str]:
        """A sentence that explains each ensemble among `models`."""
        shown = set(models)
        return [text.format(label=self.label(m)) for m, text in ENSEMBLES.items() if m in shown]

    def data_notes(self) -> list[str]:
        """What a reader must know before drawing conclusions from these datasets: demo data, drawn order."""
        data = self.read("datasets").set_index("dataset").reindex(self.real_datasets)
        demo = data.demo.fillna(False).astype(bool)
        drawn_order = ~data.order_known.fillna(True).astype(bool)
        reservations = {
            "Demonstration data, which are not evidence for any claim": demo,
            "The order of items within a session is not recorded and was drawn at random": drawn_order,
        }
        return [
            f"{text}: {', '.join(map(self.dataset_label, data.index[rows]))}."
            for text, rows in reservations.items()
            if rows.any()
        ]


def in_cell_order(study: dict, kind: str) -> dict[str, dict]:
    """The study's models or datasets in the order of its cells, because the keys of study.json are sorted."""
    about = study[f"{kind}s"]
    order = dict.fromkeys(cell[kind] for cell in study.get("cells", []))
    return {name: about[name] for name in [*order, *about] if name in about}


def select(frame: pd.DataFrame, **where) -> pd.DataFrame:
    """The rows whose columns equal the given values."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def bin_range(row) -> str:
    """The range of frequencies of a row of long_tail, as in 1–4, or 5 if it is one frequency; "cold" for none."""
    if row.bin == 0:
        return "cold"
    low, high = f"{row.low_count:,.0f}", f"{row.high_count:,.0f}"
    return low if low == high else f"{low}–{high}"


def sort_rows(frame: pd.DataFrame, study: Study, *then: str) -> pd.DataFrame:
    """Rows sorted by dataset, role and model in the study's order, then by the columns `then`."""
    models = study.ordered(frame.model.unique())
    keyed = frame.assign(
        _dataset=frame.dataset.map(list(study.datasets).index),
        _role=frame.model.map(study.role),
        _model=frame.model.map(models.index),
    )
    keys = ["_dataset", "_role", "_model"]
    return keyed.sort_values([*keys, *then], kind="stable").drop(columns=keys).reset_index(drop=True)


def run(main: Callable[[Study, Path], None], description: str) -> None:
    """The command line of every script: SUMMARY_DIR OUT_DIR."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("summary", type=Path, help="summary folder of a study: results/<name>/summary")
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    arguments = parser.parse_args()
    try:
        main(Study(arguments.summary), arguments.out)
    except UserError as error:
        sys.exit(f"error: {error}")
