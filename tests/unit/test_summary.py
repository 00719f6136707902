"""From runs to the summary folder: the columns and values of every table."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.analysis.imbalance import imbalance_table
from alterrec.analysis.summary import DEMO, RANDOM_ORDER, summarise, with_twins
from alterrec.analysis.summary_schema import COLUMNS
from alterrec.analysis.summary_tables import dataset_row
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.inference.statistics import LEVEL
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import CUTOFFS, K
from alterrec.sources._raw import DatasetConfig, Raw
from alterrec.study.tuning import read_record
from tests.unit.planted_runs import (
    MODELS,
    RATES,
    RESAMPLES,
    planted_dataset,
    planted_study,
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[dict, dict[str, pd.DataFrame], Path]:
    """A study of two datasets and a twin, its summary's tables, and its folder."""
    folder = tmp_path_factory.mktemp("planted")
    study = planted_study(
        folder, {"real": None, "real-permuted": "real", "other": None}, demo=True, order_known=False
    )
    study["tuning"] = str(planted_record(folder / "record.csv"))
    summarise(study, folder / "summary", RESAMPLES)
    tables = {name: pd.read_parquet(folder / "summary" / f"{name}.parquet") for name in COLUMNS}
    return study, tables, folder


def planted_record(path: Path) -> Path:
    """A tuning record of two points whose grid varied only the initialisation and the learning rate."""
    keys = {"dataset": "real", "model": "id_only", "seed": 0, "initialisation": ["authors", "xavier"]}
    scores = {
        "learning_rate": 0.001,
        "validation_hits20": [0.1, 0.2],
        "best_epoch": 3,
        "epochs": 4,
        "updates": 40,
    }
    pd.DataFrame(keys | scores).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("table", COLUMNS)
def test_every_table_has_its_columns(planted, table):
    frame = planted[1][table]
    assert sorted(frame.columns) == sorted(COLUMNS[table])
    assert len(frame)


def test_study_json_has_no_paths(planted):
    study, _, folder = planted
    stored = json.loads((folder / "summary" / "study.json").read_text())
    assert stored["models"] == study["models"]
    assert str(folder) not in json.dumps(stored)
    assert stored["datasets"]["real-permuted"]["twin_of"] == "real"


def pick(frame: pd.DataFrame, **where) -> pd.DataFrame:
    """The rows whose columns have these values."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.mark.parametrize(
    ("split", "scope", "targets", "part", "catalogue"),
    [
        ("test", "all", "all", "model", "full"),
        ("test", "last", "warm", "model", "unseen"),
        ("validation", "all", "cold", "text", "full"),
    ],
)
def test_metrics_equal_a_loop_over_the_ranks(planted, split, scope, targets, part, catalogue):
    study, tables, folder = planted
    train_count = pd.read_parquet(folder / "data" / "real" / "items.parquet")["train_count"]
    ranks = pd.read_parquet(folder / "runs" / "real" / "fusion_sum" / "seed-2" / "ranks.parquet")
    column = {"model": "above", "text": "text_above"}[part] + ("_unseen" if catalogue == "unseen" else "")
    hits, gains = [], []
    for row in ranks.to_dict("records"):
        in_scope = row["split"] == split and (scope == "all" or row["last"])
        if in_scope and (targets == "all" or (train_count[row["target"]] > 0) == (targets == "warm")):
            rank = row[column] + 1
            hits.append(rank <= K)
            gains.append(1 / np.log2(rank + 1) if rank <= K else 0)
    where = dict(split=split, scope=scope, targets=targets, part=part, catalogue=catalogue, k=K)
    rows = pick(tables["metrics"], dataset="real", model="fusion_sum", seed=2, **where).set_index("metric")
    assert rows.loc["Hits", "value"] == pytest.approx(np.mean(hits))
    assert rows.loc["NDCG", "value"] == pytest.approx(np.mean(gains))
    assert rows.loc["Hits", "instances"] == len(hits)


def test_found_by_both_counts_the_targets_that_each_part_has_among_its_best(planted):
    _, tables, folder = planted
    ranks = pd.read_parquet(folder / "runs" / "real" / "fusion_sum" / "seed-2" / "ranks.parquet")
    for split in ("validation", "test"):
        of_split = ranks[ranks["split"] == split].to_dict("records")
        for k in CUTOFFS:
            both = [row["id_above"] < k and row["text_above"] < k for row in of_split]
            where = dict(split=split, scope="all", targets="all", part="both", catalogue="full", k=k)
            (row,) = pick(tables["metrics"], dataset="real", model="fusion_sum", seed=2, **where).itertuples()
            assert (row.metric, row.value) == ("Hits", pytest.approx(np.mean(both)))
    assert 0 < np.mean(both) < 1
    assert pick(tables["metrics"], model="id_only", part="both").empty


def test_the_difference_is_the_difference_of_the_printed_means(planted):
    tables = planted[1]
    for row in tables["significance"].itertuples():
        where = dict(
            dataset=row.dataset, split="test", part="model", scope=row.scope, targets="all", catalogue="full"
        )
        printed = pick(tables["metrics"], metric=row.metric, k=K, **where).groupby("model").value.mean()
        assert row.difference == pytest.approx(printed[row.model_a] - printed[row.model_b], abs=1e-12)
        assert row.se >= row.se_i * (1 - 1e-9)
        assert row.low <= row.difference <= row.high
        assert row.wins + row.ties + row.losses == row.sessions


def test_alterrec_is_compared_with_all_models_and_fusions_and_controls_with_their_baselines(planted):
    found = set(planted[1]["significance"].groupby(["model_a", "model_b"]).groups)
    expected = {("alterrec", model) for model in MODELS if model not in ("alterrec", "oracle")}
    fusions = [model for model in MODELS if model.startswith("fusion")]
    expected |= {(fusion, other) for fusion in fusions for other in ("id_only", "text_only", "late_ensemble")}
    expected |= {("late_ensemble_sampled", "late_ensemble")}
    expected |= {(method, "late_ensemble_sampled") for method in ("alterrec_random", "alterrec_separate")}
    assert found == expected


def compared_pairs(study: dict, folder: Path) -> set[tuple[str, str]]:
    summarise(study, folder / "summary", RESAMPLES)
    found = pd.read_parquet(folder / "summary" / "significance.parquet")
    return set(zip(found.model_a, found.model_b, strict=True))


def test_a_variant_of_a_fusion_is_compared_with_that_fusion_alone(tmp_path):
    rates = {model: RATES[model] for model in ("id_only", "fusion_score", "fusion_sum")}
    study = planted_study(tmp_path, {"d": None}, rates, seeds=(1, 2))
    study["models"]["fusion_sum"] = MODELS["fusion_sum"] | {"variant_of": "fusion_score"}
    assert compared_pairs(study, tmp_path) == {
        ("fusion_score", "id_only"),
        ("fusion_sum", "fusion_score"),
    }


def test_a_published_baseline_is_compared_with_the_late_ensemble_that_validation_prefers(tmp_path):
    rates = {"late_ensemble": 0.05, "late_ensemble_sampled": 0.4, "text_only": 0.2}
    study = planted_study(tmp_path, {"d": None}, rates, seeds=(1, 2))
    study["models"]["text_only"] = MODELS["text_only"] | {"family": "external"}
    assert compared_pairs(study, tmp_path) == {
        ("text_only", "late_ensemble_sampled"),
        ("late_ensemble_sampled", "late_ensemble"),
    }


def test_a_large_planted_lead_is_found(planted):
    rows = pick(
        planted[1]["significance"],
        dataset="real",
        model_a="alterrec",
        model_b="random",
        scope="all",
        metric="Hits",
    )
    row = rows.iloc[0]
    assert row.p_holm < LEVEL
    assert row.p_signflip == 1 / (RESAMPLES + 1)
    assert 0.1 < row.boot_low < row.difference < row.boot_high
    assert (row.seeds_a, row.seeds_b) == (3, 1)


def test_claims_are_made_for_datasets_but_not_for_twins_and_carry_the_datasets_notes(planted):
    claims = planted[1]["claims"]
    assert set(claims.dataset) == {"real", "other"}
    assert claims.note.str.contains(DEMO).all()
    assert claims.note.str.contains(RANDOM_ORDER).all()
    primary = claims[claims.primary].set_index(["claim", "dataset"])
    assert len(primary) == 16
    assert np.isfinite(primary.loc[("C8", "real"), "p"])
    assert "no twin" in primary.loc[("C8", "other"), "note"]


def test_the_alpha_grid_marks_the_point_that_the_model_uses(planted):
    alpha = planted[1]["alpha"]
    chosen = alpha[alpha.chosen]
    assert set(alpha.model) == {"late_ensemble", "alterrec"}
    assert set(chosen.blend) == {"zscore"}
    assert set(chosen.alpha) == {0.5}
    row = pick(chosen, dataset="real", model="alterrec", seed=1, split="test", metric="Hits").iloc[0]
    where = dict(split="test", part="model", scope="all", targets="all", catalogue="full", metric="Hits", k=K)
    printed = pick(planted[1]["metrics"], dataset="real", model="alterrec", seed=1, **where).value.item()
    assert row.value == pytest.approx(printed)


def test_imbalance_has_the_parts_of_fusions_and_the_networks_trained_alone(planted):
    table = planted[1]["imbalance"]
    fusion = pick(table, dataset="real", model="fusion_gate", seed=1, network_epoch=2).set_index("part")
    assert fusion.score_share.to_dict() == pytest.approx({"id": 0.6, "text": 0.4})
    assert pick(table, model="fusion_sum", part="id").score_share.eq(0.6).all()
    assert set(pick(table, model="id_only").part) == {"id"}
    assert set(pick(table, model="text_only").part) == {"text"}
    assert "alterrec" not in set(table.model)


def test_budgets_are_totals_of_each_network_and_of_the_members_of_an_ensemble(planted):
    table = planted[1]["budgets"]
    own = pick(table, dataset="real", model="id_only", seed=2).iloc[0]
    assert own[["network", "updates", "labels", "best_epoch"]].to_list() == ["id", 30, 1500, 3]
    assert np.isnan(own.treated_epoch)
    ensemble = pick(table, dataset="real", model="late_ensemble", seed=2)
    assert {"id", "text"} <= set(ensemble.network)


def test_gradients_and_updates_are_relative_to_the_mean_of_the_network_alone(planted):
    table = planted[1]["imbalance"]
    fusion = pick(table, dataset="real", model="fusion_gate", part="text").set_index(
        ["seed", "network_epoch"]
    )
    # Seeds 1, 2, 3 of the network alone have 1, 2, 3 (mean 2); the fusion's seed 3 has half, and a quarter, of 3.
    assert fusion.gradient_ratio[3, 2] == pytest.approx(0.75)
    assert fusion.update_size[3, 2] == pytest.approx(3 / 8)
    assert fusion.update_ratio[3, 2] == pytest.approx(0.375)
    assert pick(table, model="text_only").groupby("network_epoch").gradient_ratio.mean().eq(1).all()


def test_an_epoch_that_the_network_alone_did_not_reach_has_no_ratio():
    keys = {"dataset": "d", "seed": 1, "updates": 10, "id_hits20": 0.1, "id_gradient_norm": 2.0}
    epochs = [("id_only", "id", 1), ("fusion_sum", "joint", 1), ("fusion_sum", "joint", 2)]
    history = pd.DataFrame([keys | {"model": m, "network": n, "network_epoch": e} for m, n, e in epochs])
    table = imbalance_table(history, {"id_only": {}, "fusion_sum": {"family": "fusion"}})
    ratios = pick(table, model="fusion_sum", part="id").set_index("network_epoch").gradient_ratio
    assert ratios[1] == 1 and np.isnan(ratios[2])


def test_undertraining_is_alone_minus_inside(planted):
    table = planted[1]["undertraining"]
    assert (table.gap - (table.alone - table.inside)).abs().max() < 1e-12
    text = pick(table, dataset="real", model="fusion_score", part="text").iloc[0]
    assert text.gap > 0.03
    assert text.low <= text.gap <= text.high


def test_the_datasets_table_counts_sessions_instances_and_items(planted):
    row = pick(planted[1]["datasets"], dataset="real").iloc[0]
    dataset = planted_dataset()
    assert row.sessions_train + row.sessions_validation + row.sessions_test == len(dataset.split)
    assert row.instances_test == sum(  # every item but the first is a target
        dataset.offsets[s + 1] - dataset.offsets[s] - 1
        for s in range(len(dataset.split))
        if dataset.split[s] == "test"
    )
    assert row.warm_items + row.cold_items == row["items"] == 400
    assert bool(row.demo)
    assert not row.order_known


def test_only_the_last_items_of_a_leave_last_out_split_are_counted_as_instances(tmp_path):
    sessions = {"session_id": ["s0", "s1", "s2"], "items": [list("abcde"), list("bcd"), list("acbe")]}
    items = {"item_id": list("abcde"), "text": [f"text {item}" for item in "abcde"]}
    raw = Raw(
        sessions=pd.DataFrame(sessions),
        items=pd.DataFrame(items),
        source="test",
        url="",
        citation="",
        licence="none",
        checksums={},
    )
    dataset = prepare(raw, DatasetConfig(source="test", split="leave_last_out"), tmp_path)
    instances = instance_table(dataset)
    row = dataset_row("d", dataset, None).iloc[0]
    # Training keeps abc and ac, whose items but the first are targets; validation and test have one target per session.
    assert (row.sessions_train, row.sessions_validation, row.sessions_test) == (2, 3, 3)
    assert (row.instances_train, row.instances_validation, row.instances_test) == (3, 3, 3)
    assert row.instances_test == (instances["split"] == "test").sum()


def test_every_dataset_is_followed_by_its_twins():
    datasets = {"plain": None, "permuted": "plain", "alone": None, "also-permuted": "plain"}
    pairs = with_twins({name: {"twin_of": original} for name, original in datasets.items()})
    assert list(pairs) == [("plain", ["permuted", "also-permuted"]), ("alone", [])]


def test_the_same_runs_give_the_same_bytes(tmp_path):
    rates = {model: RATES[model] for model in ("random", "id_only", "fusion_sum", "alterrec")}
    study = planted_study(tmp_path, {"d": None, "d-permuted": "d"}, rates, seeds=(1, 2))
    for out in ("once", "again"):
        summarise(study, tmp_path / out, RESAMPLES)
    for path in sorted((tmp_path / "once").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_semantic_signal_is_real_minus_permuted_with_its_interval(planted):
    table = planted[1]["permuted"].set_index("model")
    where = {"split": "test", "part": "model", "scope": "all", "targets": "all", "catalogue": "full"}
    hits = (
        pick(planted[1]["metrics"], **where, metric="Hits", k=K).groupby(["dataset", "model"])["value"].mean()
    )
    assert set(table["dataset"]) == {"real"} and set(table["twin"]) == {"real-permuted"}
    for model, row in table.iterrows():
        assert row.difference == pytest.approx(hits["real", model] - hits["real-permuted", model], abs=1e-12)
    trained = table.dropna(subset=["low"])
    assert len(trained)
    assert (trained.low < trained.difference).all() and (trained.difference < trained.high).all()


def test_the_tuning_record_is_copied_and_settings_that_it_lacks_are_empty(planted):
    tuning = planted[1]["tuning"]
    written = pd.read_csv(planted[2] / "record.csv")
    pd.testing.assert_frame_equal(tuning[written.columns], written)
    assert tuning[["schedule", "dropout"]].isna().all(axis=None)


def test_a_tuning_record_without_scores_is_refused_with_the_missing_columns(tmp_path):
    path = planted_record(tmp_path / "record.csv")
    pd.read_csv(path).drop(columns=["validation_hits20", "updates"]).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"record\.csv has no column validation_hits20, updates: "):
        read_record(path)
