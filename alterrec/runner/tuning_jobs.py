"""The jobs of a study's tuning, with the files of the workflow's rule `tune_trial`."""

import math
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path

from alterrec.errors import UserError
from alterrec.execute import execute_trial
from alterrec.files import read_json
from alterrec.runner.jobs import Job
from alterrec.study.resolve import Study
from alterrec.study.tuning import Trial, members, rungs, trials_of_rung, tuned_cells


def tuning_jobs(
    study: Study, folder: Path, models: Collection[str] = (), deadline: float = math.inf
) -> dict[str, Job]:
    """Name -> job that trains the trial of a place in a rung, of all tuned models or of some `models`.

    The searches that a composed trial needs are added. `folder` is the study's. One search, of a model on a dataset, has its
    turn after the other, so that an interrupted portion has whole searches. Training stops after the `deadline`. UserError
    for a model that is not tuned.
    """
    tuned = dict.fromkeys(model for _, model in tuned_cells(study))
    for model in models:
        if model not in tuned:
            raise UserError(f"--only: the study does not tune {model!r}; it tunes {', '.join(tuned)}")
    cells = [cell for cell in tuned_cells(study) if not models or cell[1] in models]
    needed = {(dataset, network) for dataset, model in cells for network in members(study, dataset, model)}
    cells = [cell for cell in tuned_cells(study) if cell in needed or cell in cells]
    jobs = [job for turn, cell in enumerate(cells) for job in search(study, folder, *cell, turn, deadline)]
    return {job.name: job for job in jobs}


def search(study: Study, folder: Path, dataset: str, model: str, turn: int, deadline: float) -> Iterator[Job]:
    """The jobs of one search. Those of a later rung wait for all records of the rung before."""
    data = folder / "data" / dataset
    for rung, (_, share) in enumerate(rungs(study, model), 1):
        for record, trial in trials_of_rung(study, folder / "tuning", dataset, model, rung).items():
            yield Job(
                name=str(record),
                kind=f"{dataset}/{model}/rung-{rung}",
                function=run_trial,
                arguments=(trial, share, data, record, deadline),
                log=folder / "logs/tune" / record.relative_to(folder / "tuning").with_suffix(".json.log"),
                done=lambda record=record, trial=trial, share=share: is_recorded(record, trial, share),
                product=record,
                needs=tuple(map(str, trial.records)),
                turn=turn,
                results=(record,),
            )


def run_trial(trial: Trial, share: Fraction, data: Path, record: Path, deadline: float) -> None:
    execute_trial(trial.find(), share, data, record, deadline)


def is_recorded(record: Path, trial: Trial, share: Fraction) -> bool:
    """Whether the record is there and is of the trial that has the place now, up to this share of its epochs."""
    if not all(path.is_file() for path in (record, *trial.records)):
        return False
    found = read_json(record)
    return found["spec"] == trial.find() and found.get("share") == str(share)
