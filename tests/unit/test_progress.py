"""`alterrec plan` and `alterrec status` on a small study with one trained run, and the commands that list what is there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from alterrec import __version__, registry
from alterrec.descriptions.listing import listing
from alterrec.errors import UserError
from alterrec.progress import costs, status
from alterrec.progress.plan import plan
from alterrec.study.cell_files import encoding_by_name
from alterrec.study.load import load_study

STUDY = {
    "name": "small",
    "datasets": ["produce"],
    "models": ["popularity", "markov", "id_only", "text_only"],
    "seeds": [1, 2],
    "encoder": "tfidf_svd",
    "dataset_definitions": {
        "produce": {
            "source": "complete_journey",
            "department": "PRODUCE",
            "weeks": 3,
            "validation_weeks": 1,
            "test_weeks": 1,
            "max_sessions": 300,
        }
    },
}
RUN = Path("results/small/runs/produce/id_only/seed-3")
BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run `alterrec` in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(Path(registry.PACKAGE).parent)}
    alterrec = [sys.executable, "-m", "alterrec", *arguments]
    return subprocess.run(alterrec, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a config, a prepared dataset and one finished run."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(yaml.safe_dump(STUDY))
    spec = load_study(STUDY).dataset("produce")
    data = "results/small/data/produce"
    done = command(folder, "prepare", "--spec", json.dumps(spec), "--out", data)
    assert done.returncode == 0, done.stderr
    cell = ["--config", "small.yaml", "--dataset", "produce", "--model", "popularity", "--seed", "1"]
    done = command(folder, "train", *cell)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def study(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return load_study(STUDY)


def write_log(cell: str, text: str) -> Path:
    path = Path("results/small/logs/train") / f"{cell}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def state_lines(study, config: str = "small.yaml") -> list[str]:
    return status.status(study, Path("results"), config).splitlines()


def test_a_trained_cell_is_done_and_the_others_wait(study):
    assert state_lines(study)[0] == "small: 6 runs: 1 done, 5 waiting"


def test_a_failed_cell_has_one_line_with_the_end_of_its_log_and_its_command(study):
    log = write_log("produce/markov/seed-1", "reading\nalterrec: the disk is full\n\n")
    try:
        first, *_, last = state_lines(study, "my studies/small.yaml")
    finally:
        log.unlink()
    assert first == "small: 6 runs: 1 done, 1 failed, 4 waiting"
    run = "results/small/runs/produce/markov/seed-1/ranks.parquet"
    assert last == (
        f"failed: produce/markov/seed-1: alterrec: the disk is full | "
        f"snakemake --cores 1 {run} --configfile 'my studies/small.yaml'"
    )


@pytest.mark.parametrize("program", ["snakemake all", "alterrec cells"])
def test_a_cell_runs_while_a_program_trains_in_this_folder(study, program):
    log = write_log("produce/id_only/seed-1", "epoch=1 loss=3\n")
    try:
        assert "failed: produce/id_only/seed-1: it was stopped after: epoch=1" in "\n".join(
            state_lines(study)
        )
        command = [sys.executable, "-c", f"import time; time.sleep(60)  # {program}"]
        with subprocess.Popen(command) as process:
            lines = state_lines(study)
            process.kill()
    finally:
        log.unlink()
    assert "1 running" in lines[0] and "running: produce/id_only/seed-1" in lines


def test_a_run_of_another_config_is_stale(study):
    changed = load_study(STUDY | {"model_definitions": {"popularity": {"max_length": 9}}})
    lines = state_lines(changed)
    assert lines[0] == "small: 6 runs: 1 stale, 5 waiting"
    assert "stale (1): its spec differs from the config" in lines and "--forcerun train" in lines[-1]


@pytest.fixture
def measured(study):
    """A run of id_only, of an earlier seed, whose job took 120 seconds and 50 MB; its files have 2 MB."""
    RUN.mkdir(parents=True)
    (RUN / "ranks.parquet").touch()
    (RUN / "metrics.json").write_text('{"seconds": 100}')
    (RUN / "weights.safetensors").write_bytes(bytes(2_000_000))
    benchmark = Path("results/small/benchmarks/train/produce/id_only/seed-3.tsv")
    benchmark.parent.mkdir(parents=True, exist_ok=True)
    benchmark.write_text(BENCHMARK + "120.0\t0:02:00\t50.0\t1\t1\t1\t1\t1\t1\t1\n")
    yield benchmark
    shutil.rmtree(RUN)
    benchmark.unlink(missing_ok=True)


def test_the_plan_extrapolates_from_the_runs_that_were_measured(study, measured):
    text = plan(study, Path("results"))
    assert text.startswith("small: 6 runs (datasets: 1, models: 4, seeds: 1, 2)")
    assert "| id_only | 2 | 4 min | 50 MB | 4.0 MB |" in text and "| text_only | 2 | ? | ? | ? |" in text
    assert "Measured in results/small" in text and "It has no markov on produce, text_only on produce" in text


def test_without_a_benchmark_the_plan_takes_the_seconds_of_the_run(study, measured):
    measured.unlink()
    assert "| id_only | 2 | 3 min | ? | 4.0 MB |" in plan(study, Path("results"))


def test_a_run_of_which_nobody_states_the_seconds_has_a_size_and_no_time(study, measured):
    measured.unlink()
    (RUN / "metrics.json").write_text('{"test": {}}')
    text = plan(study, Path("results"))
    assert "| popularity | 1 | " in text and "| id_only | 2 | ? | ? | 4.0 MB |" in text
    assert "It has no id_only on produce, markov on produce" in text
    assert "The time left is not known" in state_lines(study)[1]


def test_a_run_that_is_trained_again_does_not_count(study, measured):
    (RUN / "ranks.parquet").unlink()
    assert "| id_only | 2 | ? | ? | ? |" in plan(study, Path("results"))


def test_a_file_that_vanishes_while_the_runs_are_read_is_no_error(study, measured):
    (RUN / ".ranks.1234.tmp.parquet").symlink_to("gone")  # listed, but not found
    assert "| id_only | 2 | " in plan(study, Path("results"))


def test_jobs_are_counted_where_the_system_does_not_say_which_processors_are_allowed(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(psutil.Process, "cpu_affinity", raising=False)
    assert 1 <= costs.jobs_at_once() <= os.cpu_count()


def test_the_time_left_is_that_of_the_unfinished_runs(study, measured, monkeypatch):
    monkeypatch.setattr(status, "jobs_at_once", lambda: 2)
    line = state_lines(study)[1]
    assert line.startswith("About 2 min left") and "with 2 at once" in line  # two runs of 120 s
    assert line.endswith("and the time of 3 runs of models that were not measured yet")


def test_a_plan_without_measurements_says_so(study):
    assert "nothing of this study was measured yet" in plan(study, Path("nowhere"))


def test_a_plan_before_the_first_run_uses_the_reference_study(tmp_path, monkeypatch):
    record = tmp_path / "small" / "runs.csv"
    record.parent.mkdir()
    record.write_text("dataset,model,seed,seconds\nproduce,id_only,1,60\nproduce,id_only,2,180\n")
    monkeypatch.setattr(costs, "REFERENCE", tmp_path)
    text = plan(load_study(STUDY), tmp_path)
    assert "| id_only | 2 | 4 min | ? | ? |" in text and f"Measured in {record}" in text


def test_the_cost_of_a_short_run_is_the_start_of_its_job(tmp_path):
    record = tmp_path / "runs.csv"
    record.write_text("dataset,model,seed,seconds\nproduce,popularity,1,0.5\nproduce,id_only,1,60\n")
    runs = costs.reference_runs(record)
    assert [cost.seconds for cost in runs["produce", "popularity"]] == [costs.START_SECONDS + 0.5]
    assert [cost.seconds for cost in runs["produce", "id_only"]] == [costs.START_SECONDS + 60]


def test_text_vectors_are_those_that_the_named_model_reads(study):
    spec, data, out = encoding_by_name(study, "produce", "text_only")
    assert spec == study.encoder_spec("tfidf_svd")
    assert (data, out) == (Path("results/small/data/produce"), data / "text" / "tfidf_svd.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "train --config small.yaml --model id_only",
            "give --spec, --data and --out, or --config, --dataset",
        ),
        ("train --spec {}", "give --spec, --data and --out"),
        ("train --config small.yaml --dataset produc --model id_only --seed 1", "did you mean 'produce'"),
        ("encode --config small.yaml --dataset produce --model id_only", "id_only reads no text vectors"),
        ("plan nowhere.yaml", "there is no file nowhere.yaml"),
        ("status nowhere.yaml", "there is no file nowhere.yaml"),
        ("list models id_onyl", "did you mean 'id_only'"),
    ],
)
def test_a_wrong_command_gets_a_sentence(trained, arguments, message):
    done = command(trained, *arguments.split())
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_the_version_is_printed(tmp_path):
    assert command(tmp_path, "--version").stdout == f"alterrec {__version__}\n"


def test_a_reader_that_ends_early_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "alterrec", "list", "models"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("kind", "names"),
    [("models", registry.models()), ("sources", registry.sources()), ("encoders", registry.encoders())],
)
def test_every_registered_name_is_listed_with_its_settings(kind, names):
    assert [line.split()[0] for line in listing(kind).splitlines()] == [*names]
    for name in names:
        config = registry.models()[name].module.Config if kind == "models" else None
        config = config or {"sources": registry.source, "encoders": registry.encoder}[kind](name).Config
        for key in config.model_fields:
            assert f"| `{key}` |" in listing(kind, name), f"{name}: {key}"


def test_a_model_of_another_program_is_listed_with_the_file_of_its_rules(tmp_path, monkeypatch):
    shutil.copy(registry.BASELINES / "popularity.py", tmp_path)
    (tmp_path / "mine.smk").write_text("rule mine:\n")
    monkeypatch.setattr(registry, "BASELINES", tmp_path)
    first, second = listing("models").splitlines()
    assert first == f"mine        Trained by another program: read {tmp_path / 'mine.smk'}"
    assert second.startswith("popularity  ")
    with pytest.raises(UserError, match=r"mine is trained by another program: read .*mine\.smk"):
        listing("models", "mine")
