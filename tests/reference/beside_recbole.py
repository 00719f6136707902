"""How good `id_only` and RecBole's SASRec are after so many seconds of training: `python -m tests.reference.beside_recbole`.

A program is `recbole` or a model of the study's config, with changed settings in braces: 'id_only {dropout: 0.5}'. For
each seed, all programs train one epoch in turns until each has stopped, as RecBole does, after more than 10 epochs without
a better validation NDCG@10. The CSV file has a row per program, seed and epoch: the training's seconds and processor
seconds (evaluation is left out), its mean loss, and NDCG@10 and Hits@10 of validation and test.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
import yaml

from alterrec import registry
from alterrec.bench.learning_curves import device_name
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import make_dataset
from alterrec.engine.batching import TrainingBatches
from alterrec.engine.contract import Task
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.device import device, set_determinism, set_precision
from alterrec.engine.optimisation import autocast_for, make_optimiser, set_learning_rate
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.training_loop import Steps, train_epoch
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.files import atomic
from alterrec.method.learners import Single
from alterrec.method.networks import id_network
from alterrec.ranking.metrics import expected_hits, expected_ndcg
from alterrec.ranking.rank import rank
from alterrec.study.load import load_study
from alterrec.study.resolve import Study
from alterrec.study.settings import NeuralConfig
from tests.reference.recbole_epochs import recbole_epochs
from tests.reference.turns import Program, Stopwatch, fingerprint

PATIENCE = 10  # RecBole's stopping_step
HISTORY = 50  # items that RecBole reads
ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--config", default=ROOT / "workflow" / "config" / "movielens_100k.yaml")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="no epoch starts later than this")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    study, rows = load_study(options.config), []
    deadline = time.monotonic() + 60 * (options.minutes or float("inf"))
    for seed in options.seeds:
        if time.monotonic() > deadline:
            break
        programs = {name: start(name, study, seed, options.threads) for name in options.programs}
        for row in in_turns(programs, deadline):
            rows.append({"seed": seed, "device": device_name()} | row)
            with atomic(options.out) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.6g")


def start(name: str, study: Study, seed: int, threads: int) -> Program:
    """The program's process, which waits for its first turn."""
    if name == "recbole":
        return Program(recbole_epochs, seed, threads)
    model, _, changes = name.partition(" ")
    (dataset,) = study.config.datasets
    spec = study.spec(dataset, model, seed, **yaml.safe_load(changes or "{}"))
    return Program(suite_epochs, spec | {"threads": threads}, study.dataset(dataset))


def in_turns(programs: dict[str, Program], deadline: float) -> Iterator[dict]:
    """Rows of all programs, an epoch of each in turn. UserError where their data differ."""
    data = {name: program.next_row() for name, program in programs.items()}
    if any(other != data[name] for name in data for other in data.values()):
        raise UserError(
            f"the programs read different data: {data}: make the suite's files from RecBole's again"
        )
    scores, waiting = {name: [] for name in programs}, deque(programs)
    while waiting and time.monotonic() < deadline:
        name = waiting.popleft()
        row = programs[name].next_row()
        if row:
            scores[name].append(row["validation_ndcg10"])
            stopped = epochs_without_gain(scores[name]) > PATIENCE
            yield {"program": name, "epoch": len(scores[name]), "stopped": stopped} | row
            if not stopped:
                waiting.append(name)
    for program in programs.values():
        program.end()


def epochs_without_gain(scores: list[float]) -> int:
    """How many of the last epochs are worse than the best one; the later one of equals is the best."""
    return scores[::-1].index(max(scores))


def suite_epochs(spec: dict, source: dict) -> Iterator[dict]:
    """What the program trains on, then a row per epoch: the steps of `train_learner` without its early stopping."""
    torch.set_num_threads(spec["threads"])
    set_determinism()
    dataset, config = read_dataset(source), NeuralConfig(**spec["config"])
    set_precision(config.precision)
    seed = seed_sequence(spec["dataset"], spec["base"], spec["seed"])
    task = Task(dataset, config, seed, device=device())
    order = task.seed_torch()
    learner = Single(id_network(dataset.catalogue_size, config), "id")
    learner.module.to(task.device)
    windows = Windows(dataset, ("train",), config.max_length, task.device)
    batches = TrainingBatches(windows, config)
    optimisers = {"id": make_optimiser(learner.network, config)}
    kind = GraphedSteps if batches.packs(padded=False) else Steps
    steps = kind(learner, optimisers, autocast_for(config, task.device))
    yield {"instances": windows.instances, "test": fingerprint(test_histories(dataset))}
    for epoch in learner.schedule(config):
        with Stopwatch() as watch:
            set_learning_rate(optimisers["id"], epoch, config)
            loss, _ = train_epoch(learner, epoch, batches, steps, config, order)
        yield watch.seconds | {"loss": loss} | quality(learner, task)


def read_dataset(source: dict) -> Dataset:
    reader = registry.source(source["source"])
    config = reader.Config(**source)
    return make_dataset(reader.load(config), config)


def test_histories(dataset: Dataset) -> Iterator[list[str]]:
    """For every test session its user, the items that RecBole reads, and the target."""
    for session in dataset.sessions_of("test"):
        items = dataset.items_of(session)[-HISTORY - 1 :]
        yield [dataset.session_id[session], *dataset.item_id[items]]


def quality(learner: Single, task: Task) -> dict[str, float]:
    """NDCG@10 and Hits@10 of both splits over the whole catalogue."""
    found = {}
    for split, rows in rank(learner, task.dataset, task.config.max_length, task.device)[0].groupby("split"):
        counts = rows["above"].to_numpy(), rows["ties"].to_numpy()
        found[f"{split}_ndcg10"] = expected_ndcg(*counts, 10).mean()
        found[f"{split}_hits10"] = expected_hits(*counts, 10).mean()
    return found


if __name__ == "__main__":
    main()
