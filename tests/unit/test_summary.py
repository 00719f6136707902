"""From runs to the summary folder: the check of ranks, the columns and values of every table, and missing files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.analysis.imbalance import imbalance_table
from alterrec.analysis.summary import DEMO, PERMUTED_TEXTS, RANDOM_ORDER, summarise, with_twins
from alterrec.analysis.summary_schema import COLUMNS
from alterrec.analysis.summary_tables import Groups, dataset_row, metrics_rows
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.inference.statistics import LEVEL
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import K
from alterrec.ranking.rank_file import OPTIONAL, check_ranks
from alterrec.sources._raw import DatasetConfig, Raw
from alterrec.study.load import load_study
from alterrec.study.summary_input import summary_input
from alterrec.study.tuning import read_record
from tests.unit.planted_runs import MODELS, RATES, planted_dataset, planted_ranks, planted_study

RESAMPLES = 200


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


def test_a_variant_of_a_fusion_is_compared_with_that_fusion_alone(tmp_path):
    rates = {model: RATES[model] for model in ("id_only", "fusion_score", "fusion_sum")}
    study = planted_study(tmp_path, {"d": None}, rates, seeds=(1, 2))
    study["models"]["fusion_sum"] = MODELS["fusion_sum"] | {"variant_of": "fusion_score"}
    summarise(study, tmp_path / "summary", RESAMPLES)
    found = pd.read_parquet(tmp_path / "summary" / "significance.parquet")
    assert set(zip(found.model_a, found.model_b, strict=True)) == {
        ("fusion_score", "id_only"),
        ("fusion_sum", "fusion_score"),
    }


def test_a_published_baseline_is_compared_with_the_late_ensemble_that_validation_prefers(tmp_path):
    rates = {"late_ensemble": 0.05, "late_ensemble_sampled": 0.4, "text_only": 0.2}
    study = planted_study(tmp_path, {"d": None}, rates, seeds=(1, 2))
    study["models"]["text_only"] = MODELS["text_only"] | {"family": "external"}
    summarise(study, tmp_path / "summary", RESAMPLES)
    found = pd.read_parquet(tmp_path / "summary" / "significance.parquet")
    assert set(zip(found.model_a, found.model_b, strict=True)) == {
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
    row = dataset_row("d", dataset, instances, None).iloc[0]
    # Training keeps abc and ac, whose items but the first are targets; validation and test have one target per session.
    assert (row.sessions_train, row.sessions_validation, row.sessions_test) == (2, 3, 3)
    assert (row.instances_train, row.instances_validation, row.instances_test) == (3, 3, 3)
    assert row.instances_test == (instances["split"] == "test").sum()


def test_every_dataset_is_followed_by_its_twins():
    datasets = {"plain": None, "permuted": "plain", "alone": None, "also-permuted": "plain"}
    pairs = with_twins({name: {"twin_of": original} for name, original in datasets.items()})
    assert list(pairs) == [("plain", ["permuted", "also-permuted"]), ("alone", [])]


def test_a_permuted_dataset_without_its_original_is_a_dataset_like_any_other(tmp_path):
    definitions = {
        "plain": {"source": "complete_journey", "department": "DRUG GM"},
        "permuted": {"base": "plain", "text_control": "permuted"},
    }
    config = {"name": "try", "models": ["text_only"], "seeds": [1], "dataset_definitions": definitions}
    for selected, twin_of in ((["permuted"], None), (["plain", "permuted"], "plain")):
        study = summary_input(load_study(config | {"datasets": selected}), tmp_path)
        assert study["datasets"]["permuted"]["twin_of"] == twin_of
    rates = {"id_only": 0.1, "alterrec": 0.3}
    planted = planted_study(tmp_path, {"permuted": None}, rates, config={"text_control": "permuted"})
    summarise(planted, tmp_path / "summary", RESAMPLES)
    claims = pd.read_parquet(tmp_path / "summary" / "claims.parquet")
    assert set(claims.dataset) == {"permuted"}
    assert claims.primary.sum() == 8
    assert claims.note.str.contains(PERMUTED_TEXTS).all(), "a reader must see that the texts are no evidence"
    assert claims[claims.claim == "C8"].note.str.contains("no twin").all()
    assert len(pd.read_parquet(tmp_path / "summary" / "permuted.parquet")) == 0


def test_no_run_is_left_out_if_a_dataset_has_two_twins(tmp_path):
    datasets = {"d": None, "d-first": "d", "d-second": "d"}
    summarise(planted_study(tmp_path, datasets, {"text_only": 0.2}), tmp_path / "summary", RESAMPLES)
    assert set(pd.read_parquet(tmp_path / "summary" / "metrics.parquet").dataset) == set(datasets)
    assert list(pd.read_parquet(tmp_path / "summary" / "permuted.parquet").twin) == ["d-first", "d-second"]


def test_the_same_runs_give_the_same_bytes(tmp_path):
    rates = {model: RATES[model] for model in ("random", "id_only", "fusion_sum", "alterrec")}
    study = planted_study(tmp_path, {"d": None, "d-permuted": "d"}, rates, seeds=(1, 2))
    for out in ("once", "again"):
        summarise(study, tmp_path / out, RESAMPLES)
    for path in sorted((tmp_path / "once").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_an_external_baseline_needs_ranks_only(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": 0.1, "alterrec": 0.3}, seeds=(1, 2))
    study["models"]["knn"] = {"base": "knn", "family": "external", "networks": ["knn"], "label": "kNN"}
    dataset, random = planted_dataset(), np.random.default_rng(0)
    for seed in (1, 2):
        path = tmp_path / "runs" / "d" / "knn" / f"seed-{seed}"
        path.mkdir(parents=True)
        ranks = planted_ranks(instance_table(dataset), dataset.catalogue_size, 0.2, random).astype(
            {"above": np.int64}
        )
        ranks.sample(frac=1, random_state=1).to_parquet(path / "ranks.parquet")
        study["cells"].append({"dataset": "d", "model": "knn", "seed": seed, "path": str(path)})
    summarise(study, tmp_path / "summary", RESAMPLES)
    significance = pd.read_parquet(tmp_path / "summary" / "significance.parquet")
    assert set(significance.model_b) == {"id_only", "knn"}
    assert np.isfinite(significance.p).all()
    coverage = pd.read_parquet(tmp_path / "summary" / "coverage.parquet")
    assert set(coverage.model) == {"id_only", "alterrec"}
    cost = pd.read_parquet(tmp_path / "summary" / "cost.parquet").set_index("model")
    assert cost.loc["knn", "seconds"].isna().all()


def test_a_study_of_one_model_and_one_seed_has_all_files(tmp_path):
    summarise(
        planted_study(tmp_path, {"d": None}, {"text_only": 0.1}, seeds=(1,)), tmp_path / "summary", RESAMPLES
    )
    assert {path.stem for path in (tmp_path / "summary").glob("*.parquet")} == set(COLUMNS)
    claims = pd.read_parquet(tmp_path / "summary" / "claims.parquet")
    assert (claims.verdict == "undecided").all()
    assert claims.note.str.contains("not run").any()


def test_with_one_seed_only_question_i_is_answered(tmp_path):
    summarise(
        planted_study(tmp_path, {"d": None}, {"id_only": 0.1, "alterrec": 0.3}, seeds=(1,)),
        tmp_path,
        RESAMPLES,
    )
    row = pd.read_parquet(tmp_path / "significance.parquet").iloc[0]
    assert row[["se", "low", "high", "p", "boot_low", "boot_high", "p_holm", "p_bh"]].isna().all()
    assert row[["difference", "se_i", "p_i", "p_signflip", "p_wilcoxon"]].notna().all()


def test_a_missing_or_broken_run_is_named(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": 0.1}, seeds=(1,))
    shutil.rmtree(study["cells"][0]["path"])
    with pytest.raises(UserError, match=r"runs/d/id_only/seed-1/ranks.parquet is missing"):
        summarise(study, tmp_path / "summary")
    (path := Path(study["cells"][0]["path"])).mkdir()
    (path / "ranks.parquet").write_text("nonsense")
    with pytest.raises(UserError, match=r"ranks.parquet is not a readable parquet file"):
        summarise(study, tmp_path / "summary")
    assert not (tmp_path / "summary").exists()


def test_top_lists_outside_the_catalogue_are_refused(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": RATES["id_only"]}, seeds=(1,))
    path = Path(study["cells"][0]["path"]) / "top.parquet"
    top = pd.read_parquet(path)
    top["items"] = [[400], *top["items"].iloc[1:].map(list)]
    top.to_parquet(path)
    with pytest.raises(UserError, match="top.parquet: items must be row numbers of the catalogue, 0 to 399"):
        summarise(study, tmp_path / "summary")


@pytest.fixture(scope="module")
def valid():
    dataset = planted_dataset(sessions=40)
    instances = instance_table(dataset)
    return (
        dataset,
        instances,
        planted_ranks(instances, dataset.catalogue_size, 0.2, np.random.default_rng(0), {"id": 0.1}),
    )


def test_valid_ranks_are_accepted_in_any_order_of_rows(valid):
    dataset, instances, ranks = valid
    shuffled = ranks.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(check_ranks(shuffled, dataset, "x"), ranks, check_dtype=False)
    pd.testing.assert_frame_equal(check_ranks(ranks, dataset, "x", instances), ranks)


def test_the_instances_are_all_prefixes_of_validation_and_test_sessions(valid):
    dataset, instances, _ = valid
    literal = []
    for split in ("validation", "test"):
        for session in np.flatnonzero(dataset.split == split):
            items = dataset.flat[dataset.offsets[session] : dataset.offsets[session + 1]].tolist()
            for n in range(1, len(items)):
                literal.append((split, session, n, items[n], n == len(items) - 1, items[n] in items[:n]))
    assert list(instances.itertuples(index=False, name=None)) == literal


def changed(column: str, value) -> callable:
    def change(ranks: pd.DataFrame) -> pd.DataFrame:
        return ranks.assign(**{column: ranks[column].where(ranks.index != 3, value)})

    return change


BROKEN = {
    "no column": (lambda r: r.drop(columns="ties"), "column 'ties' is missing"),
    "misspelt": (lambda r: r.rename(columns={"above_unseen": "above_unsen"}), "did you mean 'above_unsen'"),
    "half a pair": (lambda r: r.drop(columns="id_ties"), "column 'id_ties' is missing"),
    "floats": (lambda r: r.astype({"above": float}), "column 'above' is float64, it must be int32"),
    "gaps": (
        lambda r: r.astype({"above": "Int32"}).assign(above=lambda f: f.above.where(f.index > 0)),
        "'above' is Int32",
    ),
    "last as a number": (lambda r: r.astype({"last": int}), "column 'last' is int64, it must be bool"),
    "split as a number": (lambda r: r.assign(split=1), "column 'split' is int64, it must be text"),
    "a row less": (lambda r: r.iloc[1:], "is missing (1 such"),
    "a row twice": (lambda r: pd.concat([r, r.iloc[:1]]), "occurs more than once (1 such"),
    "an unknown instance": (
        changed("session", 0),
        "session 0, position 4 is not a validation or test instance",
    ),
    "a train session": (lambda r: r.assign(session=r.session - 1), "is not a validation or test instance"),
    "the other split": (
        changed("split", "test"),
        "split of session 2, position 4 is test, the dataset says validation",
    ),
    "another target": (changed("target", -5), "target of session 2, position 4 is -5, the dataset says"),
    "another last": (lambda r: r.assign(last=~r["last"]), "last of session 2, position 1 is"),
    "negative": (changed("ties", -1), "ties is negative: session 2, position 4"),
    "beyond the catalogue": (changed("above", 400), "above + ties exceeds the 399 other items"),
    "a part beyond": (changed("id_ties", 400), "id_above + id_ties exceeds the 399 other items"),
    "more unseen than all": (
        lambda r: r.assign(above_unseen=400),
        "above_unseen or ties_unseen exceeds the count",
    ),
    "a seen target ranked": (lambda r: r.assign(above_unseen=0), "where the prefix holds the target"),
    "negative unseen": (changed("ties_unseen", -1), "above_unseen or ties_unseen is negative"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_ranks_are_refused_with_an_error_that_names_the_file_and_the_fault(valid, fault):
    dataset, _, ranks = valid
    change, message = BROKEN[fault]
    with pytest.raises(UserError) as error:
        check_ranks(change(ranks), dataset, "runs/d/m/seed-1/ranks.parquet")
    assert str(error.value).startswith("runs/d/m/seed-1/ranks.parquet: ")
    assert message in str(error.value)


def test_ranks_among_unseen_items_and_of_parts_are_optional(valid):
    dataset, instances, ranks = valid
    few = ranks.drop(columns=[column for pair in OPTIONAL for column in pair if column in ranks])
    checked = check_ranks(few, dataset, "ranks.parquet")
    table = metrics_rows(checked, Groups(instances, dataset))
    assert set(table["catalogue"]) == {"full"} and set(table["part"]) == {"model"}


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


def test_a_study_without_fusions_has_every_column(tmp_path):
    study = planted_study(tmp_path, {"real": None})
    kept = {
        name: about for name, about in study["models"].items() if about["family"] not in ("fusion", "method")
    }
    study |= {"models": kept, "cells": [cell for cell in study["cells"] if cell["model"] in kept]}
    summarise(study, tmp_path / "summary", RESAMPLES)
    history = pd.read_parquet(tmp_path / "summary" / "history.parquet")
    assert set(COLUMNS["history"]) <= set(history.columns)
    tuning = pd.read_parquet(tmp_path / "summary" / "tuning.parquet")
    assert list(tuning.columns) == [*COLUMNS["tuning"]] and tuning.empty, "the study has no tuning record"


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
