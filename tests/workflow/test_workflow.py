"""The workflow on the study of the tests, run once: what it writes, what it repeats, and a baseline from outside."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from itertools import takewhile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from alterrec.files import file_checksum
from alterrec.inference.claims import CLAIMS
from alterrec.study.load import load_study

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    path.stem for kind in ("table", "figure") for path in (ROOT / "paper_figures").glob(f"{kind}_*.py")
]

RECENCY = '''
"""Recency: the score of the prefix's last item is 1, that of every other item 0."""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
label = "Recency"
deterministic = True


def fit(task):
    import torch

    from alterrec.engine.contract import Fitted

    class Recency:
        blend_parts = None

        def scores(self, batch):
            scores = torch.zeros(len(batch), task.dataset.catalogue_size)
            return {"model": scores.scatter(1, batch.last_item[:, None], 1.0)}

    return Fitted(Recency())
'''

CONSTANT_RULE = """
rule constant:
    input:
        f"{RESULTS}/data/{{dataset}}/sessions.parquet",
        f"{RESULTS}/data/{{dataset}}/items.parquet",
    output:
        f"{RESULTS}/runs/{{dataset}}/constant/seed-{{seed}}/ranks.parquet",
    log:
        f"{RESULTS}/logs/constant/{{dataset}}/{{seed}}.log",
    conda:
        CONDA
    params:
        program=str(Path(str(workflow.current_basedir)) / "_constant.py"),
    shell:
        "python {params.program} {input} {output} > {log} 2>&1"
"""

CONSTANT_PROGRAM = """
import sys
import pandas as pd

sessions, items = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
rows = [
    (session.split, index, p, session.items[p], p == len(session.items) - 1, 0, len(items) - 1)
    for index, session in enumerate(sessions.itertuples())
    if session.split != "train"
    for p in range(1, len(session.items))
]
columns = ["split", "session", "position", "target", "last", "above", "ties"]
frame = pd.DataFrame(rows, columns=columns)
frame.astype({name: "int32" for name in columns if name not in ("split", "last")}).to_parquet(sys.argv[3])
"""


def snakemake(
    folder: Path, *arguments: str, check: bool = True, root: Path = ROOT
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(root / "Snakefile"),
        "--directory",
        str(folder),
    ]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, cwd=folder)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


def write_config(folder: Path, **changes) -> str:
    config = yaml.safe_load((ROOT / "workflow/config/test.yaml").read_text()) | changes
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """The folder of a finished run of the study of the tests, with two more baselines in a folder of their own.

    screen.txt is what Snakemake showed.
    """
    folder = tmp_path_factory.mktemp("study")
    own = folder / "own"
    own.mkdir()
    (own / "recency.py").write_text(RECENCY)
    (own / "constant.smk").write_text(CONSTANT_RULE)
    (own / "_constant.py").write_text(CONSTANT_PROGRAM)
    models = yaml.safe_load((ROOT / "workflow/config/test.yaml").read_text())["models"]
    path = write_config(folder, baselines=[str(own)], models=[*models, "recency", "constant"])
    done = snakemake(folder, "--cores", "8", "all", "--configfile", path)
    (folder / "screen.txt").write_text(done.stderr)
    return folder


def planned(folder: Path, *arguments: str, root: Path = ROOT) -> dict[str, int]:
    """Rule -> number of jobs that a dry run would start; empty if nothing has to be done."""
    output = snakemake(folder, "--cores", "8", "--dry-run", *arguments, root=root).stdout
    if "job counts" not in output.lower() and "job stats" not in output.lower():
        return {}
    table = output.split("-----\n" if "-----\n" in output else "\n-", 1)[1]
    rows = [line.split() for line in takewhile(str.strip, table.splitlines())]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}


def test_every_table_and_figure_is_written_in_every_format(study):
    results = study / "results" / "test"
    tables = {name for name in SCRIPTS if name.startswith("table_")}
    figures = {name for name in SCRIPTS if name.startswith("figure_")}
    assert {path.name for path in (results / "tables").iterdir()} == {
        f"{n}.{k}" for n in tables for k in ("md", "html", "csv", "tex")
    }
    assert {path.name for path in (results / "figures").iterdir()} == {
        f"{n}.{k}" for n in figures for k in ("png", "pdf")
    }
    assert not list(results.rglob("*.tmp*")), "temporary files remain"


def test_the_screen_has_a_line_for_each_run_and_the_log_every_job(study):
    lines = (study / "screen.txt").read_text().splitlines()
    cells = [f"{d}/{m}/seed-{s}" for d, m, s in load_study(study / "config.yaml").cells()]
    shown = [re.fullmatch(r"\[(\d+) of (\d+)\] (\S+): .*", line) for line in lines]
    shown = [found for found in shown if found]
    assert sorted(found[3] for found in shown) == sorted(cells)
    assert [int(found[1]) for found in shown] == [*range(1, len(cells) + 1)]
    assert {int(found[2]) for found in shown} == {len(cells)}
    assert len(lines) < len(cells) + 25
    assert "Report: results/test/report.html" in "\n".join(lines[-10:])
    log = min((study / ".snakemake" / "log").glob("*.log")).read_text()
    trained = [name for name in cells if "/constant/" not in name]
    assert log.count("rule train:") == len(trained)


def test_a_failed_job_shows_the_end_of_its_log(tmp_path):
    nowhere = {"source": "complete_journey", "department": "NOWHERE"}
    path = write_config(tmp_path, datasets=["nowhere"], dataset_definitions={"nowhere": nowhere})
    card = "results/test/data/nowhere/card.md"
    done = snakemake(tmp_path, "--cores", "1", card, "--configfile", path, check=False)
    assert done.returncode != 0 and "Error in rule prepare" in done.stderr
    assert "NOWHERE" in done.stderr.split("Logfile ")[1]


def test_a_run_until_a_step_does_not_speak_of_results(tmp_path):
    done = snakemake(
        tmp_path, "--cores", "2", "all", "--until", "prepare", "--configfile", write_config(tmp_path)
    )
    assert "steps" in done.stderr and "is finished" not in done.stderr and "Error" not in done.stderr


def test_a_second_run_has_nothing_to_do(study):
    done = snakemake(study, "--cores", "8", "all", "--configfile", str(study / "config.yaml"))
    assert "Nothing to be done" in done.stdout + done.stderr


def test_baselines_of_the_users_folder_are_in_the_tables(study):
    table = (study / "results/test/tables/table_main_comparison.md").read_text()
    assert "Recency" in table and "constant" in table
    unseen = (study / "results/test/tables/table_warm_cold.md").read_text()
    assert "Not ranked among unseen items: constant." in unseen
    metrics = pd.read_parquet(study / "results/test/summary/metrics.parquet")
    chosen = metrics.query(
        "model == 'constant' and split == 'test' and scope == 'all' and targets == 'all' and k == 20"
    )
    items = len(pd.read_parquet(study / "results/test/data/produce/items.parquet"))
    full = chosen.query("metric == 'Hits' and catalogue == 'full' and part == 'model'")["value"]
    assert full.to_numpy() == pytest.approx(20 / items)


def test_tables_have_the_models_in_the_order_of_the_config(study):
    models = yaml.safe_load((study / "config.yaml").read_text())["models"]
    table = pd.read_parquet(study / "results/test/summary/long_tail.parquet")
    shown = list(dict.fromkeys(table.model))
    assert shown == [model for model in models if model in shown] and len(shown) > 10


def test_every_claim_has_a_verdict(study):
    claims = pd.read_parquet(study / "results/test/summary/claims.parquet")
    assert set(claims["claim"]) >= {f"C{n}" for n in range(1, 9)}
    assert set(claims["verdict"]) <= {"supported", "refuted", "undecided", "not tested"}
    assert len(CLAIMS) == 8


def test_a_new_learning_rate_of_one_model_reruns_only_its_cells(study):
    config = yaml.safe_load((study / "config.yaml").read_text())
    config["model_definitions"] = {"alterrec_random": {"learning_rate": 0.001}}
    changed = study / "changed.yaml"
    changed.write_text(yaml.safe_dump(config))
    jobs = planned(study, "all", "--configfile", str(changed))
    assert jobs["train"] == 2 * 2 and jobs["summarise"] == 1, "two datasets, two seeds"
    assert not jobs.keys() & {"prepare", "encode", "constant"}


def test_tables_are_redrawn_from_the_summary_alone(study, tmp_path):
    shutil.copytree(study / "results", tmp_path / "results")
    shutil.copytree(study / ".snakemake", tmp_path / ".snakemake")
    (tmp_path / "config.yaml").write_text((study / "config.yaml").read_text())
    for name in ("runs", "tables", "figures"):
        shutil.rmtree(tmp_path / "results/test" / name)
    jobs = planned(tmp_path, "tables", "figures", "--configfile", str(tmp_path / "config.yaml"))
    assert not jobs.keys() & {"train", "summarise", "prepare", "encode", "constant"}
    assert {name for name in jobs if "_" in name} == set(SCRIPTS)


def test_a_changed_module_redraws_only_what_imports_it(study, tmp_path):
    for name in ("workflow", "envs", "alterrec", "baselines", "paper_figures"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(study / "results/test", tmp_path / "results/test", ignore=shutil.ignore_patterns("runs"))
    shutil.copytree(study / ".snakemake", tmp_path / ".snakemake")
    targets = [f"results/test/{name}" for name in ("figures/figure_long_tail.png", "tables/table_claims.md")]
    targets += ["--configfile", str(study / "config.yaml")]
    snakemake(tmp_path, "--cores", "8", *targets, root=tmp_path)
    assert not planned(tmp_path, *targets, root=tmp_path)
    for module, redrawn in (
        ("_style", {"figure_long_tail"}),
        ("_summary_folder", {"figure_long_tail", "table_claims"}),
    ):
        with (tmp_path / "paper_figures" / f"{module}.py").open("a") as file:
            file.write("# changed\n")
        assert planned(tmp_path, *targets, root=tmp_path).keys() == redrawn


def test_verify_fails_for_a_run_whose_spec_differs_from_the_config(study):
    path = str(study / "config.yaml")
    snakemake(study, "--cores", "1", "verify", "--configfile", path)
    spec = study / "results/test/runs/produce/markov/seed-1/spec.json"
    good = spec.read_text()
    try:
        spec.write_text(json.dumps(json.loads(good) | {"version": 99}))
        done = snakemake(study, "--cores", "1", "verify", "--configfile", path, check=False)
        assert (
            done.returncode != 0
            and "markov/seed-1: its spec differs from the config" in done.stdout + done.stderr
        )
    finally:
        spec.write_text(good)


def test_training_again_gives_the_same_files(study, tmp_path):
    run = study / "results/test/runs/produce/alterrec/seed-1"
    spec, data = (run / "spec.json").read_text(), study / "results/test/data/produce"
    again = [
        sys.executable,
        "-m",
        "alterrec",
        "train",
        "--spec",
        spec,
        "--data",
        str(data),
        "--out",
        str(tmp_path),
    ]
    subprocess.run(again, check=True, capture_output=True, cwd=ROOT)
    for name in ("ranks.parquet", "top.parquet", "alpha.parquet", "weights.safetensors"):
        assert file_checksum(run / name) == file_checksum(tmp_path / name), name


def test_an_interrupted_run_leaves_only_its_checkpoint(study, tmp_path):
    run = study / "results/test/runs/produce/alterrec/seed-1"
    spec = json.loads((run / "spec.json").read_text())
    spec["config"] |= {"epochs": 10_000, "patience": 20_000}
    data, out = study / "results/test/data/produce", tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "alterrec",
        "train",
        "--spec",
        json.dumps(spec),
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    training = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    until = time.monotonic() + 300
    while not list(out.glob("checkpoint-*")):
        assert training.poll() is None and time.monotonic() < until, "no checkpoint was written"
        time.sleep(0.1)
    training.kill()
    training.wait()
    remaining = [path.name for path in out.iterdir()]
    assert all(name.startswith(("checkpoint-", ".")) for name in remaining), remaining


def test_a_bad_config_starts_no_job(study, tmp_path):
    path = write_config(tmp_path, models=["id_onyl"])
    done = snakemake(tmp_path, "--cores", "1", "all", "--configfile", path, check=False)
    assert (
        done.returncode != 0
        and "unknown model 'id_onyl' (did you mean 'id_only'?)" in done.stderr + done.stdout
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("name", "prepared"),
    [
        ("paper", 6),
        ("authors", 6),
        ("amazon_m2", 6),
        ("journey", 3),
        ("full", 3),
        ("beauty", 2),
        ("games", 2),
        ("interventions", 1),
        ("beauty_leave_last_out", 1),
        ("movielens_100k", 1),
    ],
)
def test_the_larger_studies_plan_every_cell_table_and_figure(tmp_path, name, prepared):
    path = ROOT / "workflow" / "config" / f"{name}.yaml"
    jobs = planned(tmp_path, "all", "--configfile", str(path))
    assert jobs["prepare"] == prepared
    assert jobs["train"] == len(list(load_study(path).cells()))
    assert set(SCRIPTS) <= set(jobs)


def test_tuning_halves_the_trials_chooses_the_best_and_has_nothing_to_do_again(study):
    path = str(study / "config.yaml")
    snakemake(study, "--cores", "8", "tune", "--configfile", path)
    tuning = study / "results/test/tuning"
    record = pd.read_csv(tuning / "test.csv")
    chosen = yaml.safe_load((tuning / "test.yaml").read_text())["produce"]
    assert record.groupby(["model", "rung"]).size().to_dict() == {
        (model, rung): trials for model in ("alterrec", "id_only") for rung, trials in ((1, 3), (2, 1))
    }
    for model, settings in chosen.items():
        rows = record[record.model == model]
        best = rows.loc[rows[rows.rung == 1].validation_hits20.idxmax()]
        assert rows[rows.rung == 2].trial.item() == best.trial, "the best trial of the first rung goes on"
        assert settings == {key: best[key] for key in settings}
    assert {"k1", "m_gap", "text_dropout"} <= chosen["alterrec"].keys()
    assert not list(tuning.rglob("*.pt")), "no checkpoint is kept"
    assert not planned(study, "tune", "--configfile", path)


def test_the_report_holds_every_figure_and_table(study):
    path = str(study / "config.yaml")
    snakemake(study, "--report", "report.zip", "--configfile", path)
    with zipfile.ZipFile(study / "report.zip") as archive:
        names = "\n".join(archive.namelist())
    for script in SCRIPTS:
        assert script in names, script
