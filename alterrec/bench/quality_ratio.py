"""Seconds of training beside a literal program, on a CPU: `python -m alterrec.bench.quality_ratio --help`.

The literal program (tests/reference/prefix_expanding.py) reads every prefix as a row padded to `max_length`. It trains
beside the suite's networks with each kind of batches, all from the same parameters, with the same settings and Adam. The
programs take turns after every part of an epoch, so that a disturbance of the machine is shared. The CSV file has a row
per part; paper_figures/seconds_beside_literal.py makes the table and the figure.
"""

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import count, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from alterrec import registry
from alterrec.bench.epoch_cost import build_learner, count_operations
from alterrec.bench.learning_curves import batch_settings
from alterrec.bench.machine import prepare_torch, processor
from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text_vectors
from alterrec.engine.batching import TrainingBatches
from alterrec.engine.contract import Task
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.optimisation import make_optimiser, set_learning_rate
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.training_loop import Steps, log_epoch
from alterrec.engine.windows import Windows
from alterrec.files import atomic
from alterrec.method.learners import Single
from alterrec.method.networks import UniModalNetwork
from alterrec.ranking.validation_hits import mean_hits
from alterrec.study.load import load_study
from alterrec.study.processors import processors
from alterrec.study.run_paths import TEXT
from alterrec.study.settings import NeuralConfig
from tests.reference import prefix_expanding as plain

NETWORKS = {"id_only": "id", "text_only": "text"}
LITERAL = "literal"
PROGRAMS = (LITERAL, "prefixes", "sessions", "sessions:4")
COUNTED = 5  # batches whose floating-point operations are counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="a study's config file")
    parser.add_argument("--dataset", required=True, help="a dataset of the study")
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder of that dataset, prepared and encoded"
    )
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--dimension", type=int, required=True, help="width of all vectors")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the literal program")
    parser.add_argument("--limit", type=int, default=12, help="largest number of epochs of the others")
    parser.add_argument("--parts", type=int, default=6, help="evaluations per epoch")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    study, rows = load_study(options.config), []
    prepare_torch(processors(), "float32")
    for seed, model in product(options.seeds, options.models):
        spec = study.spec(options.dataset, model, seed, dimension=options.dimension)
        shown = {key: spec[key] for key in ("dataset", "model", "seed")} | {"dimension": options.dimension}
        task = load_task(spec, options.data)
        for row in take_turns(NETWORKS[model], task, options.epochs, options.limit, options.parts):
            log_epoch(shown | row)
            rows.append(shown | row | {"device": f"{processors()} x {processor()}"})
        with atomic(options.out) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.6g")


def load_task(spec: dict, data: Path) -> Task:
    return Task(
        dataset=Dataset.load(data),
        config=registry.model(spec["base"]).module.Config(**spec["config"]),
        seed=seed_sequence(spec["dataset"], spec["model"], spec["seed"]),
        text=load_text_vectors(data / TEXT.format(**spec)) if spec["encoder"] else None,
    )


def take_turns(network: str, task: Task, epochs: int, limit: int, parts: int) -> Iterator[dict]:
    """The rows of all programs, which take turns.

    The literal program ends after `epochs` epochs. Each of the others ends when it has reached the quality that the literal
    program ended with, but not before the literal program, and at the latest after `limit` epochs.
    """
    running = {kind: learning_curve(network, kind, task, parts) for kind in PROGRAMS}
    best = dict.fromkeys(PROGRAMS, 0.0)
    wanted = float("inf")
    while running:
        for kind, curve in list(running.items()):
            row = next(curve)
            yield row
            best[kind] = max(best[kind], row["hits20"])
            if kind == LITERAL and row["epoch"] >= epochs:
                wanted = row["hits20"]
                del running[kind]
            elif best[kind] >= wanted or row["epoch"] >= limit:
                del running[kind]


def learning_curve(name: str, kind: str, task: Task, parts: int) -> Iterator[dict]:
    """Train the network `name` by one program without end; a row after every part of an epoch.

    `seconds` and `processor_seconds` (of all threads) are those of the part's training, with its batches but without the
    evaluation that follows. `operations` are the floating-point operations of its matrix products, padding included.
    """
    config = task.config.model_copy(update=batch_settings("prefixes" if kind == LITERAL else kind))
    order = task.seed_torch()
    text = () if name == "id" else task.text_tensors()
    learner, _ = build_learner(name, task.dataset.catalogue_size, text, config)
    network, optimiser = learner.network, make_optimiser(learner.network, config)
    trained, batches = program(kind, learner, task.dataset, config)
    steps, updates = Steps(trained, {name: optimiser}, nullcontext()), 0
    validation = Windows(task.dataset, ("validation",), config.max_length, task.device)
    per_instance = operations_per_instance(trained, network.train(), batches)
    for number in count(1):
        epoch = Epoch(name, number)
        set_learning_rate(optimiser, epoch, config)
        started, first = clocks(), updates
        drawn = batches.draw(order)
        for part in drawn.blocks(-(-len(drawn) // parts)):
            torch.set_deterministic_debug_mode("default" if kind == LITERAL else "warn")
            loss = steps.run(epoch, batches, part, False)
            spent = clocks() - started
            updates += len(part)
            network.eval()
            row = {"batches": kind, "epoch": number - 1 + (updates - first) / len(drawn), "updates": updates}
            row |= {"loss": loss, "hits20": mean_hits(learner.scores, validation)["model"]}
            row |= dict(zip(("seconds", "processor_seconds"), spent, strict=True))
            yield row | {"operations": per_instance * batches.instances_of(part).sum()}
            network.train()
            started = clocks()


def program(kind: str, learner: Single, dataset: Dataset, config: NeuralConfig):
    """What computes the loss of a batch, and the batches, by the literal program or by the suite."""
    windows = Windows(dataset, ("train",), config.max_length, torch.device("cpu"))
    if kind != LITERAL:
        return learner, TrainingBatches(windows, config)
    offsets = torch.from_numpy(dataset.offsets)
    return Literal(learner.network, windows.flat, offsets, config), LiteralBatches(windows, config)


class Literal:
    """The literal program's loss of a network's parameters, in place of a learner's; a batch is the instances [I]."""

    def __init__(
        self, network: UniModalNetwork, flat: torch.Tensor, offsets: torch.Tensor, config: NeuralConfig
    ):
        self.flat, self.offsets, self.config = flat, offsets, config
        self.parameters, self.temperature = dict(network.named_parameters()), network.temperature
        shared = network.column_of_item
        self.text = None if shared is None else network.vectors.text[shared]

    def loss(self, instance: torch.Tensor, epoch: Epoch) -> torch.Tensor:
        config = self.config
        rows = plain.expand(self.flat, self.offsets, instance, config.max_length)
        scores = plain.scores(
            *rows, self.parameters, self.text, config.heads, self.temperature, config.dropout
        )
        return F.cross_entropy(scores, self.flat[instance])

    def update(self, optimiser: torch.optim.Optimizer) -> None:
        optimiser.step()


class LiteralBatches(TrainingBatches):
    """The same draws of single prefixes, as indices of their targets in the flat items [I], without any layout."""

    def one_by_one(self, drawn, padded=False):
        yield from (self.start + self.length)[torch.from_numpy(drawn.row)].split(self.batch_size)


def operations_per_instance(trained, network: torch.nn.Module, batches: TrainingBatches) -> float:
    """Mean over COUNTED batches of the operations of a training step, per instance of the batch."""
    drawn = batches.draw(np.random.default_rng(0), limit=COUNTED)
    steps = batches.one_by_one(drawn)
    operations = [count_operations(partial(trained.loss, batch, None), nullcontext()) for batch in steps]
    network.zero_grad()
    return sum(operations) / batches.instances_of(drawn).sum()


def clocks() -> np.ndarray:
    """Seconds of the wall clock, and processor seconds of all threads of this process."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
