"""The benchmark: the plain program has the loss of the one-pass networks, fits are right, and reports are complete."""

import importlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

from alterrec.__main__ import parser
from alterrec.bench import engine_cost, epoch_cost, machine, parsing_cost, plain_ratio, workflow_cost
from alterrec.bench.epoch_cost import TimedBatches, last_targets, load_learner, measure_epoch
from alterrec.bench.measurement_plan import WORKLOADS, Plan
from alterrec.bench.report import PARTS, bench, cell_text
from alterrec.bench.scaling_curves import exponent
from alterrec.bench.synthetic import load_dataset, load_vectors, shape, synthetic_dataset
from alterrec.engine import training_loop
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.files import read_json
from alterrec.method.losses import full_softmax, sampled_softmax
from alterrec.study.settings import AlterRecConfig
from tests.planted import (
    CONFIG,
    CPU,
    ITEMS,
    MAX_LENGTH,
    SESSIONS,
    GivenNegatives,
    dataset,
    drawn_negatives,
    gradients,
    no_signal,
    small_network,
)
from tests.reference import literal
from tests.reference import prefix_expanding as plain


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("negatives", ["all", "drawn"])
@pytest.mark.parametrize("kind", ["id", "text"])
def test_the_plain_program_has_the_loss_and_gradients_of_the_one_pass_network(kind, negatives, padded):
    network, text = small_network(kind)
    data = dataset(SESSIONS, ["train"] * len(SESSIONS), ["t"] * ITEMS)
    windows = Windows(data, ("train",), MAX_LENGTH, CPU)
    batch = windows.batch(torch.arange(len(windows)))
    drawn, counts = drawn_negatives(len(batch))

    rows = plain.expand(windows.flat, torch.from_numpy(data.offsets), batch.instance, MAX_LENGTH, padded)
    parameters = dict(network.named_parameters())
    scores = plain.scores(*rows, parameters, text, CONFIG.heads, network.temperature)
    if negatives == "all":
        fast, slow = full_softmax(network, batch), F.cross_entropy(scores, batch.target)
    else:
        fast = sampled_softmax(network, batch, batch.target, batch.mean_over(), GivenNegatives(counts))
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


def test_half_of_the_hard_negatives_are_distinct_items_of_the_window():
    scores = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    drawn = plain.hard_negatives(scores, 4, 18)
    assert drawn.shape == (6, 14)
    for row, items in zip(scores.tolist(), drawn.tolist(), strict=True):
        assert len(set(items[:7])) == 7 and set(items[:7]) <= literal.window(row, 4, 18)


def test_fitted_exponent_of_a_power_law():
    sizes = [10, 100, 1000, 5000]
    assert exponent(sizes, [3 * size**1.7 for size in sizes]) == pytest.approx(1.7, abs=1e-9)
    assert exponent(sizes, [0.2 / size for size in sizes]) == pytest.approx(-1, abs=1e-9)
    assert exponent(sizes[:2], [1, 2]) is None


def test_synthetic_sessions_have_the_stated_shape():
    found = shape(synthetic_dataset(12_101, 22_363))
    assert (found["items"], found["sessions"]) == (12_101, 22_363)
    assert found["mean_length"] == pytest.approx(8.9, abs=0.05)
    assert found["instances"] == pytest.approx(141_000, rel=0.005)
    assert 150 <= found["longest"] <= 250
    data = synthetic_dataset(1000, 200, length=7)
    assert set(np.diff(data.offsets)) == {7} and len(data.sessions_of("train")) == 160
    assert np.array_equal(data.flat, synthetic_dataset(1000, 200, length=7).flat)
    share = np.bincount(data.flat, minlength=1000) / len(data.flat)
    assert share[:10].sum() == pytest.approx(0.39, abs=0.05)  # the shares of 1 / r over 1000 items


def test_last_targets_has_the_requested_number_of_targets():
    data = last_targets(synthetic_dataset(100, 200), 10)
    windows = [Windows(data, (split,), 50, CPU).instances for split in ("validation", "test")]
    assert windows == [5, 5]


def test_a_prepared_dataset_needs_the_vectors_of_one_encoder(tmp_path):
    data = no_signal(30, 20)
    data.save(tmp_path)
    assert shape(load_dataset(str(tmp_path), 1, 1)) == shape(data)
    with pytest.raises(UserError, match="vectors of 0 encoders"):
        load_vectors(str(tmp_path), 1)
    vectors = {"vectors": np.ones((1, 4), np.float32), "text_of_item": np.zeros(30, np.int64)}
    (tmp_path / "text").mkdir()
    save_file(vectors, tmp_path / "text" / "one.safetensors")
    assert load_vectors(str(tmp_path), 1)[0].shape == (1, 4)


def test_a_point_in_a_new_process_has_its_own_peak_memory():
    held = bytearray(2**30)
    held[:: 2**12] = b"x" * 2**18  # makes the memory of this process resident
    settings = {"workload": "id", "items": 50, "sessions": 60, "dimension": 4, "batch_size": 32}
    cost = engine_cost.measure_in_new_process(
        "epoch_cost", settings | {"threads": 1, "steps": 2, "seconds": 1}
    )
    assert 0 < cost["start_bytes"] <= cost["peak_bytes"] < 2**30
    assert cost["timed_steps"] == 2 and cost["seconds_per_instance"] > 0


def test_a_failed_point_is_reported_and_the_others_are_measured(monkeypatch):
    def measure_point(module, settings):
        if settings["workload"] == "bad":
            raise UserError("why it failed")
        return {"seconds": 1}

    monkeypatch.setattr(engine_cost, "measure_point", measure_point)
    failures = []
    points = [({"label": name}, {"workload": name}) for name in ("good", "bad", "good")]
    rows = engine_cost.measure_points("epoch_cost", points, failures)
    assert [row["label"] for row in rows] == ["good", "good"] and failures == ["why it failed"]


@pytest.mark.parametrize(
    ("steps", "seconds", "timed"),
    [(8, 1e9, 8), (10**9, 350, 4), (10**9, 1e9, 31)],
    ids=["steps", "seconds", "all"],
)
def test_what_a_new_shape_costs_once_is_not_timed(steps, seconds, timed, monkeypatch):
    """A step takes a second, and a hundred more the first time that a batch of its shape comes."""
    now, shapes = 0.0, set()

    def train_step(learner, optimiser, batch, epoch, autocast):
        nonlocal now
        now += 1 if batch.tokens.shape in shapes else 101
        shapes.add(batch.tokens.shape)
        return torch.zeros(())

    monkeypatch.setattr(training_loop, "train_step", train_step)
    monkeypatch.setattr(epoch_cost, "clock", lambda where: now)
    config = AlterRecConfig(dimension=4, batch_size=32)
    learner, (epoch,) = load_learner("id", 50, None, config, CPU)
    windows = epoch_cost.TimedWindows(synthetic_dataset(50, 150), ("train",), config.max_length, CPU)
    cost = measure_epoch(learner, epoch, TimedBatches(windows, config, steps, seconds), config)
    assert cost["timed_steps"] == timed and len(shapes) > 3
    assert cost["seconds_per_instance"] * cost["timed_instances"] == pytest.approx(timed)


@pytest.fixture
def in_this_process(monkeypatch):
    """Measure points in this process, which is faster, and restore torch's settings."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()

    def measure_point(module, settings):
        return importlib.import_module(f"alterrec.bench.{module}").measure(**settings | {"threads": 1})

    monkeypatch.setattr(engine_cost, "measure_point", measure_point)
    monkeypatch.setitem(machine.PRODUCT_SIZE, "cpu", 64)
    monkeypatch.setitem(machine.PRODUCT_SIZE, "cuda", 64)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_report_of_the_engine(has_bfloat16, in_this_process, tmp_path, monkeypatch, capsys):
    for module in (engine_cost, machine, plain_ratio):
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda where: has_bfloat16)
    tiny = Plan(
        items=120,
        sessions=150,
        batch_size=64,
        dimensions=(8,),
        seconds=0.05,
        sizes={"items": (100, 200, 400), "length": (5, 60), "batch_size": (32, 64), "dimension": (4, 8, 16)},
        size_seconds=0.05,
        ranks=10,
        ratio_steps=2,
        ratio_items=(120, 60),
        k2=50,
    )
    monkeypatch.setattr(engine_cost, "Plan", lambda data, **_: replace(tiny, data=data))
    bench(tmp_path, ("engine",))
    report = read_json(tmp_path / "bench.json")
    measured = report["parts"]["engine"]["measured"]
    assert [row["workload"] for row in measured["workloads"]] == [
        *WORKLOADS,
        *(workload for workload in WORKLOADS if workload != "augmented" and has_bfloat16),
    ]
    assert all(("bfloat16" in row) == has_bfloat16 for row in measured["ratios"])
    assert [row["mode"] for row in measured["ratios"]] == 4 * ["full", "random", "hard"]
    assert all(row["padded_operations"] > 2 * row["alterrec_operations"] for row in measured["ratios"])
    augmented = next(row for row in measured["workloads"] if row["workload"] == "augmented")
    assert augmented["epoch_instances"] == 6 * augmented["instances"] and augmented["ranking_seconds"] > 0
    for row in measured["workloads"]:
        assert row["timed_steps"] >= 1 and row["operations_per_instance"] > 2 * 3 * 8 * 120
        epoch = row["seconds_per_instance"] * row["epoch_instances"] + row["ranking_seconds"]
        assert row["seconds_per_epoch"] == pytest.approx(epoch, rel=0.3)
    text = (tmp_path / "bench.md").read_text("utf-8")
    assert text.startswith(f"# `python -m alterrec bench --out {tmp_path} --parts engine`\n")
    assert ("Not measured: bfloat16" in text) != has_bfloat16
    assert text.count("Not measured") == 1 - has_bfloat16
    assert text.strip().splitlines()[5:] <= capsys.readouterr().out.splitlines()
    for table in report["parts"]["engine"]["tables"]:
        assert f"### {table['caption']}" in text and table["rows"]
    assert {row["sizes"] for row in report["parts"]["engine"]["tables"][2]["rows"]} == {3}
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "bench.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"bench.{kind}" for kind in ("json", "md", "pdf", "png")
    ]


def test_cost_by_rule_adds_up_the_jobs(tmp_path):
    for path, row in {
        "prepare/a.tsv": "4.0\t-",
        "train/a/id/1.tsv": "2.0\t9.5",
        "train/a/id/2.tsv": "3.0\t7.0",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"s\tmax_rss\n{row}\n")
    assert workflow_cost.records(workflow_cost.cost_by_rule(tmp_path)) == [
        {"rule": "train id", "jobs": 2, "seconds": 5.0, "longest": 3.0, "MiB": 9.5},
        {"rule": "prepare", "jobs": 1, "seconds": 4.0, "longest": 4.0, "MiB": None},
    ]


def test_report_of_parsing_removes_its_synthetic_files(tmp_path, monkeypatch):
    small = partial(parsing_cost.measure_parsing, sessions=1000, products=500)
    monkeypatch.setattr(parsing_cost, "measure_parsing", small)
    bench(tmp_path, ("parsing",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]
    report = read_json(tmp_path / "bench.json")
    assert report["parts"]["parsing"]["figures"]["sessions"] == 1000
    assert {"processor", "processors", "torch"} < set(report["machine"])
    assert "1,000 sessions and 500 products" in (tmp_path / "bench.md").read_text("utf-8")


def test_all_parts_run_unless_some_are_named():
    assert parser().parse_args(["bench", "--out", "x"]).parts == PARTS
    assert parser().parse_args(["bench", "--out", "x", "--parts", "engine"]).parts == ["engine"]


def test_impossible_measurements_are_refused_at_the_start(tmp_path, monkeypatch):
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
    assert cell_text(value) == text
