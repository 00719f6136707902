"""What table_tuning and figure_tuning show of the record of a grid, of trials, and of a study without a record."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.unit import synthetic_summary
from tests.unit.drawings import drawn

RECORD = "initialisation learning_rate schedule dropout validation_hits20"
GRID = [
    ("xavier", 0.001, "step", 0.1, 0.20),  # the best point
    ("authors", 0.001, "step", 0.1, 0.15),  # range over initialisation: 0.05
    ("unit_gain", 0.001, "step", 0.1, 0.18),
    ("xavier", 0.003, "step", 0.1, 0.19),  # range over the learning rate: 0.01
    ("xavier", 0.003, "constant", 0.1, 0.02),  # no range over the schedule: it was never varied alone
    ("authors", 0.003, "constant", 0.1, 0.01),
]


@pytest.fixture
def tuned(tmp_path) -> Path:
    """A study of one dataset with a tuning record of six points of one model."""
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    points = pd.DataFrame(GRID, columns=RECORD.split())
    points = points.assign(dataset="beauty", model="id_only", seed=0, best_epoch=3, epochs=9, updates=90)
    points.to_parquet(folder / "tuning.parquet")
    return folder


def test_tuning_ranges_vary_one_setting_from_the_best_point(tuned, draw):
    files = draw("table_tuning", tuned)
    row = pd.read_csv(files["csv"]).iloc[0]
    assert [row[axis] for axis in RECORD.split()[:4]] == ["xavier", 0.001, "step", 0.1]
    assert (row.points, row.best, row.worst) == (6, 0.2, 0.01)
    assert [row.range_initialisation, row.range_learning_rate] == pytest.approx([0.05, 0.01])
    assert row[["range_schedule", "range_dropout"]].isna().all()
    scores = pd.read_parquet(tuned / "metrics.parquet").query(
        "model == 'id_only' and dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' "
        "and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    assert len(scores) == 3 and row.range_seed == pytest.approx(scores.value.max() - scores.value.min())
    head = files["md"].read_text("utf-8")
    assert "Best trial: schedule" in head and "Best trial: dropout" not in head, "dropout was not varied"
    assert "Range over: learning rate" in head and "Range over: schedule" not in head


def test_models_of_another_study_in_the_record_are_not_shown(tuned, draw):
    points = pd.read_parquet(tuned / "tuning.parquet")
    pd.concat([points, points.assign(model="of_another_study")]).to_parquet(tuned / "tuning.parquet")
    assert set(pd.read_csv(draw("table_tuning", tuned)["csv"]).model) == {"id_only"}
    titles = [panel.get_title() for panel in drawn("figure_tuning", tuned).axes]
    assert [title for title in titles if title] == ["ID only"], "the other axes are the colour bar's"


def marks(panel) -> list[tuple[float, float]]:
    """Learning rate and score of all marks but the ring."""
    lines = [line for line in panel.lines if line.get_markersize() < 10]
    return sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in lines)


def test_the_tuning_figure_shows_every_point_of_a_grid(tuned):
    drawing = drawn("figure_tuning", tuned)
    panel = drawing.axes[0]
    expected = sorted((rate, 100 * score) for _, rate, _, _, score in GRID)
    assert np.array(marks(panel)) == pytest.approx(np.array(expected))
    assert [*panel.get_xticks()] == [0.001, 0.003]
    names = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert "unit_gain" in names and "stopped early" not in names


def test_the_tuning_figure_shows_a_trial_once_and_opens_the_marks_of_stopped_ones(full_summary):
    drawing = drawn("figure_tuning", full_summary)
    panel = next(axes for axes in drawing.axes if axes.get_title() == synthetic_summary.LABELS["alterrec"])
    assert len(marks(panel)) == 24
    filled = [line for line in panel.lines if line.get_markerfacecolor() not in ("white", "none")]
    ring = max(panel.lines, key=lambda line: line.get_markersize())
    assert len(filled) == 3 + (ring in filled), "three trials reached the last rung"
    assert ring.get_ydata()[0] == max(score for _, score in marks(panel))


def test_the_tuning_table_has_each_branch_the_models_own_settings_and_the_edges(full_summary, draw):
    files = draw("table_tuning", full_summary)
    head, rows = files["md"].read_text("utf-8"), pd.read_csv(files["csv"])
    for column in ("text learning rate", "own settings", "at an edge of the space"):
        assert f"Best trial: {column}" in head
    assert "Range over: dropout" not in head, "trials do not vary one setting alone"
    assert rows.points.eq(24).all() and rows.edge.eq("learning_rate").all()
    assert rows[rows.model == "alterrec"].own.str.startswith("k1 ").all()


def test_the_tuning_table_says_if_there_is_no_record(small_summary, draw):
    assert "has no tuning record" in draw("table_tuning", small_summary)["md"].read_text("utf-8")


def test_the_lead_is_over_the_best_model_that_is_no_variant_of_alterrec(full_summary, draw):
    text = draw("table_tuning", full_summary)["md"].read_text("utf-8")
    means = pd.read_parquet(full_summary / "metrics.parquet").query(
        "dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' and targets == 'all' "
        "and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    means = means.groupby("model").value.mean()
    lead = 100 * (means["alterrec"] - means["late_ensemble"])
    assert f"beauty: AlterRec − Late ensemble is {lead:+.2f} points".replace("-", "−") in text
