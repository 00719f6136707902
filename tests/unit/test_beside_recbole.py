"""The comparison with RecBole's SASRec: turns, stopping, and the suite's side of it. RecBole itself is not installed here."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.engine.contract import Task
from alterrec.engine.seeding import seed_sequence
from alterrec.errors import UserError
from alterrec.study.settings import NeuralConfig
from baselines import id_only
from tests.reference import beside_recbole
from tests.reference.turns import Program
from tests.unit.drawings import SCRIPTS

SMALL = {"dimension": 8, "epochs": 3, "batch_size": 16, "max_length": 5}


def recbole_stops_after(scores: list[float], max_step: int) -> int | None:
    """The number of epochs after which RecBole stops, as its `early_stopping` counts."""
    best, step = -np.inf, 0
    for number, value in enumerate(scores, 1):
        best, step = (value, 0) if value >= best else (best, step + 1)
        if step > max_step:
            return number
    return None


def test_a_program_stops_when_recbole_would():
    generator = np.random.default_rng(0)
    for _ in range(200):
        scores = generator.integers(0, 20, 60).tolist()
        waiting = [beside_recbole.epochs_without_gain(scores[: n + 1]) for n in range(len(scores))]
        stops = (n for n, epochs in enumerate(waiting, 1) if epochs > beside_recbole.PATIENCE)
        assert next(stops, None) == recbole_stops_after(scores, beside_recbole.PATIENCE)


@dataclass
class Scripted:
    """A program that answers with given rows."""

    rows: list
    ended: bool = False
    data: dict = field(default_factory=lambda: {"instances": 5})

    def next_row(self):
        if self.data is not None:
            data, self.data = self.data, None
            return data
        return self.rows.pop(0) if self.rows else None

    def end(self):
        self.ended = True


def rows_of(scores: list[float]) -> list[dict]:
    return [{"validation_ndcg10": score} for score in scores]


def test_programs_train_an_epoch_in_turn_until_each_has_stopped():
    programs = {"falls": Scripted(rows_of(range(50, 0, -1))), "short": Scripted(rows_of([1, 2, 3]))}
    rows = list(beside_recbole.in_turns(programs, deadline=float("inf")))
    assert [row["program"] for row in rows[:7]] == ["falls", "short"] * 3 + ["falls"]
    falls = [row for row in rows if row["program"] == "falls"]
    assert [row["epoch"] for row in falls] == list(range(1, 13))
    assert [row["stopped"] for row in falls] == [False] * 11 + [True]
    assert all(program.ended for program in programs.values())


def test_programs_with_different_data_are_refused():
    programs = {"one": Scripted([]), "other": Scripted([], data={"instances": 6})}
    with pytest.raises(UserError, match="different data"):
        list(beside_recbole.in_turns(programs, deadline=float("inf")))


def squares(count: int):
    yield {"process": os.getpid()}
    for number in range(count):
        yield {"square": number**2}


def test_a_program_works_in_a_process_of_its_own():
    program = Program(squares, 3)
    assert program.next_row()["process"] != os.getpid()
    assert [program.next_row() for _ in range(4)] == [{"square": 0}, {"square": 1}, {"square": 4}, None]
    program.end()
    assert not program.process.is_alive()


@pytest.fixture
def source(tmp_path: Path) -> dict:
    """Settings of a table of 40 users with 4 to 12 of 30 items, the last item for testing."""
    generator = np.random.default_rng(1)
    sessions = [
        (f"u{user}", f"i{item}", position)
        for user in range(40)
        for position, item in enumerate(generator.permutation(30)[: generator.integers(4, 13)])
    ]
    pd.DataFrame(sessions, columns=["session_id", "item_id", "timestamp"]).to_csv(
        tmp_path / "sessions.csv", index=False
    )
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(30)], "title": "title"})
    items.to_csv(tmp_path / "items.csv", index=False)
    files = {"sessions": str(tmp_path / "sessions.csv"), "items": str(tmp_path / "items.csv")}
    return {"source": "table", "split": "leave_last_out"} | files


def test_the_suite_trains_as_in_a_study(source):
    spec = {"dataset": "small", "base": "id_only", "seed": 1, "threads": 1, "config": SMALL}
    data, *rows = beside_recbole.suite_epochs(spec, source)
    dataset = beside_recbole.read_dataset(source)
    task = Task(dataset, NeuralConfig(**SMALL), seed_sequence("small", "id_only", 1))
    assert [row["loss"] for row in rows] == [epoch["loss"] for epoch in id_only.fit(task).history]
    assert data["instances"] == sum(len(dataset.items_of(s)) - 1 for s in dataset.sessions_of("train"))
    assert all(0 <= row["test_ndcg10"] <= row["test_hits10"] <= 1 and row["seconds"] > 0 for row in rows)


def test_the_table_counts_seconds_to_recboles_quality(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import recbole_curves

    scores = {"recbole": ([0.1, 0.3, 0.2], 10.0), "id_only": ([0.2, 0.29, 0.31], 1.0)}
    rows = [
        {"program": program, "seed": 1, "epoch": epoch, "validation_ndcg10": score, "seconds": seconds}
        | {"processor_seconds": 2 * seconds, "test_ndcg10": score / 2, "test_hits10": score, "device": "CPU"}
        | {"stopped": epoch == 3}
        for program, (values, seconds) in scores.items()
        for epoch, score in enumerate(values, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "cpu.csv", index=False)
    curves = recbole_curves.read(tmp_path / "cpu.csv")
    recbole, own = recbole_curves.table([curves]).splitlines()[2:]
    end = "| 2 of 3 | 0.3000 | 0.1500 | 0.3000 | 20.0 | 20.0 | 40.0 |"
    assert recbole == f"| CPU | SASRec of RecBole | 10.00 | 20.00 {end}"
    assert own == "| CPU | ID only | 1.00 | 2.00 | 3 of 3 | 0.3100 | 0.1550 | 0.3100 | 2.0 | 3.0 | 6.0 |"
    recbole_curves.draw([curves], tmp_path)
    assert (tmp_path / "recbole_curves.png").stat().st_size > 1000
