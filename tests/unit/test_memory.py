"""Scores never take more memory than the budget. It changes no more than the last bits of a loss of given negatives."""

from pathlib import Path

import pytest
import torch

from alterrec.engine.memory import BLOCK, BUDGET, COPIES, in_memory, rows_at_once
from alterrec.errors import UserError
from alterrec.execute import execute_run
from alterrec.files import file_checksum
from alterrec.method.losses import softmax_loss
from alterrec.method.negatives import HardNegatives
from tests.planted import CPU, GivenNegatives, id_signal

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("columns", [100, 12_000, 1_000_000, 20_000_000])
@pytest.mark.parametrize("gib", [0.1, 1, 8])
def test_rows_fit_the_budget(monkeypatch, columns, gib):
    monkeypatch.setenv(BUDGET, str(gib))
    rows = rows_at_once(columns, CPU)
    assert rows == 1 or rows * columns * 4 * COPIES <= gib * 2**30


def test_the_free_memory_decides_for_huge_catalogues_only(monkeypatch):
    monkeypatch.delenv(BUDGET, raising=False)
    monkeypatch.setattr("alterrec.engine.memory.free_memory", lambda device: 0)
    assert rows_at_once(12_000, CPU) == 349
    assert rows_at_once(10_000_000, CPU) == 1


@pytest.mark.parametrize(("kind", "items"), [("cpu", 262_144), ("cuda", 4_194_304)])
def test_the_page_states_from_which_catalogue_on_the_free_memory_counts(monkeypatch, kind, items):
    monkeypatch.delenv(BUDGET, raising=False)
    monkeypatch.setattr("alterrec.engine.memory.free_memory", lambda device: 0)
    assert rows_at_once(items, torch.device(kind)) > 1
    assert rows_at_once(items + 1, torch.device(kind)) == 1
    assert f"{items:,}" in (ROOT / "docs/measurement.md").read_text(encoding="utf-8")


def test_hard_negatives_depend_on_the_block_size_as_the_page_says():
    states, items = torch.eye(4), torch.arange(160.0).view(40, 4).sin()
    draws = []
    for rows in (2, 4):
        torch.manual_seed(1)
        negatives = HardNegatives(states, items, k1=2, k2=20)
        draws.append(torch.cat([negatives.counts(slice(at, at + rows)) for at in range(0, 4, rows)]))
    assert not torch.equal(*draws)


def test_a_budget_must_be_a_number(monkeypatch):
    monkeypatch.setenv(BUDGET, "much")
    with pytest.raises(UserError, match="'much': state a number of GiB"):
        rows_at_once(10, CPU)


@pytest.mark.parametrize("kind", ["once", "shared", "drawn"])
def test_loss_and_gradients_do_not_depend_on_the_block_size(monkeypatch, kind):
    draw = torch.Generator().manual_seed(0)
    columns, instances = 30, 50
    states = (
        torch.randn(instances, 8, generator=draw, dtype=torch.float64) * 30
    )  # so that some logits are far apart
    matrix = torch.randn(columns, 8, generator=draw, dtype=torch.float64)
    label = torch.randint(columns, (instances,), generator=draw)
    weight = torch.rand(instances, generator=draw, dtype=torch.float64)
    drawn = torch.randint(3, (instances, columns), generator=draw).double().scatter_(1, label[:, None], 1.0)
    shared = torch.randint(1, 5, (columns,), generator=draw)
    counts = {"once": None, "shared": shared, "drawn": GivenNegatives(drawn)}[kind]
    literal_counts = {"once": torch.ones(1), "shared": shared, "drawn": drawn}[kind]

    def loss_and_gradients(compute):
        inputs = states.clone().requires_grad_(), matrix.clone().requires_grad_()
        loss = compute(*inputs)
        return loss, *torch.autograd.grad(3 * loss, inputs)

    def literal(states, matrix):
        scores = states @ matrix.T
        own = scores.gather(1, label[:, None]).squeeze(1)
        return (weight * (torch.logsumexp(scores + literal_counts.double().log(), 1) - own)).sum()

    expected = loss_and_gradients(literal)
    for rows in (1, 7, 50, 1000):
        monkeypatch.setattr("alterrec.method.losses.rows_at_once", lambda *_, rows=rows: rows)
        results = loss_and_gradients(
            lambda states, matrix: softmax_loss(states, matrix, label, weight, counts)
        )
        for result, value in zip(results, expected, strict=True):
            torch.testing.assert_close(result, value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "shortage", [MemoryError(), torch.OutOfMemoryError(), RuntimeError("can't allocate memory")]
)
def test_work_that_runs_out_of_memory_starts_again_with_blocks_of_half_the_size(shortage):
    tried = []

    def work():
        tried.append(rows_at_once(12_000, CPU))
        if tried[-1] > 100:
            raise shortage
        return "done"

    assert in_memory(work) == "done"
    assert tried == [349, 174, 87]
    assert rows_at_once(12_000, CPU) == 349, "the next work has whole blocks again"


OF_SMALL_MEMORY = """
from alterrec import registry

popularity = registry.model("popularity").module
Config, version = popularity.Config, 1


def fit(task):
    import torch

    fitted = popularity.fit(task)
    scores = fitted.scorer.scores

    def within_memory(batch):
        if len(batch) > 16:
            raise torch.OutOfMemoryError(f"no room for {len(batch)} rows")
        return scores(batch)

    fitted.scorer.scores = within_memory
    return fitted
"""


def test_a_run_whose_scores_fit_in_small_blocks_only_has_the_ranks_of_whole_blocks(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setitem(BLOCK, "cpu", 1)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/small_memory.py").write_text(OF_SMALL_MEMORY)
    id_signal(items=60, sessions=300).save(tmp_path / "data")
    for model in ("popularity", "small_memory"):
        spec = {"dataset": "planted", "model": model, "base": model, "seed": 1, "encoder": None, "threads": 1}
        spec |= {"baselines": [str(tmp_path / "own")], "config": {}}
        execute_run(spec, tmp_path / "data", tmp_path / model)
    assert "memory ran out: no room for" in caplog.text
    for name in ("ranks.parquet", "top.parquet"):
        assert file_checksum(tmp_path / "popularity" / name) == file_checksum(
            tmp_path / "small_memory" / name
        )


def test_work_for_which_memory_never_suffices_ends_with_a_sentence():
    rows = []

    def work():
        rows.append(rows_at_once(10_000_000, CPU))
        raise MemoryError

    with pytest.raises(UserError, match="memory ran out, also .*run fewer cells at once"):
        in_memory(work)
    assert rows[-1] == 1


def test_another_error_is_not_taken_for_a_lack_of_memory():
    def work():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        in_memory(work)
