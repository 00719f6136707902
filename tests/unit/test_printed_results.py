"""What single tables and figures show of a synthetic summary, and what they leave out."""

import importlib
import re

import pandas as pd
import pytest

from tests.unit import synthetic_summary
from tests.unit.drawings import SCRIPTS, WITH_ALL_MODELS, drawn


def test_the_best_trained_model_is_bold_and_the_oracle_is_not(full_summary, draw):
    files = draw("table_main_comparison", full_summary)
    numbers = pd.read_csv(files["csv"])
    trained = numbers[~numbers.model.isin(["oracle", "random", "popularity"])]
    best = trained.loc[trained[trained.dataset == "beauty"]["Hits@20_all"].idxmax()]
    section = files["md"].read_text("utf-8").split("### beauty")[1]
    row = next(r for r in section.splitlines() if r.startswith(f"| {synthetic_summary.LABELS[best.model]} |"))
    assert f"**{100 * best['Hits@20_all']:.2f} ± " in row
    assert "**" not in next(r for r in section.splitlines() if r.startswith("| Oracle (ceiling) |"))


def test_the_main_table_says_what_a_model_was_given(full_summary, draw):
    rows = pd.read_csv(draw("table_main_comparison", full_summary)["csv"]).set_index(["dataset", "model"])
    tried = pd.read_parquet(full_summary / "tuning.parquet").groupby(["dataset", "model"]).trial.nunique()
    budgets = pd.read_parquet(full_summary / "budgets.parquet")
    given = budgets.groupby(["dataset", "model", "seed"]).updates.sum().groupby(["dataset", "model"]).mean()
    assert rows.trials.dropna().to_dict() == tried.loc[list(rows.trials.dropna().index)].to_dict() != {}
    assert rows.steps.dropna().to_dict() == pytest.approx(
        given.loc[list(rows.steps.dropna().index)].to_dict()
    )
    assert pd.isna(rows.steps["beauty", "popularity"])


def test_overlap_adds_what_only_one_part_finds(full_summary, draw):
    rows = pd.read_csv(draw("table_overlap", full_summary)["csv"])
    assert len(rows) and not {"id_only", "text_only", "popularity"} & set(rows.model)
    either = rows["id_Hits@20"] + rows["text_Hits@20"] - rows["both"]
    assert (rows["either"] - either).abs().max() < 1e-9
    assert (rows["either_sd"] > 0).all() and (rows["both_sd"] > 0).all()


def test_overlap_says_that_a_summary_is_too_old_for_it(tmp_path, draw):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    metrics = pd.read_parquet(folder / "metrics.parquet").query("part != 'both'")
    metrics.to_parquet(folder / "metrics.parquet")
    text = draw("table_overlap", folder)["md"].read_text("utf-8")
    assert "No rows." in text and "summarise the study again" in text


def test_interventions_show_only_what_the_study_has(tmp_path):
    models = ("fusion_sum", "fusion_sum_ogm", "fusion_gate", "alterrec")
    folder = synthetic_summary.write(
        tmp_path / "summary", models=models, datasets=("beauty", "journey-drugstore")
    )
    metrics = pd.read_parquet(folder / "metrics.parquet")
    without = (metrics.dataset == "beauty") & (metrics.model == "fusion_sum_ogm")
    metrics[~without].to_parquet(folder / "metrics.parquet")
    (panel,) = drawn("figure_interventions", folder).axes
    labels = {line.get_label() for line in panel.lines}
    assert {"whole model", "ID part", "text part"} == labels, "neither network was trained alone"


def test_equal_values_have_no_best(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import _table_writer

    columns = [_table_writer.Column("tied", "", best=1), _table_writer.Column("untied", "", best=-1)]
    frame = pd.DataFrame({"tied": [0.3, 0.300001], "untied": [0.2, 0.1]})
    marks = _table_writer.best_and_second(frame, columns)
    assert marks == {(0, "untied"): "second", (1, "untied"): "best"}

    frame = pd.DataFrame({"tied": [0.0, 0.1, 0.0], "untied": [0.2, 0.1, 0.2]})
    marks = _table_writer.best_and_second(frame, columns)
    assert marks == {(1, "tied"): "best", (1, "untied"): "best"}, "equal last places are no second"


def test_a_column_in_which_all_models_are_equal_has_no_best(tmp_path, draw):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    coverage = pd.read_parquet(folder / "coverage.parquet").assign(coverage=0.5)
    coverage.to_parquet(folder / "coverage.parquet")
    text = draw("table_coverage", folder)["md"].read_text("utf-8")
    assert "**50.00" not in text and text.count("**") == 2, "only the Gini index has a best"


def test_ensembles_are_explained_only_where_they_appear(full_summary, small_summary, draw):
    sentence = "Late ensemble: an ID network and a text network, trained independently"
    for script in (*WITH_ALL_MODELS, "table_ablation", "table_significance", "table_tuning"):
        assert draw(script, full_summary)["md"].read_text("utf-8").count(sentence) == 1
    for script in ("table_main_comparison", "table_undertraining"):
        assert sentence not in draw(script, small_summary)["md"].read_text("utf-8")


def test_rows_follow_the_study_between_floor_and_ceiling(full_summary, draw):
    rows = pd.read_csv(draw("table_main_comparison", full_summary)["csv"])
    controls = ["random", "popularity"], ["oracle"]
    compared = [model for model in synthetic_summary.HITS if model not in sum(controls, [])]
    assert list(rows.model[rows.dataset == "beauty"]) == [*controls[0], *compared, *controls[1]]


def test_the_steps_of_the_decomposition_add_up_to_the_lead(full_summary, draw):
    steps = pd.read_csv(draw("table_decomposition", full_summary)["csv"])
    for _, rows in steps.groupby("dataset"):
        assert len(rows) == 6 and rows.difference.notna().all()
        of_order = rows.groupby("order").difference.sum()
        lead = of_order["Sum of the three steps"]
        assert of_order["Loss, then choice, then exchange"] == pytest.approx(lead)
        loss = rows.difference[rows.step.str.startswith("loss")].item()
        assert loss + of_order["Loss, then exchange, then choice"] == pytest.approx(lead)


def test_claims_name_models_and_datasets_by_their_labels(full_summary, draw):
    claims = pd.read_parquet(full_summary / "claims.parquet")
    assert "alterrec - late_ensemble" in set(claims.comparison)
    text = draw("table_claims", full_summary)["md"].read_text("utf-8")
    assert "AlterRec − Late ensemble" in text and "late_ensemble" not in text


def test_the_forest_plot_has_a_row_interval_and_verdict_for_every_tested_claim(full_summary):
    panel = drawn("figure_claims", full_summary).axes[1]
    claims = pd.read_parquet(full_summary / "claims.parquet").query("primary and dataset == 'beauty'")
    texts = [text.get_text() for text in panel.texts]
    assert texts[::2] == claims.sort_values("claim").verdict.to_list()
    numbers = [re.findall(r"[−+]?\d+\.\d+", text) for text in texts[1::2]]
    columns = claims.sort_values("claim")[["difference", "low", "high"]].to_numpy()
    assert [[float(n.replace("−", "-")) for n in row] for row in numbers] == (100 * columns).round(2).tolist()
    assert [label.get_text()[:2] for label in panel.get_yticklabels()] == sorted(claims.claim)
    intervals = [line.get_xdata() for line in panel.lines if len(line.get_xdata()) == 2][:-1]
    shown = sorted(value for interval in intervals for value in interval)
    assert shown == pytest.approx(sorted(100 * claims[["low", "high"]].to_numpy().ravel()))


@pytest.mark.parametrize(
    ("comparison", "label"),
    [
        ("ID part of fusion_score - id_only", "C2 ID part in fusion − alone"),
        ("text part of fusion_score - text_only", "C2 text part in fusion − alone"),
        ("", "C2 part in fusion − alone"),
    ],
)
def test_the_forest_plot_names_the_part_that_decides(tmp_path, comparison, label):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    claims = pd.read_parquet(folder / "claims.parquet")
    claims.loc[claims.claim == "C2", "comparison"] = comparison
    claims.to_parquet(folder / "claims.parquet")
    (panel,) = drawn("figure_claims", folder).axes
    assert label in [text.get_text() for text in panel.get_yticklabels()]


def test_the_forest_plot_tells_an_untested_claim_from_an_undecided_one(tmp_path):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    claims = pd.read_parquet(folder / "claims.parquet")
    claims["verdict"] = "undecided"
    claims.loc[claims.claim == "C4", ["difference", "low", "high"]] = float("nan")
    claims.loc[claims.claim == "C4", "verdict"] = "not tested"
    claims.to_parquet(folder / "claims.parquet")
    (panel,) = drawn("figure_claims", folder).axes
    words = [text.get_text() for text in panel.texts if text.get_text()[0].isalpha()]
    untested = sorted(claims[claims.primary].claim).index("C4")
    assert words.pop(untested) == "not tested"
    assert set(words) == {"undecided"}
    assert len(panel.texts) == 2 * len(words) + 1


def test_the_long_tail_figure_shows_differences_from_id_only_without_lines(tmp_path):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    tail = pd.read_parquet(folder / "long_tail.parquet")
    tail.loc[tail.bin == 0, "instances"] = 49
    tail.to_parquet(folder / "long_tail.parquet")
    (panel,) = drawn("figure_long_tail", folder).axes
    assert [label.get_text().split("\n")[0] for label in panel.get_xticklabels()][0] == "1–3", "no cold bin"
    containers = {container.get_label(): container for container in panel.containers}
    points, _, (bars,) = containers[synthetic_summary.LABELS["alterrec"]]
    expected = tail.query("model == 'alterrec' and dataset == 'beauty' and bin > 0").sort_values("bin")
    assert points.get_linestyle() == "None", "a line would join points of different bins"
    assert points.get_ydata() == pytest.approx(100 * expected.difference.to_numpy())
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == pytest.approx(100 * expected[["difference_low", "difference_high"]].to_numpy())
    assert synthetic_summary.LABELS["id_only"] not in containers


def test_the_bin_of_one_frequency_is_named_by_it(tmp_path, draw):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    tail = pd.read_parquet(folder / "long_tail.parquet")
    tail.loc[tail.bin == 2, ["low_count", "high_count"]] = 1205
    tail.to_parquet(folder / "long_tail.parquet")
    (panel,) = drawn("figure_long_tail", folder).axes
    ranges = [label.get_text().split("\n")[0] for label in panel.get_xticklabels()]
    assert ranges[0] == "cold" and ranges[2] == "1,205"
    assert "bin 2: 1,205 (3,258 instances)" in draw("table_long_tail", folder)["md"].read_text("utf-8")


def test_the_ratios_of_all_branches_share_an_axis_that_a_stopped_branch_does_not_widen(tmp_path):
    folder = synthetic_summary.write(tmp_path / "summary")
    curves = pd.read_parquet(folder / "imbalance.parquet")
    stopped = (curves.dataset == "journey-drugstore") & (curves.model == "fusion_gate")
    fast = (curves.dataset == "beauty") & (curves.model == "fusion_sum")
    curves.loc[stopped, "update_ratio"], curves.loc[fast, "update_ratio"] = 1e-12, 200.0
    curves.to_parquet(folder / "imbalance.parquet")
    panels = drawn("figure_branches", folder).axes[4:8]
    (limits,) = {panel.get_ylim() for panel in panels}
    assert limits[0] == pytest.approx(0.001) and 200 < limits[1] <= 1000


def test_interventions_have_a_row_each_with_one_mark_for_each_seed_and_part(full_summary):
    panels = drawn("figure_interventions", full_summary).axes
    labels = [[label.get_text() for label in panel.get_yticklabels()] for panel in panels]
    assert labels == 2 * [["Fusion (sum)", "Fusion (sum, OGM-GE)"]], "other fusions have no variant"
    metrics = pd.read_parquet(full_summary / "metrics.parquet").query(
        "model == 'fusion_sum_ogm' and dataset == 'beauty' and part == 'text' and split == 'test' and "
        "scope == 'all' and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    marks = [line for line in panels[1].lines if line.get_label() == "text part"]
    assert list(marks[1].get_xdata()) == pytest.approx(list(100 * metrics.value))


def test_no_mark_of_the_interventions_lies_outside_the_axis(tmp_path):
    folder = synthetic_summary.write(
        tmp_path / "summary", models=("fusion_sum", "fusion_sum_ogm"), datasets=("beauty", "m2-es")
    )
    metrics = pd.read_parquet(folder / "metrics.parquet")
    metrics.loc[metrics.dataset == metrics.dataset.max(), "value"] *= 3
    metrics.to_parquet(folder / "metrics.parquet")
    panels = drawn("figure_interventions", folder).axes
    marks = [x for panel in panels for line in panel.lines for x in line.get_xdata()]
    assert len(panels) == 2 and max(marks) <= panels[0].get_xlim()[1]


def test_variants_of_a_fusion_are_no_naive_fusions(full_summary, draw):
    rows = pd.read_csv(draw("table_preliminary_comparison", full_summary)["csv"])
    assert "fusion_sum" in set(rows.model) and "fusion_sum_ogm" not in set(rows.model)
    labels = [line.get_label() for line in drawn("figure_imbalance_dynamics", full_summary).axes[0].lines]
    assert "Fusion (sum)" in labels and "Fusion (sum, OGM-GE)" not in labels


def test_the_panels_of_an_alternation_row_share_their_range_and_the_ensemble_has_a_band(full_summary):
    panels = drawn("figure_alternation", full_summary).axes
    for row in (panels[:3], panels[3:]):
        assert len({panel.get_ylim() for panel in row}) == 1
    metrics = pd.read_parquet(full_summary / "metrics.parquet").query(
        "model == 'late_ensemble' and dataset == 'beauty' and split == 'validation' and part == 'model' and "
        "scope == 'all' and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    (band,) = panels[5].patches
    assert (band.get_y(), band.get_height()) == pytest.approx(
        (100 * metrics.value.min(), 100 * (metrics.value.max() - metrics.value.min()))
    )


def test_the_cost_of_an_ensemble_includes_its_members(full_summary, draw):
    printed = (
        pd.read_csv(draw("table_main_comparison", full_summary)["csv"])
        .query("dataset == 'beauty'")
        .set_index("model")
        .seconds
    )
    cost = pd.read_parquet(full_summary / "cost.parquet").query("dataset == 'beauty'")
    own = cost.groupby("model").seconds.mean()
    assert printed["late_ensemble"] == pytest.approx(own[["late_ensemble", "id_only", "text_only"]].sum())
    assert printed["alterrec"] == pytest.approx(own["alterrec"])


def test_the_claims_of_two_studies_are_panels_of_one_figure(tmp_path, full_summary, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    script = importlib.import_module("reference_claims")
    other = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    claims = pd.read_parquet(other / "claims.parquet")
    claims[["difference", "low", "high"]] *= float("nan")
    claims.to_parquet(other / "claims.parquet")
    monkeypatch.setattr("sys.argv", ["reference_claims", str(tmp_path), str(other), str(full_summary)])
    drawings = []
    monkeypatch.setattr(importlib.import_module("_style"), "save", lambda figure, *_: drawings.append(figure))
    script.main()
    (figure,) = drawings
    assert [axes.get_title() for axes in figure.axes] == ["Drugstore", "Drugstore (demo)", "beauty"]
    far = 100 * pd.read_parquet(full_summary / "claims.parquet").query("primary").high.abs().max()
    assert figure.axes[0].get_xlim()[1] > far, "a study without numbers comes first"
