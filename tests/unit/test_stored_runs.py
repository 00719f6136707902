"""Stored outcomes of runs: the same summary without training, and errors where settings or data are others."""

import shutil

import pandas as pd
import pytest
import yaml

from alterrec.analysis.stored_runs import CUT, restore_runs, store
from alterrec.analysis.summary import summarise
from alterrec.analysis.summary_schema import COLUMNS
from alterrec.errors import UserError
from alterrec.files import read_json
from alterrec.ranking.rank_file import read_parquet
from alterrec.study.load import load_study
from alterrec.study.provenance import verify
from alterrec.study.summary_input import summary_input
from tests.unit.test_runner import CONFIG, copy_of_data, finished, run_cells  # noqa: F401 a fixture

RUN = "results/small/runs/planted/{model}/seed-{seed}"


@pytest.fixture(scope="module")
def stored(finished, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("stored")
    assert store(load_study(finished / "config.yaml"), finished / "results/small", out) == 9
    return out


def test_the_summary_of_restored_runs_is_that_of_the_runs(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    assert restore_runs(study, stored, folder / "results/small") == 9
    assert not verify(study, folder / "results")
    for place in (finished, folder):
        summarise(summary_input(study, place / "results"), tmp_path / place.name, resamples=10)
    for name in COLUMNS:
        tables = [pd.read_parquet(tmp_path / place.name / f"{name}.parquet") for place in (finished, folder)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)
        assert len(tables[0]) or name in ("tuning", "permuted"), name


def test_ranks_are_cut_where_no_metric_counts_them(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    restore_runs(study, stored, folder / "results/small")
    run = RUN.format(model="alterrec", seed=4)
    before, after = (read_parquet(place / run / "ranks.parquet") for place in (finished, folder))
    assert (before["above"] > CUT).any() and after["above"].max() == CUT
    assert list(before) == list(after) and before.drop(
        columns=[c for c in before if "above" in c or "ties" in c]
    ).equals(after.drop(columns=[c for c in after if "above" in c or "ties" in c]))
    near = before["above"] < CUT
    assert before.loc[near, "above"].equals(after.loc[near, "above"])
    assert read_json(folder / run / "provenance.json")["cut"] == CUT


def test_only_a_run_that_is_missing_is_trained(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    restore_runs(study, stored, folder / "results/small")
    shutil.rmtree(folder / RUN.format(model="alterrec", seed=7))
    assert run_cells(folder).endswith("9 of 9 cells done\n")
    weights = sorted(path.parent.parent.name for path in folder.rglob("weights.safetensors"))
    assert weights == ["alterrec"]


def test_a_finished_run_stays_and_what_is_left_of_another_goes(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    kept, replaced = (folder / RUN.format(model="id_only", seed=seed) for seed in (4, 7))
    for run in (kept, replaced):
        shutil.copytree(finished / run.relative_to(folder), run)
    (replaced / "ranks.parquet").unlink()
    assert restore_runs(study, stored, folder / "results/small") == 8
    assert (kept / "weights.safetensors").is_file() and (kept / "top.parquet").is_file()
    assert not (replaced / "weights.safetensors").exists() and not (replaced / "top.parquet").exists()
    assert not verify(study, folder / "results")


def test_damaged_rows_of_a_restored_run_are_found_and_the_run_is_restored_again(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    restore_runs(study, stored, folder / "results/small")
    rows = folder / RUN.format(model="alterrec", seed=4) / "alpha_curve.parquet"
    rows.write_bytes(rows.read_bytes()[:-1] + b"\0")
    (problem,) = verify(study, folder / "results")
    assert problem.endswith("its alpha_curve.parquet is damaged")
    assert restore_runs(study, stored, folder / "results/small") == 1 and not verify(
        study, folder / "results"
    )


def test_restored_runs_can_be_stored_and_trained_again(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    restore_runs(study, stored, folder / "results/small")
    store(study, folder / "results/small", tmp_path / "again")
    for table in (path.relative_to(stored) for path in stored.rglob("*.parquet")):
        pd.testing.assert_frame_equal(
            *(pd.read_parquet(place / table) for place in (stored, tmp_path / "again"))
        )
    run = folder / RUN.format(model="alterrec", seed=4)
    (run / "ranks.parquet").unlink()
    run_cells(folder)
    assert (run / "top.parquet").is_file() and not (run / "alpha_curve.parquet").exists()


def test_outcomes_of_an_older_version_are_to_be_stored_again(finished, stored, tmp_path):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    older = shutil.copytree(stored, tmp_path / "older", ignore=shutil.ignore_patterns("coverage.parquet"))
    with pytest.raises(UserError, match=r"coverage\.parquet is missing: store the runs again"):
        restore_runs(study, older, folder / "results/small")


def test_text_vectors_of_another_machine_are_named(finished, stored, tmp_path, caplog):  # noqa: F811
    folder, study = copy_of_data(finished, tmp_path / "other"), load_study(finished / "config.yaml")
    (vectors,) = (folder / "results/small/data/planted/text").glob("*.safetensors")
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\0")
    restore_runs(study, stored, folder / "results/small")
    assert "the text vectors of 6 runs are not those of this machine" in caplog.text


def test_a_folder_that_nothing_was_stored_in_is_refused(finished, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match=r"runs\.json is missing: name a folder that `alterrec store`"):
        restore_runs(load_study(finished / "config.yaml"), tmp_path, tmp_path / "results/small")


def test_runs_of_other_settings_or_data_are_refused_before_anything_is_written(finished, stored, tmp_path):  # noqa: F811
    folder = copy_of_data(finished, tmp_path / "other")
    other = CONFIG | {"defaults": CONFIG["defaults"] | {"epochs": 4}}
    (folder / "other.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(UserError, match="planted/id_only/seed-4 was run with other settings"):
        restore_runs(load_study(folder / "other.yaml"), stored, folder / "results/small")
    study, data = load_study(finished / "config.yaml"), folder / "results/small/data/planted"
    sessions = pd.read_parquet(data / "sessions.parquet")
    sessions.iloc[:-1].to_parquet(data / "sessions.parquet")
    with pytest.raises(UserError, match="was run on other data"):
        restore_runs(study, stored, folder / "results/small")
    shutil.rmtree(data)
    with pytest.raises(UserError, match="planted is missing: prepare the data first"):
        restore_runs(study, stored, folder / "results/small")
    assert not (folder / "results/small/runs").exists()


def test_a_study_without_a_complete_run_has_nothing_to_store(finished, tmp_path):  # noqa: F811
    folder = copy_of_data(finished, tmp_path / "other")
    with pytest.raises(UserError, match="no finished run"):
        store(load_study(finished / "config.yaml"), folder / "results/small", tmp_path / "out")
