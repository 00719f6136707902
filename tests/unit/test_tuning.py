"""Tuning: the space and its points, the rungs of successive halving, the record, and a trial that stops and goes on."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from alterrec import registry
from alterrec.data.text_vectors import encode_dataset
from alterrec.engine.training_loop import Diverged
from alterrec.errors import UserError
from alterrec.execute import execute_run, execute_trial, results_of
from alterrec.files import read_json, write_json
from alterrec.runner.stored_trials import restore
from alterrec.study.load import load_study
from alterrec.study.search_space import Range, points, space_of
from alterrec.study.tuning import (
    all_record_paths,
    choose,
    edges,
    members,
    read_record,
    rungs,
    search_space,
    trials,
    trials_of_rung,
    tuned_cells,
)
from tests.planted import text_signal

CONFIG = {
    "name": "try",
    "datasets": ["drug", "twin"],
    "models": ["popularity", "id_only", "text_only", "fusion_sum", "late_ensemble", "alterrec", "slow"],
    "seeds": [1, 2],
    "dataset_definitions": {
        "drug": {"source": "complete_journey", "department": "DRUG GM"},
        "twin": {"base": "drug", "text_control": "permuted", "models": ["text_only", "alterrec"]},
    },
    "model_definitions": {"slow": {"base": "id_only", "learning_rate": 0.0001}},
}


def study(**tuning):
    return load_study(CONFIG | {"tuning": tuning})


def test_models_that_train_their_networks_are_tuned_but_no_variant_and_no_twin():
    assert tuned_cells(study()) == [("drug", m) for m in ("id_only", "text_only", "fusion_sum", "alterrec")]
    assert tuned_cells(study(models=["alterrec"], datasets=["twin"])) == [("twin", "alterrec")]
    assert tuned_cells(study(models=["core", "id_only"])) == [("drug", "id_only")], (
        "the study leaves out core"
    )


def test_the_points_fill_every_range_and_the_seed_decides_them():
    space = {"rate": Range(low=1e-4, high=1e-2, log=True), "k": Range(low=1, high=4), "kind": ["a", "b", "c"]}
    found = points(space, 24, seed=1)
    assert found[:5] == points(space, 5, seed=1), "further trials do not move the earlier ones"
    assert found != points(space, 24, seed=2)
    thirds = np.digitize([np.log10(point["rate"]) for point in found], [-4 + 2 / 3, -4 + 4 / 3])
    assert np.bincount(thirds).min() >= 7, "8 of 24 points in each third of the logarithmic range"
    assert {point["k"] for point in found} == {1, 2, 3, 4}
    assert {point["kind"] for point in found} == {"a", "b", "c"}


def test_models_of_a_dataset_try_the_same_values_of_the_settings_that_they_share():
    of_id, of_alterrec = (trials(study(), "drug", model) for model in ("id_only", "alterrec"))
    assert len(of_id) == len(of_alterrec) == 24
    assert all(of_id[number].items() <= of_alterrec[number].items() for number in of_id)
    assert of_id != trials(study(datasets=["drug", "twin"]), "twin", "id_only")


def test_a_model_has_the_settings_and_choices_that_it_knows():
    of_id, of_text, of_both = (search_space(study(), name) for name in ("id_only", "text_only", "alterrec"))
    assert of_id.keys() == {"learning_rate", "dropout", "initialisation", "schedule"}
    assert of_text.keys() == of_id.keys(), "a text network alone has the text space without the prefix"
    assert of_id["initialisation"] == ["authors", "xavier"]
    assert of_text["initialisation"] == of_both["text_initialisation"] == ["authors", "xavier", "unit_gain"]
    assert of_both.keys() >= {"k1", "k2", "m_gap", "m_random", "text_dropout"}


def test_the_config_changes_the_space_and_a_definition_takes_a_setting_out_of_it():
    changed = study(space={"k1": {"low": 5, "high": 20}, "text_dropout": [0.1]})
    assert search_space(changed, "alterrec")["k1"] == Range(low=5, high=20)
    assert search_space(changed, "text_only")["dropout"] == [0.1]
    assert search_space(changed, "id_only")["dropout"] == Range(low=0.0, high=0.8)
    definition = {"model_definitions": {"id_only": {"dropout": 0.5}}}
    fixed = load_study(CONFIG | definition | {"models": ["id_only"], "datasets": ["drug"]})
    assert "dropout" not in search_space(fixed, "id_only")


def test_a_baseline_that_declares_an_unknown_setting_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from alterrec.study.settings import NeuralConfig as Config\n"
        "version, fit, space = 1, None, {'bloks': [1, 2]}\n"
    )
    model = registry.models([tmp_path])["mine"]
    with pytest.raises(UserError, match=r"mine\.py: space: the model has no setting 'bloks' \(did you mean"):
        space_of(model, {}, {})


def test_rungs_keep_a_third_and_train_three_times_as_far():
    assert rungs(study(), "id_only") == [(24, Fraction(1, 9)), (8, Fraction(1, 3)), (3, Fraction(1))]
    assert rungs(study(trials=5, rungs=1), "id_only") == [(5, Fraction(1))]
    assert rungs(study(trials=4, rungs=2), "id_only") == [(4, Fraction(1, 3)), (2, Fraction(1))]


def test_a_model_that_pretrains_is_tuned_in_one_rung_with_the_epochs_of_the_others():
    config = CONFIG | {"models": ["id_only", "s3rec"], "datasets": ["drug"]}
    for of_each, last, whole in ((24, 3, 6), (24, 2, 13), (12, 2, 6), (5, 1, 5), (1, 3, 1)):
        pretrains = load_study(config | {"tuning": {"trials": of_each, "rungs": last}})
        assert rungs(pretrains, "s3rec") == [(whole, Fraction(1))]
        trained, epochs = Fraction(0), Fraction(0)  # shares of a whole training
        for number, share in rungs(pretrains, "id_only"):
            epochs += number * (share - trained)
            trained = share
        assert whole <= epochs < whole + 1
        jobs = trials_of_rung(pretrains, Path("tuning"), "drug", "s3rec", 1)
        assert len(jobs) == whole and all(not trial.previous for trial in jobs.values())
    paths = list(all_record_paths(pretrains))
    assert [path for path in paths if "s3rec" in path] == ["drug/s3rec/rung-1/1.json"]


def test_a_variant_is_tuned_if_it_declares_a_space():
    names = ["id_only", "text_only", "alterrec_separate", "fusion_score_dropout", "fusion_sum_ogm"]
    both = load_study(CONFIG | {"models": names, "datasets": ["drug"]})
    assert [model for _, model in tuned_cells(both)] == [
        name for name in names if name != "alterrec_separate"
    ]
    assert "modulation" in search_space(both, "fusion_sum_ogm")
    assert members(both, "drug", "fusion_sum_ogm") == ["id_only", "text_only"], (
        "a composed trial, as fusion_sum has"
    )


def test_every_search_tries_the_initialisation_that_a_file_has_as_its_default():
    names = [name for name, model in registry.models().items() if model.trains_a_network]
    every = load_study(CONFIG | {"models": names, "datasets": ["drug"]})
    for _, name in tuned_cells(every):
        default = registry.models()[name].module.Config.model_fields["initialisation"].default
        assert default in search_space(every, name)["initialisation"], name


def test_a_model_without_learning_that_declares_a_space_is_tuned_in_one_rung():
    both = load_study(
        CONFIG | {"models": ["id_only", "item_knn", "session_popularity"], "datasets": ["drug"]}
    )
    assert tuned_cells(both) == [("drug", "id_only"), ("drug", "item_knn")]
    assert rungs(both, "item_knn") == [(24, Fraction(1))]
    of_knn = [path for path in all_record_paths(both) if "/item_knn/" in path]
    assert of_knn == [f"drug/item_knn/rung-1/{place}.json" for place in range(1, 25)]
    assert trials(both, "drug", "item_knn")[1].keys() == {"regularisation", "balance"}


def write_records(study, folder, scores: dict[str, list[float]]) -> None:
    """Records of all jobs. A model's trials have `scores`, to which every rung adds 0.1."""
    for path in all_record_paths(study):
        _, model, rung, _ = path.split("/")
        rung = int(rung.removeprefix("rung-"))
        spec = trials_of_rung(study, folder, "drug", model, rung)[folder / path].find()
        score = scores[model][spec["trial"] - 1] + 0.1 * (rung - 1)
        results = {
            "validation_hits20": score,
            "best_epoch": rung,
            "epochs": rung,
            "updates": 9,
            "seconds": 1.5,
        }
        write_json(folder / path, {"spec": spec} | results)
        (folder / f"drug/{model}/trial-{spec['trial']}").mkdir(exist_ok=True)


def test_the_best_trial_is_chosen_recorded_and_its_settings_reach_the_twin(tmp_path):
    tuning = {"models": ["id_only", "alterrec"], "trials": 4, "rungs": 2}
    write_records(
        study(**tuning), tmp_path, {"id_only": [0.1, 0.4, 0.4, 0.2], "alterrec": [0.4, 0.3, 0.2, 0.1]}
    )
    choose(study(**tuning), tmp_path)
    record = read_record(tmp_path / "try.csv")
    chosen = yaml.safe_load((tmp_path / "try.yaml").read_text())["drug"]
    assert len(record) == 2 * (4 + 2)
    promoted_trials = record[(record.model == "id_only") & (record.rung == 2)].trial
    assert list(promoted_trials) == [2, 3], "the earlier trial wins a tie"
    assert chosen["id_only"] == trials(study(**tuning), "drug", "id_only")[2]
    assert chosen["alterrec"] == trials(study(**tuning), "drug", "alterrec")[1]
    own = record[record.model == "alterrec"].own.iloc[0]
    assert own.split(", ")[0] == f"k1 {chosen['alterrec']['k1']}" and "m_random" in own
    assert record[record.model == "id_only"].own.eq("").all()
    assert not list(tmp_path.rglob("trial-*")), "no checkpoint is kept"
    tuned = load_study(CONFIG | {"tuned": str(tmp_path / "try.yaml")})
    for dataset in ("drug", "twin"):
        config = tuned.model_config(dataset, "alterrec")
        assert {key: config[key] for key in chosen["alterrec"]} == chosen["alterrec"], dataset


def test_a_model_of_two_networks_has_one_more_trial_with_the_best_settings_of_both_alone(tmp_path):
    tuning = {"models": ["id_only", "text_only", "alterrec"], "trials": 3, "rungs": 2}
    composed = list(trials_of_rung(study(**tuning), tmp_path, "drug", "alterrec", 2).items())[-1]
    assert composed[0] == tmp_path / "drug/alterrec/rung-2/2.json"
    assert len(trials_of_rung(study(**tuning), tmp_path, "drug", "alterrec", 1)) == 3
    assert len(trials_of_rung(study(**tuning), tmp_path, "drug", "id_only", 2)) == 1
    scores = {"id_only": [0.1, 0.2, 0.3], "text_only": [0.4, 0.3, 0.2], "alterrec": [0.1, 0.1, 0.1, 0.9]}
    write_records(study(**tuning), tmp_path, scores)
    choose(study(**tuning), tmp_path)
    chosen = yaml.safe_load((tmp_path / "try.yaml").read_text())["drug"]
    best = chosen["id_only"] | {f"text_{key}": value for key, value in chosen["text_only"].items()}
    assert best.items() <= chosen["alterrec"].items()
    defaults = registry.model("alterrec").module.Config()
    assert all(chosen["alterrec"][key] == getattr(defaults, key) for key in ("k1", "k2", "m_gap", "m_random"))
    tuned = load_study(CONFIG | {"tuning": tuning, "tuned": str(tmp_path / "try.yaml")})
    (again,) = list(trials_of_rung(tuned, tmp_path, "drug", "alterrec", 2).values())[-1:]
    assert again.find() == composed[1].find(), "what an earlier search chose is no part of it"


def test_a_search_goes_on_from_a_stored_record(tmp_path):
    tuning = {"models": ["id_only", "text_only", "alterrec"], "trials": 4, "rungs": 2}
    scores = {"id_only": [0.1, 0.2, 0.3, 0.4], "text_only": [0.4, 0.3, 0.2, 0.1], "alterrec": [0.1] * 5}
    write_records(study(**tuning), tmp_path / "old", scores)
    choose(study(**tuning), tmp_path / "old")
    record = pd.read_csv(tmp_path / "old/try.csv")
    lost = (record["model"] == "text_only") & (record["trial"] == 3) | (record["rung"] == 2) & (
        record["model"] == "id_only"
    )
    record[~lost].to_csv(tmp_path / "part.csv", index=False)
    before = set(all_record_paths(study(**tuning)))
    # text_only's second rung needs the trial that is lost, and the composed trial both networks' second rungs
    missing = {
        "drug/text_only/rung-1/3.json",
        *(f"drug/{m}/rung-2/{n}.json" for m in ("id_only", "text_only") for n in (1, 2)),
    }
    missing |= {"drug/alterrec/rung-2/3.json"}
    assert restore(study(**tuning), tmp_path / "part.csv", tmp_path / "new") == len(before - missing)
    found = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*.json")}
    assert found == before - missing
    for path in found:
        old, new = read_json(tmp_path / "old" / path), read_json(tmp_path / "new" / path)
        assert new.pop("share") == ("1/3" if "rung-1" in path else "1")
        assert new["validation_hits20"] == pytest.approx(old.pop("validation_hits20"), abs=1e-5)
        new.pop("validation_hits20")
        assert new == old
    record.loc[record["trial"] == 5, "text_dropout"] = 0.123
    record.to_csv(tmp_path / "other.csv", index=False)
    restore(study(**tuning), tmp_path / "other.csv", tmp_path / "without")
    assert not (tmp_path / "without/drug/alterrec/rung-2/3.json").exists(), (
        "networks' best settings are others"
    )
    in_another_order = study(**tuning | {"models": ["alterrec", "id_only", "text_only"]})
    assert restore(in_another_order, tmp_path / "old/try.csv", tmp_path / "all") == len(before)


def test_a_record_of_another_space_is_refused_before_anything_is_written(tmp_path):
    tuning = {"models": ["id_only", "alterrec"], "trials": 4, "rungs": 2}
    write_records(study(**tuning), tmp_path / "old", {"id_only": [0.1] * 4, "alterrec": [0.1] * 5})
    choose(study(**tuning), tmp_path / "old")
    other = study(**tuning, space={"learning_rate": {"low": 0.1, "high": 0.9}})
    with pytest.raises(
        UserError, match=r"try.csv: trial 1 of id_only on drug has learning_rate .*another space"
    ):
        restore(other, tmp_path / "old/try.csv", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_no_record_of_a_search_in_rungs_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv is missing"):
        restore(study(), tmp_path / "none.csv", tmp_path / "new")
    (tmp_path / "grid.csv").write_text("dataset,model,seed,validation_hits20\ndrug,id_only,1,0.1\n")
    with pytest.raises(UserError, match=r"grid\.csv has no column .*rung"):
        restore(study(), tmp_path / "grid.csv", tmp_path / "new")
    columns = "dataset,model,rung,trial,seed,validation_hits20,best_epoch,epochs,updates,seconds\n"
    (tmp_path / "twice.csv").write_text(columns + 2 * "drug,id_only,1,1,0,0.1,1,1,1,1\n")
    with pytest.raises(UserError, match="a trial twice"):
        restore(study(), tmp_path / "twice.csv", tmp_path / "new")


def test_without_the_searches_of_both_networks_there_is_no_such_trial():
    assert (
        members(study(), "drug", "alterrec")
        == members(study(), "drug", "fusion_sum")
        == ["id_only", "text_only"]
    )
    assert members(study(models=["id_only", "alterrec"]), "drug", "alterrec") == []
    assert members(study(), "drug", "id_only") == []


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(UserError, match=r"drug/id_only/rung-1/1\.json is missing: run `snakemake tune`"):
        choose(study(), tmp_path)


def test_the_edges_of_ranges_and_of_several_numbers_are_named_and_other_choices_have_none():
    numbers = {
        "space": {"k": [50, 100, 500], "schedule": ["constant", "step", "cosine"], "once": [True, False]}
    }
    settings = {"schedule": "cosine", "once": True}
    found = [edges(numbers | {"config": settings | {"k": k}}) for k in (50, 100, 500)]
    assert found == [["k"], [], ["k"]]
    space = {
        "learning_rate": {"low": 1e-4, "high": 3e-3, "log": True},
        "dropout": {"low": 0.0, "high": 0.8, "log": False},
        "k2": [500, 2000],
    }
    low, inside = (
        {"learning_rate": 1.1e-4, "dropout": 0.05, "k2": 500},
        {"learning_rate": 1.3e-4, "dropout": 0.7},
    )
    assert edges({"space": space, "config": low}) == ["learning_rate"]
    assert edges({"space": space, "config": inside | {"k2": 2000}}) == []
    assert edges({"space": space, "config": inside | {"dropout": 0.77, "k2": 2000}}) == ["dropout"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    text_signal(items=60, sessions=200).save(folder)
    encoder = {"name": "tfidf_svd", "base": "tfidf_svd", "version": 1, "config": {}}
    encode_dataset(folder, encoder, folder / "text" / "tfidf_svd.safetensors")
    return folder


def spec(**settings) -> dict:
    model = registry.model("alterrec")
    small = {"dimension": 8, "blocks": 1, "epochs": 3, "m_gap": 1, "m_random": 2, "k1": 2, "k2": 20}
    return {
        "dataset": "planted",
        "model": "alterrec",
        "base": "alterrec",
        "version": model.version,
        "seed": 0,
        "encoder": "tfidf_svd",
        "baselines": [],
        "threads": 1,
        "config": model.module.Config(**small | settings).model_dump(mode="json"),
        "trial": 1,
        "space": {},
    }


def without_seconds(path) -> dict:
    return {key: value for key, value in read_json(path).items() if key != "seconds"}


def test_a_trial_that_stops_at_a_rung_and_goes_on_equals_an_uninterrupted_one(data, tmp_path):
    import torch

    def run(folder, rung, share):
        execute_trial(spec(), Fraction(share), data, tmp_path / folder / f"rung-{rung}" / "1.json")
        (saved,) = (tmp_path / folder / "trial-1").iterdir()
        return torch.load(saved, weights_only=True)

    stopped = run("halved", 1, "1/3")
    first = without_seconds(tmp_path / "halved/rung-1/1.json")
    halved, whole = run("halved", 2, "1"), run("whole", 2, "1")
    assert len(stopped["history"]) == 2 and len(halved["history"]) == 6, "shares of both networks' epochs"
    assert without_seconds(tmp_path / "halved/rung-2/1.json") == without_seconds(
        tmp_path / "whole/rung-2/1.json"
    )
    for key, value in whole["weights"].items():
        assert torch.equal(value, halved["weights"][key]), key
    assert halved["order"] == whole["order"]
    run("halved", 1, "1/3")
    assert without_seconds(tmp_path / "halved/rung-1/1.json") == first, (
        "the rung is repeated from what is saved"
    )


def test_the_score_of_a_trial_without_epochs_is_that_of_the_ranked_model(data, tmp_path):
    model = registry.model("item_knn")
    own = {"base": "item_knn", "model": "item_knn", "encoder": None}
    own |= {"config": model.module.Config(balance=0.2).model_dump(mode="json")}
    execute_trial(spec() | own, Fraction(1), data, tmp_path / "rung-1" / "1.json")
    execute_run(spec() | own, data, tmp_path / "run")
    record = read_json(tmp_path / "rung-1" / "1.json")
    assert record["validation_hits20"] == pytest.approx(
        read_json(tmp_path / "run/metrics.json")["validation"]["Hits@20"]
    )
    assert record["validation_hits20"] > 0
    assert (record["best_epoch"], record["epochs"], record["updates"]) == (0, 0, 0)


def test_a_trial_that_diverges_has_the_score_0(data, tmp_path, monkeypatch):
    def diverges(*_, **__):
        raise Diverged("the training loss of epoch 1 is nan")

    monkeypatch.setattr("alterrec.execute.fit_model", diverges)
    execute_trial(spec(), Fraction(1), data, tmp_path / "rung-1" / "1.json")
    assert read_json(tmp_path / "rung-1" / "1.json")["validation_hits20"] == 0


def test_a_trial_whose_k1_leaves_no_ranks_in_the_catalogue_has_the_score_0(data, tmp_path, caplog):
    execute_trial(spec(k1=40, k2=50), Fraction(1), data, tmp_path / "rung-1" / "1.json")
    assert read_json(tmp_path / "rung-1" / "1.json")["validation_hits20"] == 0
    assert "no ranks between k1 = 40 and k2 = 50 in the better half of a catalogue of 60 items" in caplog.text


def test_a_record_of_a_grid_is_still_read(request):
    path = request.config.rootpath / "workflow/config/tuned/beauty_first.csv"
    pd.testing.assert_frame_equal(read_record(path)[[*pd.read_csv(path)]], pd.read_csv(path))


@pytest.mark.parametrize(("hits", "best"), [([math.nan, 0.2, 0.1], (0.2, 2)), ([math.nan], (0.0, 0))])
def test_an_epoch_without_a_score_is_not_the_best_of_a_trial(hits, best):
    history = [
        {"epoch": number, "hits20": value, "network": "id", "updates": 5, "seconds": 1.0}
        for number, value in enumerate(hits, 1)
    ]
    results = results_of(history)
    assert (results["validation_hits20"], results["best_epoch"]) == best
    assert results["epochs"] == len(hits)
