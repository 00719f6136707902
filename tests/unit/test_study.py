"""A config is checked before any job starts: every mistake is reported with its key and the nearest known name."""

import copy
import errno
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from alterrec.descriptions.configuration_page import GROUPS, configuration_page
from alterrec.descriptions.json_schemas import schemas
from alterrec.errors import UserError
from alterrec.study import resolve
from alterrec.study.config_file import StudyConfig, TuningConfig
from alterrec.study.load import load_study
from alterrec.study.summary_input import model_facts, summary_input, tuning_record

GOOD = {
    "name": "try",
    "datasets": ["drug"],
    "models": ["popularity", "id_only", "text_only", "late_ensemble", "slow"],
    "seeds": [1, 2],
    "defaults": {"dimension": 32, "blend": "zscore"},
    "dataset_definitions": {
        "drug": {"source": "complete_journey", "department": "DRUG GM"},
        "twin": {"base": "drug", "text_control": "permuted", "models": ["text_only"]},
    },
    "model_definitions": {"slow": {"base": "id_only", "learning_rate": 0.0001, "label": "Slow"}},
}


def changed(**changes) -> dict:
    """GOOD with changes; `a__b=1` sets the key b of the mapping a."""
    config = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return config


MISTAKES = {
    "unknown dataset": (changed(datasets=["drgu"]), r"unknown dataset 'drgu' \(did you mean 'drug'\?\)"),
    "unknown model": (changed(models=["id_onyl"]), r"unknown model 'id_onyl' \(did you mean 'id_only'\?\)"),
    "unknown encoder": (
        changed(encoder="all_minilm"),
        r"unknown encoder 'all_minilm' \(did you mean 'all_minilm_l6_v2'\?\)",
    ),
    "unknown source": (
        changed(dataset_definitions__drug__source="complete_jorney"),
        "did you mean 'complete_journey'",
    ),
    "unknown study key": (changed(seed=[1]), r"unknown key 'seed' \(did you mean 'seeds'\?\)"),
    "unknown dataset key": (
        changed(dataset_definitions__drug__week=3),
        r"drug: unknown key 'week' \(did you mean 'weeks'\?\)",
    ),
    "unknown model key": (
        changed(model_definitions__slow__learning_rat=1),
        r"slow: unknown key 'learning_rat' \(did you mean 'learning_rate'\?\)",
    ),
    "unknown default": (
        changed(defaults__dimensions=3),
        r"defaults: no model has the key 'dimensions'.*'dimension'",
    ),
    "wrong type": (changed(model_definitions__slow__epochs="many"), r"slow: epochs: .*integer.*not 'many'"),
    "wrong choice": (
        changed(model_definitions__slow__initialisation="zero"),
        r"initialisation: .*'authors' or 'xavier', not 'zero'",
    ),
    "an initialisation that one of the models lacks": (
        changed(defaults__initialisation="unit_gain"),
        r"initialisation: .*'authors' or 'xavier', not 'unit_gain'",
    ),
    "a tuning range that no model accepts": (
        changed(tuning__space__dropout={"low": 0.0, "high": 1.5}),
        r"tuning.space.dropout: id_only does not accept 0.0, 1.5",
    ),
    "a tuning range upside down": (
        changed(tuning__space__dropout={"low": 0.5, "high": 0.1}),
        r"tuning.space.dropout.*: low must be less than high",
    ),
    "an unknown choice of tuning": (
        changed(tuning__space__schedule=["step", "stepp"]),
        r"tuning.space.schedule: no model accepts 'stepp'",
    ),
    "an unknown setting in the space of tuning": (
        changed(tuning__space__droput=[0.1]),
        r"tuning.space: no model has the key 'droput' \(did you mean 'dropout'\?\)",
    ),
    "a model to tune that does not exist": (
        changed(tuning__models=["id_olny", "id_only"]),
        r"tuning.models: 'id_olny' cannot be tuned \(did you mean 'id_only'\?\)",
    ),
    "a variant to tune": (changed(tuning__models=["slow"]), "tuning.models: 'slow' cannot be tuned"),
    "a model to tune that reads other runs": (
        changed(tuning__models=["late_ensemble"]),
        "tuning.models: 'late_ensemble' cannot be tuned",
    ),
    "out of range": (changed(model_definitions__slow__dropout=1.5), r"dropout: .*less than 1, not 1.5"),
    "dimension that heads do not divide": (
        changed(defaults__dimension=33),
        "dimension 33 is not a multiple of heads 2",
    ),
    "padded prefixes in batches of sessions": (
        changed(
            defaults__batches="sessions",
            models=["id_only", "alterrec_aug"],
            model_definitions__alterrec_aug={"augmented_prefix": "padded"},
        ),
        "augmented_prefix: padded needs `batches: prefixes`",
    ),
    "empty selection": (changed(models=[]), r"models: .*at least 1 item"),
    "no seeds": (changed(seeds=[]), r"seeds: .*at least 1 item"),
    "seed twice": (changed(seeds=[1, 2, 1]), "seeds: 1 is listed more than once"),
    "model twice": (changed(models=["id_only", "id_only"]), "models: id_only is listed more than once"),
    "missing requirement": (
        changed(models=["late_ensemble", "id_only"]),
        "late_ensemble on drug with seed 1 needs the runs of text_only",
    ),
    "a seed that a required model leaves out": (
        changed(model_definitions__text_only={"seeds": [2]}),
        "late_ensemble on drug with seed 1 needs the runs of text_only",
    ),
    "seeds of a dataset that the study does not have": (
        changed(dataset_definitions__twin__seeds=[3]),
        r"twin.seeds: list at least one of the study's seeds \[1, 2\], not \[3\]",
    ),
    "a number in place of a list of seeds": (changed(model_definitions__slow__seeds=2), "slow.seeds: list"),
    "bases in a circle": (
        changed(model_definitions={"slow": {"base": "fast"}, "fast": {"base": "slow"}}),
        "its bases form a circle: slow -> fast -> slow",
    ),
    "dataset that is its own base": (
        changed(dataset_definitions__drug={"base": "drug"}),
        "dataset_definitions.drug: its bases form a circle: drug -> drug",
    ),
    "dataset without models": (
        changed(datasets=["twin"], models=["id_only"]),
        "twin.models names none of the study's models",
    ),
    "unknown model of a dataset": (
        changed(dataset_definitions__twin__models=["text_onyl"]),
        "did you mean 'text_only'",
    ),
    "missing folder": (changed(baselines=["nowhere"]), "there is no folder nowhere"),
    "missing tuned file": (changed(tuned="nowhere.yaml"), "there is no file nowhere.yaml"),
    "a negative seed": (changed(seeds=[-1]), "seeds.0: Input should be greater than or equal to 0, not -1"),
    "no name": ({k: v for k, v in GOOD.items() if k != "name"}, "the key 'name' is missing"),
    "reserved name": (changed(name="reference"), "name: 'reference' is reserved"),
    "name with a slash": (changed(name="../x"), "name: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_with_its_place(mistake):
    config, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        load_study(config)


def test_settings_are_checked_as_often_for_ten_seeds_as_for_one(monkeypatch):
    """Every job of the workflow reads the config at its start: 3,000 cells must not cost it seconds."""
    checked, places = resolve.checked, []

    def counted(config, settings, where):
        places.append(where)
        return checked(config, settings, where)

    monkeypatch.setattr(resolve, "checked", counted)
    load_study(changed(seeds=[1]))
    of_one_seed = list(places)
    places.clear()
    load_study(changed(seeds=list(range(10))))
    assert places == of_one_seed != []


def test_datasets_and_models_may_leave_out_seeds():
    study = load_study(
        changed(
            seeds=[1, 2, 3],
            datasets=["drug", "twin"],
            dataset_definitions__twin__seeds=[2, 3],
            dataset_definitions__twin__models=["popularity", "text_only", "slow"],
            model_definitions__slow__seeds=[1, 2],
        )
    )
    seeds = {(d, m): study.seeds(d, m) for d in ("drug", "twin") for m in ("popularity", "text_only", "slow")}
    assert [*seeds.values()] == [[1], [1, 2, 3], [1, 2], [2], [2, 3], [2]]
    assert ("twin", "slow", 2) in study.cells() and ("twin", "slow", 1) not in study.cells()
    assert "seeds" not in study.dataset("twin") | study.model_config("drug", "slow")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file .*study.yaml"),
        (b"name: [", "study.yaml is not YAML"),
        (b"name: \xff", "study.yaml is not YAML"),
        (b"- name", "study.yaml: expected keys and values, such as `name: mine`, not a list"),
        (b"", "study.yaml: the key 'name' is missing"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_reported(tmp_path, content, message):
    if content is not None:
        (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_study(tmp_path / "study.yaml")


def test_a_config_file_without_permission_is_reported(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "study.yaml").touch()
    monkeypatch.setattr(Path, "read_text", refuse)  # root may read every file, whatever its mode
    with pytest.raises(UserError, match="study.yaml may not be read: permit reading it"):
        load_study(tmp_path / "study.yaml")


def test_defaults_then_tuned_settings_then_definition(tmp_path):
    tuned = {
        "drug": {
            "id_only": {"learning_rate": 0.01, "initialisation": "xavier"},
            "text_only": {"learning_rate": 0.02},
        }
    }
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump(tuned))
    more = ["id_ensemble", "alterrec", "text_only_sampled"]
    study = load_study(changed(tuned=str(tmp_path / "tuned.yaml"), models=[*GOOD["models"], *more]))
    assert study.model_config("drug", "id_only")["learning_rate"] == 0.01
    assert study.model_config("drug", "slow")["learning_rate"] == 0.0001
    assert study.model_config("drug", "slow")["initialisation"] == "xavier"
    assert study.model_config("drug", "id_only")["dimension"] == 32
    assert study.model_config("drug", "id_ensemble")["learning_rate"] == 0.01, (
        "the tuned settings of id_only, whose run it reads"
    )
    assert study.model_config("drug", "text_only_sampled")["learning_rate"] == 0.02
    in_turns = study.model_config("drug", "alterrec")
    assert (in_turns["learning_rate"], in_turns["text_learning_rate"]) == (0.01, 0.02)
    assert study.model_config("twin", "text_only")["learning_rate"] == 0.02, "a twin has its base's settings"
    assert study.model_config("drug", "late_ensemble")["blend"] == "zscore"


@pytest.mark.parametrize(
    ("tuned", "message"),
    [
        ({"drug": None}, r"tuned\.yaml: drug: expected keys and values, not None"),
        ({"drug": [1]}, r"tuned\.yaml: drug: expected keys and values, not \[1\]"),
        ({"drug": {"id_only": None}}, r"drug\.id_only: expected keys and values, not None"),
        ({"drug": {"id_onyl": {}}}, r"drug: unknown model 'id_onyl' \(did you mean 'id_only'\?\)"),
        (
            {"drug": {"id_only": {"droput": 0.1}}},
            r"drug\.id_only: the model has no setting 'droput' \(did you mean 'dropout'\?\)",
        ),
        ({"of_another_study": {"id_only": {"text_dropout": 0.1}}}, "has no setting 'text_dropout'"),
        ({"drug": {"of_another_program": {"dropout": 0.1}}}, "has no setting 'dropout'"),
    ],
)
def test_a_mistake_in_the_tuned_settings_is_reported_with_its_place(tmp_path, tuned, message):
    (tmp_path / "of_another_program.smk").touch()
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump(tuned))
    with pytest.raises(UserError, match=message):
        load_study(changed(tuned=str(tmp_path / "tuned.yaml"), baselines=[str(tmp_path)]))


def test_tuned_settings_may_be_of_a_variant_and_of_datasets_of_another_study(tmp_path):
    tuned = {"drug": {"slow": {"dropout": 0.3}}, "of_another_study": {"core": {"dropout": 0.2}}}
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump(tuned))
    study = load_study(changed(tuned=str(tmp_path / "tuned.yaml")))
    assert study.model_config("drug", "slow")["dropout"] == 0.3


def test_the_tuning_record_is_the_csv_file_beside_the_tuned_settings(tmp_path):
    (tmp_path / "tuned.yaml").write_text("{}")
    study = load_study(changed(tuned=str(tmp_path / "tuned.yaml")))
    assert tuning_record(study) is None and tuning_record(load_study(GOOD)) is None
    (tmp_path / "tuned.csv").write_text("dataset,model\n")
    assert summary_input(study, tmp_path)["tuning"] == str(tmp_path / "tuned.csv")


def test_a_change_of_one_model_changes_the_specs_of_its_cells_only():
    before, after = load_study(GOOD), load_study(changed(model_definitions__slow__learning_rate=0.5))
    differing = {cell for cell in before.cells() if before.spec(*cell) != after.spec(*cell)}
    assert differing == {("drug", "slow", 1), ("drug", "slow", 2)}


def test_cells_seeds_twins_networks_and_labels():
    study = load_study(changed(datasets=["drug", "twin"]))
    cells = list(study.cells())
    seeds = [seed for dataset, model, seed in cells if (dataset, model) == ("drug", "popularity")]
    assert seeds == [1], "a deterministic model runs once"
    assert [model for dataset, model, seed in cells if dataset == "twin"] == ["text_only"] * 2
    assert study.twin_of("twin") == "drug" and study.twin_of("drug") is None
    assert model_facts(study, "late_ensemble")["networks"] == ["id_only", "text_only"]
    assert model_facts(study, "slow")["networks"] == ["slow"]
    assert study.encoder("drug", "id_only") is None
    assert study.encoder("drug", "text_only") == "all_minilm_l6_v2"
    assert study.model_label("slow") == "Slow" and study.model_label("id_only") == "ID only"
    assert study.dataset_label("twin") == "twin"


def test_a_variant_names_what_it_changes_and_takes_its_tuned_settings(tmp_path):
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump({"drug": {"fusion_sum": {"dropout": 0.4}}}))
    models = ["fusion_sum", "fusion_sum_ogm", "quiet", "frozen"]
    definitions = {
        "quiet": {"base": "fusion_sum_ogm", "modulation_noise": False},
        "frozen": {"base": "fusion_sum", "freeze": "id"},
    }
    study = load_study(
        changed(models=models, model_definitions=definitions, tuned=str(tmp_path / "tuned.yaml"))
    )
    varied = {model: model_facts(study, model)["variant_of"] for model in models}
    assert varied == {"fusion_sum": None} | dict.fromkeys(models[1:], "fusion_sum")
    assert {study.model_config("drug", model)["dropout"] for model in models} == {0.4}


def test_a_model_or_a_dataset_may_name_its_own_encoder():
    study = load_study(
        changed(
            dataset_definitions__drug__encoder="tfidf_svd",
            encoder_definitions={"mine": {"base": "random_projection", "dimension": 8}},
            model_definitions__own={"base": "text_only", "encoder": "mine"},
            models=["text_only", "own"],
        )
    )
    assert study.encoder("drug", "text_only") == "tfidf_svd"
    assert study.encoder("drug", "own") == "mine"
    assert study.encoder_spec("mine") == {
        "name": "mine",
        "base": "random_projection",
        "version": 1,
        "portable": False,
        "config": {"fields": "joined", "dimension": 8},
    }


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"mine": {"base": "random_projecton"}}, "did you mean 'random_projection'"),
        ({"mine": {"base": "random_projection", "dimensions": 8}}, "did you mean 'dimension'"),
        ({"mine": {"base": "sentence_transformer"}}, "the key 'model' is missing"),
    ],
)
def test_a_bad_encoder_definition_is_refused(definitions, message):
    with pytest.raises(UserError, match=message):
        load_study(changed(encoder_definitions=definitions))


def test_committed_schemas_match_the_classes(request):
    folder = request.config.rootpath / "workflow" / "schemas"
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    assert committed == schemas(), "run `python -m alterrec schema --out workflow/schemas`"
    assert all('"additionalProperties": false' in text for text in committed.values())


def test_committed_configuration_page_matches_the_classes(request):
    page = request.config.rootpath / "docs" / "configuration.md"
    command = "python -m alterrec schema --out workflow/schemas --docs docs/configuration.md"
    assert page.read_text(encoding="utf-8") == configuration_page(), f"run `{command}`"


@pytest.mark.parametrize("config", [StudyConfig, TuningConfig, *GROUPS])
def test_every_key_is_on_the_configuration_page(config):
    page = configuration_page()
    for key in config.model_fields:
        assert f"| `{key}` |" in page, key


def test_every_key_on_the_configuration_page_has_a_description():
    rows = [line for line in configuration_page().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize(
    "name",
    [
        "amazon_m2",
        "authors",
        "beauty",
        "beauty_baselines",
        "beauty_late_teacher",
        "beauty_leave_last_out",
        "beauty_precision",
        "demo",
        "full",
        "games",
        "games_baselines",
        "interventions",
        "journey",
        "movielens_100k",
        "paper",
        "test",
    ],
)
def test_shipped_configs_load_and_open_with_their_command(name, request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)
    path = request.config.rootpath / "workflow" / "config" / f"{name}.yaml"
    opening = "".join(takewhile(lambda line: line.startswith("#"), path.read_text().splitlines()))
    assert "snakemake --cores 8" in opening
    study = load_study(path)
    assert study.config.name == name and list(study.cells())
