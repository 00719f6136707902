"""The whole DAG on the tests' study, run once: what it makes, what it makes again, and what a newcomer sees."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from itertools import takewhile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from alterrec.analysis.claims import CLAIMS
from alterrec.files import file_checksum
from alterrec.study.load import load_study

ROOT = Path(__file__).parents[2]

NEWCOMER = '''
"""Recency: an item of the prefix is worth more the later it came. A newcomer's baseline in one file."""

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

OTHER_PROGRAM = """
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

PROGRAM = """
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
    """The folder of the tests' study with two newcomers, run from nothing."""
    folder = tmp_path_factory.mktemp("study")
    own = folder / "own"
    own.mkdir()
    (own / "recency.py").write_text(NEWCOMER)
    (own / "constant.smk").write_text(OTHER_PROGRAM)
    (own / "_constant.py").write_text(PROGRAM)
    models = yaml.safe_load((ROOT / "workflow/config/test.yaml").read_text())["models"]
    path = write_config(folder, baselines=[str(own)], models=[*models, "recency", "constant"])
    snakemake(folder, "--cores", "8", "all", "--configfile", path)
    return folder


def planned(folder: Path, *arguments: str, root: Path = ROOT) -> dict[str, int]:
    """Rule -> how many jobs a dry run would start."""
    output = snakemake(folder, "--cores", "8", "--dry-run", *arguments, root=root).stdout
    if "job counts" not in output.lower() and "job stats" not in output.lower():
        return {}
    table = output.split("-----\n" if "-----\n" in output else "\n-", 1)[1]
    rows = [line.split() for line in takewhile(str.strip, table.splitlines())]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}


def test_everything_is_there(study):
    results = study / "results" / "test"
    scripts = {path.stem for path in (ROOT / "paper_figures").glob("*_*.py")}
    tables = {name for name in scripts if name.startswith("table_")}
    figures = {name for name in scripts if name.startswith("figure_")}
    assert {path.name for path in (results / "tables").iterdir()} == {
        f"{n}.{k}" for n in tables for k in ("md", "html", "csv", "tex")
    }
    assert {path.name for path in (results / "figures").iterdir()} == {
        f"{n}.{k}" for n in figures for k in ("png", "pdf")
    }
    assert not list(results.rglob("*.tmp*")), "temporary files are left"


def test_second_run_has_nothing_to_do(study):
    done = snakemake(study, "--cores", "8", "all", "--configfile", str(study / "config.yaml"))
    assert "Nothing to be done" in done.stdout + done.stderr


def test_newcomers_have_their_rows(study):
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


def test_every_claim_has_a_verdict(study):
    claims = pd.read_parquet(study / "results/test/summary/claims.parquet")
    assert set(claims["claim"]) >= {f"C{n}" for n in range(1, 9)}
    assert set(claims["verdict"]) <= {"supported", "refuted", "undecided"}
    assert len(CLAIMS) == 8


def test_one_models_learning_rate_reruns_its_cells_only(study):
    definitions = yaml.safe_load((study / "config.yaml").read_text())
    definitions["model_definitions"]["alterrec_random"]["learning_rate"] = 0.001
    changed = study / "changed.yaml"
    changed.write_text(yaml.safe_dump(definitions))
    jobs = planned(study, "all", "--configfile", str(changed))
    assert jobs["train"] == 2 * 2 and jobs["summarise"] == 1  # two datasets, two seeds
    assert not jobs.keys() & {"prepare", "encode", "constant"}


def test_tables_are_redrawn_from_the_summary_alone(study, tmp_path):
    shutil.copytree(study / "results", tmp_path / "results")
    shutil.copytree(study / ".snakemake", tmp_path / ".snakemake")
    (tmp_path / "config.yaml").write_text((study / "config.yaml").read_text())
    for name in ("runs", "tables", "figures"):
        shutil.rmtree(tmp_path / "results/test" / name)
    jobs = planned(tmp_path, "tables", "figures", "--configfile", str(tmp_path / "config.yaml"))
    assert not jobs.keys() & {"train", "summarise", "prepare", "encode", "constant"}
    assert {name for name in jobs if "_" in name} == {
        path.stem for path in (ROOT / "paper_figures").glob("*_*.py")
    }


def test_a_change_of_the_shared_style_redraws_the_figures_alone(study, tmp_path):
    for name in ("workflow", "envs", "alterrec", "baselines", "paper_figures"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(study / "results/test", tmp_path / "results/test", ignore=shutil.ignore_patterns("runs"))
    shutil.copytree(study / ".snakemake", tmp_path / ".snakemake")
    targets = [f"results/test/{name}" for name in ("figures/figure_long_tail.png", "tables/table_claims.md")]
    targets += ["--configfile", str(study / "config.yaml")]
    snakemake(tmp_path, "--cores", "8", *targets, root=tmp_path)
    assert not planned(tmp_path, *targets, root=tmp_path)
    for module, drawn in (("style", {"figure_long_tail"}), ("study", {"figure_long_tail", "table_claims"})):
        with (tmp_path / "paper_figures" / f"{module}.py").open("a") as file:
            file.write("# changed\n")
        assert planned(tmp_path, *targets, root=tmp_path).keys() == drawn


def test_verify_finds_what_is_stale(study):
    path = str(study / "config.yaml")
    snakemake(study, "--cores", "1", "verify", "--configfile", path)
    spec = study / "results/test/runs/produce/markov/seed-1/spec.json"
    good = spec.read_text()
    try:
        spec.write_text(json.dumps(json.loads(good) | {"version": 99}))
        done = snakemake(study, "--cores", "1", "verify", "--configfile", path, check=False)
        assert (
            done.returncode != 0 and "markov/seed-1: its specification differs" in done.stdout + done.stderr
        )
    finally:
        spec.write_text(good)


def test_training_again_gives_the_same_bits(study, tmp_path):
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


def test_an_interrupted_job_leaves_nothing_that_looks_complete(study, tmp_path):
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
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, cwd=ROOT, timeout=8)
    left = [path.name for path in out.iterdir()] if out.exists() else []
    assert all(name.startswith(("checkpoint-", ".")) for name in left), left  # what a later run goes on from


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
        ("amazon_m2", 6),
        ("journey", 3),
        ("beauty", 1),
        ("beauty_leave_last_out", 1),
        ("movielens_100k", 1),
    ],
)
def test_the_larger_studies_have_a_whole_dag(tmp_path, name, prepared):
    path = ROOT / "workflow" / "config" / f"{name}.yaml"
    jobs = planned(tmp_path, "all", "--configfile", str(path))
    assert jobs["prepare"] == prepared
    assert jobs["train"] == len(list(load_study(path).cells()))
    scripts = {script.stem for script in (ROOT / "paper_figures").glob("*_*.py")}
    assert scripts <= set(jobs)


def test_tuning_records_the_grid_and_chooses(study):
    path = str(study / "config.yaml")
    snakemake(study, "--cores", "8", "tune", "--configfile", path)
    record = pd.read_csv(study / "results/test/tuning/test.csv")
    chosen = yaml.safe_load((study / "results/test/tuning/test.yaml").read_text())
    assert len(record) == 2 and record["seed"].eq(0).all()
    best = record.loc[record["validation_hits20"].idxmax()]
    axes = ("initialisation", "learning_rate", "schedule", "dropout")
    assert chosen == {"produce": {"id_only": {axis: best[axis] for axis in axes}}}


def test_the_report_holds_every_figure_and_table(study):
    path = str(study / "config.yaml")
    snakemake(study, "--report", "report.zip", "--configfile", path)
    with zipfile.ZipFile(study / "report.zip") as archive:
        names = "\n".join(archive.namelist())
    for script in (ROOT / "paper_figures").glob("*_*.py"):
        assert script.stem in names, script.stem
