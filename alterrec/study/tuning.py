"""Equal-budget tuning: every tuned model has the same number of trials, and the best one on validation is chosen.

Trials are pruned by synchronous successive halving (Jamieson and Talwalkar, AISTATS 2016). A rung trains its trials up to
a share of their epochs; the best third goes on to the next rung, from its checkpoint. The job of a place in a rung looks
up at its start which trial of the rung before has that place, so all jobs are known beforehand. A trial's score is the
validation Hits@20 of its best epoch so far, the measure by which training selects an epoch. A model that trains no network
and declares a space has as many trials, in one rung; their score is that of the model. A model that begins with a
pre-training (`tuned_in_one_rung`) would be judged by it in the first rungs, so none of its trials is pruned: it has fewer
trials, which train as many epochs in all.

A model of an ID and a text network has a larger space than each network alone, and the networks of a late ensemble are tuned
one at a time. So such a model has one more trial, which enters the last rung: the composed trial, with the settings of the
best trials of both networks alone, and with its own settings at their defaults.
"""

import logging
import shutil
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic_core import to_jsonable_python

from alterrec.errors import UserError
from alterrec.files import atomic, read_json, write_text
from alterrec.study.resolve import Study
from alterrec.study.search_space import SHARED, Range, Space, points, space_of

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

REDUCTION = 3
"""How many trials of a rung compete for a place in the next one, and how many times as far the next one trains."""

RECORD = "{dataset}/{model}/rung-{rung}/{place}.json"
"""Where the job of a place writes its record, in the study's folder tuning/. Rungs and places count from 1."""

RESULTS = ["validation_hits20", "best_epoch", "epochs", "updates", "seconds"]
"""What a job's record holds beside the trial's spec: seconds of training, the others as in the history of a run."""

COLUMNS = ["dataset", "model", "seed", "trial", "rung", *SHARED, "own", *RESULTS, "edge"]
"""The columns of the record as a table. `own` has the settings that not every model shares, as text."""


def tuned_cells(study: Study) -> list[tuple[str, str]]:
    """Every (dataset, model) to tune: registered models that read no other run and have settings to vary.

    No twins are tuned, and of the variants only those that declare a space of their own.
    """
    tuning = study.config.tuning
    datasets = tuning.datasets or [name for name in study.config.datasets if not study.twin_of(name)]
    models = [name for name in tuning.models or study.config.models if is_tuned(study, name)]
    return [(dataset, model) for dataset in datasets for model in models if model in study.models_of(dataset)]


def is_tuned(study: Study, name: str) -> bool:
    model = study.registered.get(name)
    if model is None or model.external or model.requires or (model.variant_of and not model.space):
        return False
    return model.trains_a_network or bool(model.space)


def search_space(study: Study, model: str) -> Space:
    """The settings that the trials of a model vary: not those that the config's definition of the model states."""
    return space_of(study.model(model), study.config.tuning.space, study.model_definition(model))


def trials(study: Study, dataset: str, model: str) -> dict[int, dict]:
    """Number -> settings of the trials of a model on a dataset.

    On one dataset all models try the same values of the settings that they share.
    """
    number, _ = rungs(study, model)[0]
    seed = zlib.crc32(f"{dataset} {study.config.tuning.seed}".encode())
    return dict(enumerate(points(search_space(study, model), number, seed), 1))


def trial_specs(study: Study, dataset: str, model: str) -> dict[int, dict]:
    """Number -> everything that decides a trial's result: its spec as a cell, and the space that it is a point of."""
    space = to_jsonable_python(search_space(study, model))
    return {
        number: study.spec(dataset, model, study.config.tuning.seed, **settings)
        | {"trial": number, "space": space}
        for number, settings in trials(study, dataset, model).items()
    }


def rungs(study: Study, model: str) -> list[tuple[int, Fraction]]:
    """(number of trials, share of a run's epochs up to which they train) of every rung.

    A model without epochs has one rung. So has one whose file says `tuned_in_one_rung`, with as many trials as the other
    models' epochs suffice for.
    """
    number = study.config.tuning.trials
    last = study.config.tuning.rungs - 1 if study.model(model).trains_a_network else 0
    found = []
    for rung in range(last + 1):
        found.append((number, Fraction(1, REDUCTION ** (last - rung))))
        number = -(-number // REDUCTION)
    if study.model(model).tuned_in_one_rung:
        return [(whole_trainings(found), Fraction(1))]
    return found


def whole_trainings(halving: list[tuple[int, Fraction]]) -> int:
    """How many trials train all of their epochs in the epochs of all rungs together, rounded down."""
    before = [Fraction(0), *(share for _, share in halving)]
    return int(sum(number * (share - done) for (number, share), done in zip(halving, before, strict=False)))


def record_paths(study: Study, dataset: str, model: str, rung: int) -> list[str]:
    """The record of every place in a rung, in the study's folder tuning/."""
    number, share = rungs(study, model)[rung - 1]
    places = range(1, number + 1 + int(share == 1 and bool(members(study, dataset, model))))
    return [RECORD.format(dataset=dataset, model=model, rung=rung, place=place) for place in places]


def all_record_paths(study: Study) -> Iterator[str]:
    """The records of all jobs of the search; those of a rung come before those of the next one."""
    for rung in range(1, study.config.tuning.rungs + 1):
        for dataset, model in tuned_cells(study):
            if rung <= len(rungs(study, model)):
                yield from record_paths(study, dataset, model, rung)


def ranked(records: Iterable[dict]) -> list[dict]:
    """The records of a rung, the best first. The earlier trial wins a tie."""
    return sorted(records, key=lambda record: (-record["validation_hits20"], record["spec"]["trial"]))


def promoted(records: Iterable[Path], place: int) -> dict:
    """The spec of the trial that has the `place`-th best of some records, counted from 1."""
    return ranked(map(read_json, records))[place - 1]["spec"]


@dataclass(frozen=True)
class Trial:
    """How a job finds the spec of its trial.

    In the first rung it is `spec`. In a later one it is that of the `place`-th best of the records `previous`. The composed
    trial's is `spec` with the settings of the best records `of_id` and `of_text`.
    """

    spec: dict | None = None
    previous: tuple[Path, ...] = ()
    place: int = 1
    of_id: tuple[Path, ...] = ()
    of_text: tuple[Path, ...] = ()

    @property
    def records(self) -> tuple[Path, ...]:
        """All records that it reads."""
        return self.previous + self.of_id + self.of_text

    def find(self) -> dict:
        if self.previous:
            return promoted(self.previous, self.place)
        if not self.of_id:
            return self.spec
        of_networks = {"": promoted(self.of_id, 1), "text_": promoted(self.of_text, 1)}
        best = {
            prefix + key: value for prefix, spec in of_networks.items() for key, value in tried(spec).items()
        }
        shared = {key: value for key, value in best.items() if key in SHARED}
        return self.spec | {"config": self.spec["config"] | shared}


def trials_of_rung(study: Study, folder: Path, dataset: str, model: str, rung: int) -> dict[Path, Trial]:
    """Record -> trial of all places of a rung. `folder` is the study's folder tuning/."""

    def records(of_model: str, of_rung: int) -> tuple[Path, ...]:
        return tuple(folder / path for path in record_paths(study, dataset, of_model, of_rung))

    number, share = rungs(study, model)[rung - 1]
    if rung == 1:
        found = [Trial(spec) for spec in trial_specs(study, dataset, model).values()]
    else:
        found = [Trial(previous=records(model, rung - 1), place=place) for place in range(1, number + 1)]
    if share == 1 and (networks := members(study, dataset, model)):
        of_id, of_text = (records(network, rung) for network in networks)
        found.append(Trial(composed_spec(study, dataset, model), of_id=of_id, of_text=of_text))
    return dict(zip(records(model, rung), found, strict=True))


def members(study: Study, dataset: str, model: str) -> list[str]:
    """The tuned models of an ID and a text network whose best settings the composed trial has; empty if there is none."""
    found = [tuned_network(study, dataset, name) for name in study.model(model).networks]
    return found if len(found) == 2 and all(found) else []


def tuned_network(study: Study, dataset: str, model: str) -> str | None:
    """The model if it is tuned on the dataset, else the tuned model of one network whose settings it takes, if any."""
    if (dataset, model) in tuned_cells(study):
        return model
    networks = study.model(model).networks
    return tuned_network(study, dataset, networks[0]) if networks else None


def composed_spec(study: Study, dataset: str, model: str) -> dict:
    """The spec of the composed trial before the networks' settings are known, without any that were tuned earlier."""
    untuned, tuning = replace(study, tuned={}), study.config.tuning
    space = to_jsonable_python(search_space(study, model))
    return untuned.spec(dataset, model, tuning.seed) | {"trial": tuning.trials + 1, "space": space}


def choose(study: Study, folder: Path) -> None:
    """Write the settings of the best trials as <name>.yaml and all records as <name>.csv; delete the checkpoints.

    `folder` is the study's folder tuning/, in which every job has written its record. UserError if one is missing.
    """
    rows, chosen, cells = [], {}, tuned_cells(study)
    if not cells:
        raise UserError(
            "tuning: no model of the study has settings to vary on a dataset that is tuned: nothing to choose"
        )
    for dataset, model in cells:
        for rung in range(1, len(rungs(study, model)) + 1):
            records = ranked(read_records(folder, record_paths(study, dataset, model, rung)))
            rows += [record_row(record, rung) for record in records]
        best = rows[-len(records)]
        best["edge"] = " ".join(edges(records[0]["spec"]))
        if best["edge"]:
            logger.info(
                "%s on %s: the best trial is at an edge of the space in %s. Extend tuning.space there where the setting "
                "allows it, once and for all models alike, and tune again.",
                *(model, dataset, best["edge"]),
            )
        chosen.setdefault(dataset, {})[model] = tried(records[0]["spec"])
    write_record(folder / f"{study.config.name}.csv", rows)
    heading = (
        "# Chosen by validation Hits@20 with `snakemake tune`. The CSV file beside it has every trial.\n"
    )
    write_text(folder / f"{study.config.name}.yaml", heading + yaml.safe_dump(chosen))
    for dataset, model in cells:
        for trial in (folder / dataset / model).glob("trial-*"):
            shutil.rmtree(trial)


def read_records(folder: Path, paths: Iterable[str]) -> Iterator[dict]:
    for path in paths:
        if not (folder / path).is_file():
            raise UserError(f"{folder / path} is missing: run `snakemake tune` to the end first")
        yield read_json(folder / path)


def record_row(record: dict, rung: int) -> dict:
    spec = record["spec"]
    about = {key: spec[key] for key in ("dataset", "model", "seed", "trial")} | {"rung": rung}
    return about | tried(spec) | {key: record[key] for key in RESULTS} | {"edge": ""}


def tried(spec: dict) -> dict:
    """The settings of a trial that its space varies."""
    return {key: spec["config"][key] for key in spec["space"]}


def edges(spec: dict) -> list[str]:
    """The settings of a trial that lie at an edge of their range, or are the least or greatest of several numbers."""
    return [key for key, options in spec["space"].items() if at_edge(options, spec["config"][key])]


def at_edge(options: dict | list, value) -> bool:
    if isinstance(options, dict):
        return Range(**options).at_edge(value)
    ordered = len(options) > 2 and all(type(option) in (int, float) for option in options)
    return ordered and value in (min(options), max(options))


def write_record(path: Path, rows: list[dict]) -> None:
    """Write one row for each trial and rung; models' own settings are columns behind the shared ones.

    Scores are precise enough to rank the trials as the records do.
    """
    import pandas as pd

    table = pd.DataFrame([row | {"seconds": float(f"{row['seconds']:.6g}")} for row in rows])
    own = [key for key in table if key not in COLUMNS]
    place = COLUMNS.index("own")
    shared = [key for key in COLUMNS[:place] if key in table]
    with atomic(path) as temporary:
        table[[*shared, *own, *COLUMNS[place + 1 :]]].to_csv(temporary, index=False, float_format="%.12g")


def read_record(path: Path | None) -> "pd.DataFrame":
    """A record with the columns `COLUMNS`; a column that it lacks is empty. No rows if `path` is None.

    UserError if it has no scores.
    """
    import pandas as pd

    if path is None:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.read_csv(path)
    required = ["dataset", "model", "seed", "validation_hits20", "best_epoch", "epochs", "updates"]
    if missing := [column for column in required if column not in table]:
        raise UserError(
            f"{path} has no column {', '.join(missing)}: use the record that `snakemake tune` wrote"
        )
    own = pd.read_csv(path, dtype=str).drop(columns=COLUMNS, errors="ignore")
    as_text = [
        ", ".join(f"{key} {value}" for key, value in row.dropna().items()) for _, row in own.iterrows()
    ]
    return table.assign(own=as_text).reindex(columns=COLUMNS)
