"""The runner of cells: what it starts and in which order, and what a kill, a crash or a deadline leaves behind."""

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from alterrec.analysis.summary import summarise
from alterrec.errors import Stopped, UserError
from alterrec.execute import execute_run
from alterrec.files import file_checksum, write_json
from alterrec.gpu_places import VISIBLE
from alterrec.runner.jobs import Job, unfinished
from alterrec.runner.portion import Portion
from alterrec.runner.study_jobs import cell_jobs, data_jobs
from alterrec.runner.tuning_jobs import is_recorded, tuning_jobs
from alterrec.runner.workers import FAILED, Worker
from alterrec.study.load import load_study
from alterrec.study.provenance import is_finished, verify
from alterrec.study.summary_input import summary_input
from alterrec.study.tuning import Trial
from tests.planted import text_signal
from tests.unit.page_commands import planned_jobs, run_dry

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "alterrec", "cells", "--config", "config.yaml"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
WRITTEN = ("weights.safetensors", "ranks.parquet", "top.parquet", "alpha.parquet", "spec.json")
CONFIG = {
    "name": "small",
    "datasets": ["planted"],
    "models": ["popularity", "id_only", "text_only", "late_ensemble", "alterrec"],
    "seeds": [4, 7],
    "encoder": "tfidf_svd",
    "defaults": {"dimension": 16, "blocks": 1, "epochs": 3, "batch_size": 64, "initialisation": "xavier"},
    "dataset_definitions": {
        "planted": {
            "source": "table",
            "sessions": "sessions.parquet",
            "items": "items.parquet",
            "text_columns": ["title"],
            "description": "planted",
            "licence": "none",
        }
    },
}


def write(path: Path, text: str) -> None:
    path.write_text(text)


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(path: Path) -> None:
    raise UserError("the reason")


def divide(path: Path) -> None:
    raise ZeroDivisionError


def write_gpu(path: Path) -> None:
    path.write_text(os.environ[VISIBLE])


def jobs_of(folder: Path, *described: tuple) -> dict[str, Job]:
    """Jobs that write the file of their name, or do what their description says: (name, turn, needs, function)."""
    jobs = {}
    for name, turn, needs, *function in described:
        path = folder / name
        jobs[name] = Job(
            name=name,
            kind=name.rstrip("0123456789"),
            function=function[0] if function else write,
            arguments=(path,) if function else (path, name),
            log=folder / "logs" / f"{name}.log",
            done=path.is_file,
            product=path,
            needs=needs,
            turn=turn,
        )
    return jobs


def test_a_job_runs_again_if_a_job_to_run_lacks_its_product_and_so_does_all_that_reads_it(tmp_path):
    jobs = jobs_of(tmp_path, ("a", 0, ()), ("b", 0, ()), ("x", 0, ("a",)), ("y", 0, ("a", "b")), ("z", 0, ()))
    assert unfinished(jobs).keys() == jobs.keys()
    for name in jobs:
        write(tmp_path / name, name)
    assert not unfinished(jobs)
    (tmp_path / "x").unlink()
    assert unfinished(jobs).keys() == {"x"}
    lost = {name: Job(**vars(job) | {"product": tmp_path / "lost"}) for name, job in jobs.items()}
    assert unfinished(lost).keys() == {"x", "a", "y", "b"}, "y reads a, and b has to be there for it"


def test_the_processes_are_spread_evenly_over_the_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv(VISIBLE, "2,5")
    jobs = jobs_of(tmp_path, *((f"job{number}", 0, (), write_gpu) for number in range(4)))
    assert Portion(jobs, processes=4, deadline=time.time() + 60).run()
    assert Counter((tmp_path / name).read_text() for name in jobs) == {"2": 2, "5": 2}


def test_jobs_start_by_turn_the_longest_first_and_after_those_that_they_need(tmp_path):
    jobs = jobs_of(
        tmp_path,
        ("short1", 0, ()),
        ("long1", 0, ()),
        ("sum1", 0, ("short1",)),
        ("short2", 1, ()),
        ("new2", 1, ()),
    )
    portion = Portion(jobs, processes=1, deadline=time.time() + 60)
    portion.seconds |= {"short": [1.0, 3.0], "long": [9.0], "sum": [99.0]}
    order = []
    while job := portion.next_job():
        order.append(job.name)
        del portion.open[job.name]
    assert order == ["long1", "short1", "sum1", "new2", "short2"]


def test_a_crash_and_an_error_stop_only_what_needs_them(tmp_path, capsys):
    jobs = jobs_of(
        tmp_path,
        ("crash", 0, (), crash),
        ("error", 0, (), fail),
        ("bug", 0, (), divide),
        ("after", 0, ("crash",)),
        *((f"good{number}", 1, ()) for number in range(4)),
    )
    portion = Portion(jobs, processes=2, deadline=time.time() + 600)
    assert not portion.run()
    assert portion.open.keys() == {"crash", "error", "bug", "after"}
    assert {path.name for path in tmp_path.glob("good*")} == {f"good{number}" for number in range(4)}
    shown = capsys.readouterr().out
    for message in ("alterrec: the reason", "exit code -9", "ZeroDivisionError", "exit code 1"):
        assert message in shown
    assert portion.summary("cells").startswith("4 of 8 cells done, about ")


@pytest.mark.parametrize("when", ["before its job is sent", "before it reads its job"])
def test_a_worker_that_dies_without_reading_its_job_stops_no_other_job(tmp_path, monkeypatch, capsys, when):
    class Killed(Worker):
        def start(self, job: Job) -> None:
            if job.name == "lost" and when == "before its job is sent":
                self.process.kill()
                self.process.join()
            super().start(job)
            if job.name == "lost":
                self.process.kill()

    monkeypatch.setattr("alterrec.runner.portion.Worker", Killed)
    jobs = jobs_of(tmp_path, ("lost", 0, ()), ("good", 1, ()))
    assert not Portion(jobs, processes=1, deadline=time.time() + 600).run()
    assert (tmp_path / "good").is_file() and not (tmp_path / "lost").is_file()
    assert "the process of this job ended with exit code -9" in capsys.readouterr().out


def test_the_log_of_a_worker_that_dies_at_once_has_nothing_of_an_earlier_attempt(tmp_path):
    (job,) = jobs_of(tmp_path, ("lost", 0, ())).values()
    job.log.parent.mkdir()
    write(job.log, "the error of yesterday")
    worker = Worker()
    worker.start(job)
    worker.process.kill()
    assert worker.finish()[1] == FAILED
    assert job.log.read_text() == "the process of this job ended with exit code -9\n"


def test_nothing_starts_after_the_deadline(tmp_path):
    portion = Portion(jobs_of(tmp_path, ("a", 0, ())), processes=1, deadline=time.time() - 1)
    assert portion.run() and portion.summary("cells") == "0 of 1 cells done, no time measured yet"


def run_cells(folder: Path, *options: str) -> str:
    """Run `alterrec cells` on the config in the folder; return what it prints."""
    done = subprocess.run([*COMMAND, *options], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("packs", "seconds", "starts"), [
    (True, 50, True), (True, 100, False), (True, 900, True), (False, 100, True),
])  # fmt: skip
def test_a_job_that_would_not_end_in_time_is_not_started_where_results_are_packed(
    tmp_path, packs, seconds, starts
):
    jobs = jobs_of(tmp_path, ("slow1", 0, ()), ("slow2", 0, ()), ("quick", 0, ()), ("reads", 0, ("slow2",)))
    write(tmp_path / "slow1", "")
    jobs["slow1"] = Job(**vars(jobs["slow1"]) | {"seconds": lambda: seconds})
    pack = tmp_path / "pack.tar" if packs else None
    portion = Portion(jobs, 1, time.time() + 60, pack, tmp_path)
    portion.begun -= (
        540  # of ten minutes one is left; a job that takes longer than ten must begin at some time
    )
    assert portion.run() and (tmp_path / "quick").is_file()
    assert (tmp_path / "slow2").is_file() == (tmp_path / "reads").is_file() == starts
    assert portion.summary("cells").startswith(f"{4 if starts else 2} of 4 cells done")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with a config, its data and results/small/ of one process, and all that it finished in packed/."""
    folder = tmp_path_factory.mktemp("study")
    data = text_signal(items=120, topics=6, sessions=300)
    ids = [list(session) for session in np.split(data.item_id[data.flat], data.offsets[1:-1])]
    sessions = {"session_id": data.session_id, "items": ids, "split": data.split}
    pd.DataFrame(sessions).to_parquet(folder / "sessions.parquet")
    pd.DataFrame({"item_id": data.item_id, "title": data.text}).to_parquet(folder / "items.parquet")
    write(folder / "config.yaml", yaml.safe_dump(CONFIG))
    assert run_cells(folder, "--pack", "packed/packed.tar").endswith("9 of 9 cells done\n")
    return folder


def copy_of_data(finished: Path, folder: Path) -> Path:
    """The finished study's config and data without its runs."""
    return Path(shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("runs", "packed")))


def checksums(folder: Path) -> dict[str, str]:
    """The checksum of every file of the runs of the study in the folder that says what they computed."""
    runs = folder / "results/small/runs"
    return {str(path.relative_to(runs)): file_checksum(path) for name in WRITTEN for path in runs.rglob(name)}


def test_cells_after_one_another_in_a_process_give_the_bits_of_fresh_processes(finished, tmp_path):
    fresh = copy_of_data(finished, tmp_path / "fresh") / "results/small"
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "forkserver")
    context.set_forkserver_preload(["alterrec.execute", "alterrec.method.alternation"])
    study = load_study(CONFIG)
    for dataset, model, seed in study.cells():
        out = fresh / "runs" / dataset / model / f"seed-{seed}"
        arguments = (study.spec(dataset, model, seed), fresh / "data" / dataset, out)
        process = context.Process(target=execute_run, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == 0
    assert checksums(fresh.parents[1]) == checksums(finished)


def test_a_runner_that_is_killed_and_started_again_ends_with_the_same_bytes(finished, tmp_path):
    folder = copy_of_data(finished, tmp_path / "killed")
    for target in ("id_only/seed-4/checkpoint-*", "alterrec/seed-7/checkpoint-*"):
        runner = subprocess.Popen([*COMMAND, "--processes", "2"], cwd=folder, env=ENVIRONMENT)
        while not list(folder.glob(f"results/small/runs/planted/{target}")):
            assert runner.poll() is None, "the runner ended before it was killed"
            time.sleep(0.01)
        runner.kill()
        runner.wait()
    assert "9 of 9 cells done" in run_cells(folder, "--processes", "2")
    assert checksums(folder) == checksums(finished)


def test_a_worker_that_died_without_a_job_is_not_taken_and_ends_quietly():
    portion, dead, alive = Portion({}, 2, math.inf), Worker(None), Worker(None)
    dead.process.kill()
    dead.process.join()
    idle = [dead, alive]
    assert portion.take_worker(idle, []) is alive and not idle
    dead.end()
    alive.end()


def test_an_archive_that_was_cut_off_is_refused_before_work_starts(finished, tmp_path):
    folder = copy_of_data(finished, tmp_path / "cut")
    pack = folder / "packed.tar"
    whole = (finished / "packed" / "packed.tar").read_bytes()
    pack.write_bytes(whole[: len(whole) // 2 + 100])
    arguments = ["cells", "--config", "config.yaml", "--pack", str(pack)]
    done = subprocess.run(
        [sys.executable, "-m", "alterrec", *arguments], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode and "packed.tar is cut off or no tar archive" in done.stderr
    assert "Traceback" not in done.stderr and not list((folder / "results").glob("*/runs"))


def test_what_was_packed_is_finished_for_the_runner_and_for_the_workflow(finished, tmp_path):
    folder = copy_of_data(finished, tmp_path / "unpacked")
    with tarfile.open(finished / "packed/packed.tar") as packed:
        packed.extractall(folder, filter="data")
    assert not list(folder.rglob("weights.safetensors"))
    assert run_cells(folder) == "9 of 9 cells done\n"
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    options = f"--snakefile {ROOT}/Snakefile --configfile config.yaml"
    jobs = planned_jobs(run_dry(f"snakemake --cores 1 all {options}", folder))
    assert jobs["summarise"] == 1 and "train" not in jobs


def test_an_ensemble_whose_networks_were_left_behind_has_them_trained_again(finished, tmp_path):
    runs = copy_of_data(finished, tmp_path / "again") / "results/small/runs"
    shutil.copytree(finished / "results/small/runs", runs)
    (runs / "planted/id_only/seed-4/weights.safetensors").unlink()
    jobs = cell_jobs(load_study(CONFIG), runs.parent)
    assert not unfinished(jobs)
    shutil.rmtree(runs / "planted/late_ensemble/seed-4")
    assert unfinished(jobs).keys() == {"planted/late_ensemble/seed-4", "planted/id_only/seed-4"}


def test_a_run_of_an_older_spec_or_of_other_members_is_not_finished(finished, tmp_path):
    data = finished / "results/small/data/planted"
    runs = Path(shutil.copytree(finished / "results/small/runs", tmp_path / "runs"))
    study, run = load_study(CONFIG), runs / "planted/late_ensemble/seed-4"
    spec = study.spec("planted", "late_ensemble", 4)
    assert is_finished(spec, data, run)
    assert not is_finished(study.spec("planted", "late_ensemble", 4, alpha=0.3), data, run)
    shutil.copy(runs / "planted/id_only/seed-7/ranks.parquet", runs / "planted/id_only/seed-4")
    assert not is_finished(spec, data, run)


def test_a_run_stops_at_its_deadline_and_continues_to_the_same_bits(finished, tmp_path):
    study, data = load_study(CONFIG), finished / "results/small/data/planted"
    spec, out = study.spec("planted", "alterrec", 7), tmp_path / "planted/alterrec/seed-7"
    for epoch in range(1, 3):
        with pytest.raises(Stopped):
            execute_run(spec, data, out, deadline=time.time())
        (checkpoint,) = out.iterdir()
        assert len(torch.load(checkpoint)["history"]) == epoch
    execute_run(spec, data, out)
    stored = finished / "results/small/runs/planted/alterrec/seed-7"
    assert [file_checksum(out / name) for name in WRITTEN] == [file_checksum(stored / n) for n in WRITTEN]


def test_text_vectors_of_older_items_are_encoded_again_after_a_kill_between_the_two_jobs(finished, tmp_path):
    folder = copy_of_data(finished, tmp_path / "changed")
    config = CONFIG | {
        "dataset_definitions": {"planted": CONFIG["dataset_definitions"]["planted"] | {"min_count": 2}}
    }
    jobs = data_jobs(load_study(config), folder / "results/small")
    assert unfinished(jobs).keys() == {"planted", "planted/tfidf_svd"}
    with contextlib.chdir(folder):
        jobs["planted"].function(*jobs["planted"].arguments)  # and then the kill
    assert unfinished(jobs).keys() == {"planted/tfidf_svd"}


def test_a_damaged_run_is_refused_by_the_summary_and_trained_again(finished, tmp_path):
    folder = Path(shutil.copytree(finished, tmp_path / "damaged"))
    results, study = folder / "results", load_study(CONFIG)
    damage(results / "small/runs/planted/id_only/seed-4/top.parquet")
    damage(results / "small/runs/planted/text_only/seed-7/weights.safetensors")
    assert [problem.partition("planted/")[2] for problem in verify(study, results)] == [
        "id_only/seed-4: its top.parquet is damaged",
        "text_only/seed-7: its weights.safetensors is damaged",
    ]
    with pytest.raises(UserError, match=r"id_only/seed-4/top\.parquet is damaged"):
        summarise(summary_input(study, results), tmp_path / "summary", resamples=10)
    ensemble = results / "small/runs/planted/late_ensemble/seed-7"
    with pytest.raises(UserError, match=r"text_only/seed-7/weights\.safetensors is damaged"):
        execute_run(study.spec("planted", "late_ensemble", 7), results / "small/data/planted", ensemble)
    shutil.rmtree(results / "small/runs/planted/text_only/seed-7")
    run_cells(folder)
    assert not verify(study, results)
    assert checksums(folder) == checksums(finished)


@pytest.mark.parametrize("name", ["spec.json", "provenance.json"])
def test_a_run_without_the_record_of_its_origin_is_named_and_trained_again(finished, tmp_path, name):
    folder = Path(shutil.copytree(finished, tmp_path / "copied"))
    (folder / "results/small/runs/planted/id_only/seed-4" / name).unlink()
    (problem,) = verify(load_study(CONFIG), folder / "results")
    assert problem.endswith(f"planted/id_only/seed-4: its {name} is missing")
    run_cells(folder)
    assert checksums(folder) == checksums(finished)


def damage(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_cells_of_some_models_come_with_those_that_they_require():
    study = load_study(CONFIG)
    jobs = cell_jobs(study, Path("results/small"), ["late_ensemble"], [7])
    assert jobs.keys() == {f"planted/{name}/seed-7" for name in ("late_ensemble", "id_only", "text_only")}
    with pytest.raises(UserError, match="--seeds: the study has no 8; it has 4, 7"):
        cell_jobs(study, Path("results/small"), [], [8])
    with pytest.raises(UserError, match="--only: the study does not tune 'popularity'; it tunes id_only, "):
        tuning_jobs(study, Path("results/small"), ["popularity"])


def test_a_record_counts_for_its_own_trial_and_share_of_the_epochs(tmp_path):
    record, first, second = tmp_path / "1.json", Trial({"trial": 1}), Trial({"trial": 2})
    write_json(record, {"spec": first.spec, "share": "1/3"})
    assert is_recorded(record, first, Fraction(1, 3))
    assert not is_recorded(record, first, Fraction(1))
    assert not is_recorded(record, second, Fraction(1, 3))
    assert not is_recorded(tmp_path / "2.json", first, Fraction(1, 3))
    assert not is_recorded(record, Trial(previous=(tmp_path / "2.json",)), Fraction(1, 3))
