"""What the workflow shows: a line for each finished run, errors, and the results of a finished study."""

import json
import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from alterrec.progress import run_lines
from alterrec.progress.closing import closing
from alterrec.progress.run_lines import RunLines, is_no_step, is_shown
from alterrec.study.load import load_study
from tests.unit import synthetic_summary
from tests.unit.test_progress import BENCHMARK, STUDY

CELLS = {
    3: ("produce", "popularity", 1),
    4: ("produce", "id_only", 1),
    5: ("produce", "id_only", 2),
    6: ("produce", "of_another_program", 1),
}


def record(message: str = "", level: int = logging.INFO, **extra) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    made.__dict__.update(extra)
    return made


def finished(job: int) -> logging.LogRecord:
    return record(f"Finished jobid: {job}", event=LogEvent.JOB_FINISHED, job_id=job)


@pytest.fixture
def folder(tmp_path):
    """The results of a study with three finished runs and the costs that the workflow measured."""
    for cell, seconds, hits in ((CELLS[3], 2.0, 0.25), (CELLS[4], 40.0, 0.3), (CELLS[5], 44.0, 0.5)):
        dataset, model, seed = cell
        run = tmp_path / "small/runs" / dataset / model / f"seed-{seed}"
        run.mkdir(parents=True)
        (run / "ranks.parquet").touch()
        (run / "metrics.json").write_text(json.dumps({"test": {"Hits@20": hits}, "seconds": seconds}))
        measured = tmp_path / "small/benchmarks/train" / dataset / model / f"seed-{seed}.tsv"
        measured.parent.mkdir(parents=True, exist_ok=True)
        measured.write_text(BENCHMARK + f"{seconds}\t0:00\t100\t0\t0\t0\t0\t0\t0\t0\n")
    return tmp_path / "small"


def test_the_screen_has_no_block_per_job_but_every_error():
    for event in (LogEvent.JOB_INFO, LogEvent.SHELLCMD, LogEvent.RUN_INFO, LogEvent.WORKFLOW_STARTED):
        assert not is_shown(record(event=event))
    assert not is_shown(record("Select jobs to execute..."))
    assert is_shown(record("Nothing to be done"))
    for event in (LogEvent.JOB_ERROR, LogEvent.ERROR):
        assert is_shown(record(level=logging.ERROR, event=event)) and is_no_step(record(event=event))
    assert is_shown(record(event=LogEvent.PROGRESS)) and not is_no_step(record(event=LogEvent.PROGRESS))


def test_each_finished_run_has_a_line_with_its_score_seconds_and_the_time_left(folder, monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(run_lines.time, "monotonic", lambda: now[0])
    lines = RunLines(load_study(STUDY), folder, CELLS)
    for job, seconds in ((3, 100.0), (99, 101.0), (4, 120.0), (6, 130.0), (5, 140.0)):
        now[0] = seconds
        lines.handle(finished(job))
    unknown = (2 + 42 + 42) / 3  # the mean of the others
    second = (120 - 98) * (42 + unknown) / (2 + 42)
    third = (130 - 98) * 42 / (2 + 42 + unknown)
    assert capsys.readouterr().err.splitlines() == [
        "[1 of 4] produce/popularity/seed-1: Hits@20 25.00, 2 s, about 2 min left",  # 2 s * (84 + unknown) / 2
        f"[2 of 4] produce/id_only/seed-1: Hits@20 30.00, 40 s, about {second:.0f} s left",
        f"[3 of 4] produce/of_another_program/seed-1: about {third:.0f} s left",
        "[4 of 4] produce/id_only/seed-2: Hits@20 50.00, 44 s",
    ]


def test_a_study_ends_with_its_best_models_its_verdicts_and_where_to_look(tmp_path):
    synthetic_summary.write(tmp_path / "summary")
    lines = closing(tmp_path).splitlines()
    assert len(lines) <= 10
    [scores] = [line for line in lines if line.startswith("Drugstore: test Hits@20")]
    assert "AlterRec (aug) 20." in scores and "Oracle" not in scores
    values = [float(part.split()[-1]) for part in scores.split(",")]
    assert len(values) == 3 and values == sorted(values, reverse=True)
    assert "beauty: claims supported C3, C6; refuted C1, C4, C7; undecided C2, C5, C8" in lines
    assert not any("permuted" in line for line in lines), "a twin is a control, not a result"
    assert f"{tmp_path}/report.html" in lines[-1]
