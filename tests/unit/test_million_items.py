"""Every registered model trains and ranks a million items in 8 GiB, or its file says why not.

What a model holds is constant or grows in proportion to the catalogue, so its peak with ITEMS items, times MILLION / ITEMS,
bounds the peak with a million. Scores are computed in the blocks that a million items have, and sessions are short, so that
little is constant.
"""

import inspect
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from alterrec.bench.synthetic import synthetic_dataset, synthetic_text
from alterrec.engine.memory import BLOCK, BUDGET, FEWEST_ROWS, rows_at_once
from alterrec.ranking.rank import rank
from tests.planted import CPU, no_signal
from tests.unit.test_baselines import MODELS, fit, task

ITEMS, MILLION = 25_000, 1_000_000
SESSIONS, LENGTH = 75, 10  # 540 training instances, more than a batch; 63 and 72 ranked ones, about a block
SETTINGS = {"dimension": 64, "batch_size": 512, "epochs": 2, "k1": 20, "k2": 6000}
GIB = 2**30
MOST = 8  # GiB
PAGE = Path(__file__).parents[2] / "docs/measurement.md"


@pytest.fixture(scope="module", autouse=True)
def profiler_is_imported():
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True):
        torch.ones(1)


@pytest.fixture(autouse=True)
def blocks_of_a_million_items(monkeypatch):
    monkeypatch.delenv(BUDGET, raising=False)
    assert rows_at_once(MILLION, CPU) == FEWEST_ROWS
    monkeypatch.setitem(BLOCK, "cpu", 1)
    assert rows_at_once(ITEMS, CPU) == FEWEST_ROWS


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that torch holds at once during `work`, plus the most that Python and NumPy hold."""
    tracemalloc.start()
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            work()
        of_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    events = recorded.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = np.cumsum([change for _, change in changes])
    return of_numpy + int(held.max(initial=0))


def test_the_peak_is_the_most_that_is_held_at_once():
    def work():
        first = torch.ones(1000, 1000)
        del first
        kept = [torch.ones(500, 1000) for _ in range(3)]
        return kept, np.ones(250_000, np.float32)

    assert peak_bytes(work) == pytest.approx(7_000_000, rel=0.01)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_and_ranks_a_million_items_within_the_budget(name, tmp_path):
    for folder in ("small", "large"):
        (tmp_path / folder).mkdir()
    small = task(name, no_signal(30, 60), tmp_path / "small", epochs=1)
    fit(name, small)  # imports what the model needs
    data, text = synthetic_dataset(ITEMS, SESSIONS, LENGTH), synthetic_text(ITEMS)
    own = task(name, data, tmp_path / "large", text=text, **SETTINGS)
    peak = peak_bytes(lambda: rank(fit(name, own).scorer, data, own.config.max_length, CPU))
    of_texts = text[0].nbytes if MODELS[name].uses_text else 0
    bound = (peak + of_texts) * MILLION / ITEMS / GIB
    print(f"`{name}` {bound:.1f}")  # for the page: pytest -rP
    assert bound <= MOST or "million items" in inspect.getdoc(MODELS[name].module), f"{bound:.1f} GiB"
    assert bound <= 1.1 * stated_on_the_page()[name]


def stated_on_the_page() -> dict[str, float]:
    """Model -> GiB in the table of docs/measurement.md."""
    section = PAGE.read_text("utf-8").split("### A million items")[1].split("\n### ")[0].split("\n## ")[0]
    return {name: float(gib) for name, gib in re.findall(r"`(\w+)` ([\d.]+)", section)}
