"""The benchmark: its plain program computes the fast path's loss, its fits are right, and it writes what it says."""

import importlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

from alterrec.__main__ import parser
from alterrec.bench import engine_cost, matmul, parsing_cost, workflow_cost
from alterrec.bench.epoch_cost import last_targets
from alterrec.bench.machine import measured_apart
from alterrec.bench.measurement_plan import OBJECTIVES, Plan
from alterrec.bench.report import PARTS, bench, cell
from alterrec.bench.scaling_curves import exponent
from alterrec.bench.synthetic import load, load_vectors, made_up, shape
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.files import read_json
from alterrec.method.losses import full_softmax, sampled_softmax
from tests.planted import dataset, no_signal
from tests.reference import literal
from tests.reference import prefix_expanding as plain
from tests.unit.test_literal import CONFIG, ITEMS, MAX_LENGTH, SESSIONS, Given, gradients, networks

CPU = torch.device("cpu")


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("objective", ["full", "given"])
@pytest.mark.parametrize("kind", ["id", "text"])
def test_the_plain_program_has_the_fast_paths_loss_and_gradients(kind, objective, padded):
    network, text = networks(kind, "xavier")
    data = dataset(SESSIONS, ["train"] * len(SESSIONS), ["t"] * ITEMS)
    windows = Windows(data, ("train",), MAX_LENGTH, CPU)
    batch = windows.batch(torch.arange(len(windows)))
    drawn = torch.randint(ITEMS, (len(batch), 20), generator=torch.Generator().manual_seed(1))
    counts = torch.zeros(len(batch), ITEMS).double().scatter_add_(1, drawn, torch.ones(drawn.shape).double())

    rows = plain.expand(windows.flat, torch.from_numpy(data.offsets), batch.instance, MAX_LENGTH, padded)
    parameters = dict(network.named_parameters())
    scores = plain.scores(*rows, parameters, text, CONFIG.heads, network.temperature)
    if objective == "full":
        fast, slow = full_softmax(network, batch), F.cross_entropy(scores, batch.target)
    else:
        fast = sampled_softmax(network, batch, batch.target, batch.mean_over(), Given(counts))
        slow = plain.sampled_loss(scores, batch.target, drawn)

    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    fast_gradients, slow_gradients = gradients(network, fast), gradients(network, slow)
    for name in fast_gradients:
        torch.testing.assert_close(
            fast_gradients[name], slow_gradients[name], rtol=1e-8, atol=1e-10, msg=name
        )


@pytest.mark.parametrize(("padded", "width"), [(True, 4), (False, 3)])
def test_prefixes_are_padded_at_the_right_and_cut_at_the_left(padded, width):
    data = dataset([[7, 8, 9, 10, 11, 12], [1, 2]], ["train"] * 2, ["t"] * 13)
    flat, offsets = torch.from_numpy(data.flat).long(), torch.from_numpy(data.offsets)
    tokens, length = plain.expand(flat, offsets, torch.tensor([3, 1, 7]), 4, padded)
    assert tokens.tolist() == [row + [0] * (width - 3) for row in ([7, 8, 9], [7, 0, 0], [1, 0, 0])]
    assert length.tolist() == [3, 1, 1]
    tokens, length = plain.expand(flat, offsets, torch.tensor([5]), 4, padded)
    assert tokens.tolist() == [[8, 9, 10, 11]] and length.tolist() == [4]


def test_half_of_the_hard_negatives_are_of_the_window_and_differ():
    scores = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    drawn = plain.hard_negatives(scores, 4, 18)
    assert drawn.shape == (6, 14)
    for row, items in zip(scores.tolist(), drawn.tolist(), strict=True):
        assert len(set(items[:7])) == 7 and set(items[:7]) <= literal.window(row, 4, 18)


def test_the_exponent_is_that_of_the_power_law():
    sizes = [10, 100, 1000, 5000]
    assert exponent(sizes, [3 * size**1.7 for size in sizes]) == pytest.approx(1.7, abs=1e-9)
    assert exponent(sizes, [0.2 / size for size in sizes]) == pytest.approx(-1, abs=1e-9)
    assert exponent(sizes[:2], [1, 2]) is None


def test_made_up_sessions_have_the_shape_that_is_said():
    found = shape(made_up(12_101, 22_363))
    assert (found["items"], found["sequences"]) == (12_101, 22_363)
    assert found["mean_length"] == pytest.approx(8.9, abs=0.05)
    assert found["instances"] == pytest.approx(141_000, rel=0.005)
    assert 150 <= found["longest"] <= 250
    data = made_up(1000, 200, length=7)
    assert set(np.diff(data.offsets)) == {7} and len(data.sessions_of("train")) == 160
    assert np.array_equal(data.flat, made_up(1000, 200, length=7).flat)
    share = np.bincount(data.flat, minlength=1000) / len(data.flat)
    assert share[:10].sum() == pytest.approx(0.39, abs=0.05)  # of 1 / r over 1000 items


def test_as_many_targets_are_ranked_as_asked():
    data = last_targets(made_up(100, 200), 10)
    windows = [Windows(data, (split,), 50, CPU).instances for split in ("validation", "test")]
    assert windows == [5, 5]


def test_an_own_dataset_needs_the_vectors_of_one_encoder(tmp_path):
    data = no_signal(30, 20)
    data.save(tmp_path)
    assert shape(load(str(tmp_path), 1, 1)) == shape(data)
    with pytest.raises(UserError, match="one encoder, not of 0"):
        load_vectors(str(tmp_path), 1)
    vectors = {"vectors": np.ones((1, 4), np.float32), "text_of_item": np.zeros(30, np.int64)}
    (tmp_path / "text").mkdir()
    save_file(vectors, tmp_path / "text" / "one.safetensors")
    assert load_vectors(str(tmp_path), 1)[0].shape == (1, 4)


def test_a_point_in_a_process_of_its_own_has_its_own_peak():
    held = bytearray(2**30)
    held[:: 2**12] = b"x" * 2**18
    settings = {"objective": "id", "items": 50, "sessions": 60, "dimension": 4, "batch_size": 32}
    found = measured_apart("epoch_cost", settings | {"threads": 1, "steps": 2, "seconds": 1})
    assert 0 < found["start_bytes"] <= found["peak_bytes"] < 2**30
    assert found["timed_steps"] == 2 and found["seconds_per_instance"] > 0


def test_a_point_that_fails_is_told_and_the_others_go_on(monkeypatch):
    def apart(module, settings):
        if settings["objective"] == "bad":
            raise UserError("why it failed")
        return {"found": 1}

    monkeypatch.setattr(engine_cost, "measured_alone", apart)
    missing = []
    points = [({"label": name}, {"objective": name}) for name in ("good", "bad", "good")]
    rows = engine_cost.measured("epoch_cost", points, missing)
    assert [row["label"] for row in rows] == ["good", "good"] and missing == ["why it failed"]


@pytest.fixture
def in_this_process(monkeypatch):
    """Points measured here, which is faster; torch is put back as it was."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()

    def here(module, settings):
        return importlib.import_module(f"alterrec.bench.{module}").measure(**settings | {"threads": 1})

    monkeypatch.setattr(engine_cost, "measured_alone", here)
    monkeypatch.setitem(matmul.SIZE, "cpu", 64)
    monkeypatch.setitem(matmul.SIZE, "cuda", 64)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def test_the_engines_report_is_written(in_this_process, tmp_path, monkeypatch, capsys):
    tiny = Plan(
        items=120,
        sessions=150,
        batch_size=64,
        dimensions=(8,),
        seconds=0.05,
        sizes={"items": (100, 200, 400), "length": (5, 60), "batch_size": (32, 64), "dimension": (4, 8, 16)},
        size_seconds=0.05,
        ranks=10,
        compared_steps=2,
        compared_items=(120, 60),
        k2=50,
    )
    monkeypatch.setattr(engine_cost, "Plan", lambda data, **_: replace(tiny, data=data))
    bench(tmp_path, ("engine",))
    report = read_json(tmp_path / "bench.json")
    measured = report["parts"]["engine"]["measured"]
    assert [row["objective"] for row in measured["objectives"]] == [
        *OBJECTIVES,
        *(objective for objective in OBJECTIVES if objective != "augmented"),
    ]
    assert [row["objective"] for row in measured["compared"]] == 2 * ["full", "random", "hard"]
    assert all(row["padded_operations"] > 2 * row["one_pass_operations"] for row in measured["compared"])
    augmented = next(row for row in measured["objectives"] if row["objective"] == "augmented")
    assert augmented["epoch_instances"] == 6 * augmented["instances"] and augmented["ranking_seconds"] > 0
    for row in measured["objectives"]:
        assert row["timed_steps"] >= 1 and row["operations_per_instance"] > 2 * 3 * 8 * 120
        epoch = row["seconds_per_instance"] * row["epoch_instances"] + row["ranking_seconds"]
        assert row["seconds_per_epoch"] == pytest.approx(epoch, rel=0.3)
    text = (tmp_path / "bench.md").read_text("utf-8")
    assert text.startswith(f"# `python -m alterrec bench --out {tmp_path} --parts engine`\n")
    assert (
        "Not measured" not in text and text.strip().splitlines()[5:] <= capsys.readouterr().out.splitlines()
    )
    for table in report["parts"]["engine"]["tables"]:
        assert f"### {table['caption']}" in text and table["rows"]
    assert {row["sizes"] for row in report["parts"]["engine"]["tables"][2]["rows"]} == {3}
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "bench.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"bench.{kind}" for kind in ("json", "md", "pdf", "png")
    ]


def test_the_demos_rules_are_added_up(tmp_path):
    for path, row in {
        "prepare/a.tsv": "4.0\t-",
        "train/a/id/1.tsv": "2.0\t9.5",
        "train/a/id/2.tsv": "3.0\t7.0",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"s\tmax_rss\n{row}\n")
    assert workflow_cost.rows(workflow_cost.by_rule(tmp_path)) == [
        {"rule": "train id", "jobs": 2, "seconds": 5.0, "longest": 3.0, "MiB": 9.5},
        {"rule": "prepare", "jobs": 1, "seconds": 4.0, "longest": 4.0, "MiB": None},
    ]


def test_the_parsings_report_is_written_and_its_files_removed(tmp_path, monkeypatch):
    small = partial(parsing_cost.measure_parsing, sessions=1000, products=500)
    monkeypatch.setattr(parsing_cost, "measure_parsing", small)
    bench(tmp_path, ("parsing",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]
    report = read_json(tmp_path / "bench.json")
    assert report["parts"]["parsing"]["figures"]["sessions"] == 1000
    assert {"processor", "processors", "torch"} < set(report["machine"])
    assert "1,000 sessions and 500 products" in (tmp_path / "bench.md").read_text("utf-8")


def test_all_parts_are_run_unless_some_are_named():
    assert parser().parse_args(["bench", "--out", "x"]).parts == PARTS
    assert parser().parse_args(["bench", "--out", "x", "--parts", "engine"]).parts == ["engine"]


def test_what_cannot_be_measured_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="repository's root"):
        bench(tmp_path / "out")
    with pytest.raises(UserError, match="sessions.parquet"):
        bench(tmp_path / "out", ("engine",), tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.123"), (12.0, "12"), (12345.6, "12,346"), (12345, "12,345"), (None, ""), ("x", "x")],
)
def test_cells_have_three_significant_digits(value, text):
    assert cell(value) == text
