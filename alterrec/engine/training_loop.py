"""One training loop for every neural model: epochs, early stopping, and the weights that are kept.

The chain of calls: a baseline's `fit` -> `train_learner` -> `Training.run_epoch` -> `train_epoch` -> `train_step`.
"""

import logging
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from tqdm import tqdm

from alterrec.engine.batching import Draw, TrainingBatches
from alterrec.engine.checkpoint import Progress
from alterrec.engine.contract import Fitted, Task
from alterrec.engine.cuda_graphs import GraphedSteps
from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.memory import rows_at_once
from alterrec.engine.optimisation import autocast_for, make_optimiser, set_learning_rate, train_step
from alterrec.engine.windows import Batch, Windows
from alterrec.errors import UnfitSettings, UserError
from alterrec.study.settings import TREATMENTS, NeuralConfig

logger = logging.getLogger(__name__)
SAMPLE = 1000  # training instances on which the parts of a model are compared, the same for all models of a dataset


class Diverged(UnfitSettings):
    """The training loss is not finite."""


def train_learner(build: Callable[[], Learner], task: Task) -> Fitted:
    """Seed, `build` the learner and train it; return it with the weights that it keeps.

    The kept epoch has the best validation Hits@20: of the model or, where the learner says so, of each network.
    Training ends with the learner's schedule or the task's share of it, or earlier by patience, which counts no epoch before
    the first one of TREATMENTS. With a checkpoint, every finished epoch is saved, and a run that stopped continues after its
    last one (where that lies beyond the task's share, the history ends with the share); `Stopped` is raised at the end of
    the epoch in which its deadline passes. UserError where a split is empty, Diverged where the loss is not finite.
    """
    order = task.seed_torch()
    learner = build()
    learner.module.to(task.device)
    if task.weights:
        learner.module.load_state_dict(task.weights)
        learner.module.eval()
        return Fitted(learner)
    training = Training(learner, task, order)
    progress, schedule = training.progress, list(enumerate(learner.schedule(task.config), 1))
    treated_from = next((number for number, epoch in schedule if epoch.mode in TREATMENTS), 0)
    schedule = schedule[: math.ceil(task.share * len(schedule))]
    for number, epoch in tqdm(schedule[len(progress.history) :], desc="epochs", mininterval=5, disable=None):
        if task.config.patience and progress.epochs_without_gain(treated_from) >= task.config.patience:
            break
        progress.record({"epoch": number} | training.run_epoch(epoch))
        log_epoch(progress.history[-1])
        if task.checkpoint:
            task.checkpoint.save(progress.state())
            task.checkpoint.stop_if_late()
    weights, kept_epochs = progress.kept_weights(), progress.kept_epochs()
    learner.module.load_state_dict(weights)
    learner.module.eval()  # a run that continues after its last epoch trains none
    facts = {"kept_epochs": kept_epochs, "best_epoch": max(kept_epochs.values())}
    return Fitted(
        learner, progress.history[: len(schedule)], weights, facts | {"epochs": len(progress.history)}
    )


class Training:
    """What the epochs of a run share: data, optimisers, steps, and the progress, which a checkpoint restores."""

    def __init__(self, learner: Learner, task: Task, order: np.random.Generator):
        config, dataset = task.config, task.dataset
        self.learner, self.config, self.order = learner, config, order
        self.windows = Windows(dataset, ("train",), config.max_length, task.device)
        self.validation = Windows(dataset, ("validation",), config.max_length, task.device)
        if not self.windows.instances or not self.validation.instances:
            raise UserError(
                "no training or no validation instances: the dataset's split leaves one of them empty"
            )
        self.batches = TrainingBatches(self.windows, config)
        self.sample = instance_sample(self.windows, dataset.catalogue_size)
        self.optimisers = {name: make_optimiser(each, config) for name, each in learner.networks.items()}
        self.progress = Progress(learner, self.optimisers, order)
        if saved := task.checkpoint.load() if task.checkpoint else None:
            self.progress.restore(saved)
            logger.info("training continues after epoch %d", len(self.progress.history))
        padded = any(learner.pads_views(epoch) for epoch in learner.schedule(config))
        kind = GraphedSteps if self.batches.packs(padded) else Steps
        self.steps = kind(learner, self.optimisers, autocast_for(config, task.device))

    def run_epoch(self, epoch: Epoch) -> dict:
        """Train and evaluate one epoch; return its row of the history. `seconds` leave out the evaluation."""
        learner, progress, started = self.learner, self.progress, time.perf_counter()
        rate = set_learning_rate(self.optimisers[epoch.network], epoch, self.config)
        learner.module.eval()
        learner.start(epoch, self.windows)
        loss, drawn = train_epoch(learner, epoch, self.batches, self.steps, self.config, self.order)
        progress.updates[epoch.network] += len(drawn)
        progress.labels[epoch.network] += self.batches.labels(drawn)
        seconds = time.perf_counter() - started
        row = {
            "network": epoch.network,
            "network_epoch": epoch.number,
            "updates": progress.updates[epoch.network],
            "labels": progress.labels[epoch.network],
            "mode": epoch.mode,
            "learning_rate": rate,
            "loss": loss,
        }
        learner.module.eval()
        return row | learner.evaluate(self.validation, self.sample) | {"seconds": seconds}


def train_epoch(
    learner: Learner,
    epoch: Epoch,
    batches: TrainingBatches,
    steps: "Steps | GraphedSteps",
    config: NeuralConfig,
    order: np.random.Generator,
) -> tuple[float, Draw]:
    """Train one epoch; return its mean loss over steps and what it was trained on."""
    network = learner.networks[epoch.network].train()
    limit, factor = learner.steps(epoch, batches.plain), learner.batch_factor(epoch)
    drawn = batches.draw(order, learner.views(epoch), limit, factor)
    mean = steps.run(epoch, batches, drawn, learner.pads_views(epoch))
    network.eval()
    if not np.isfinite(mean):
        raise Diverged(
            f"the training loss of epoch {epoch.number} is {mean}: lower learning_rate ({config.learning_rate})"
        )
    return mean, drawn


class Steps:
    """Runs the steps of an epoch one after the other, as PyTorch programs do; losses are computed under `autocast`."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], autocast: torch.autocast
    ):
        self.learner, self.optimisers, self.autocast = learner, optimisers, autocast

    def run(self, epoch: Epoch, batches: TrainingBatches, drawn: Draw, padded: bool) -> float:
        """Train on the drawn batches; return the mean loss."""
        total, optimiser = 0.0, self.optimisers[epoch.network]
        for batch in batches.one_by_one(drawn, padded):
            total += train_step(self.learner, optimiser, batch, epoch, self.autocast)
        return float(total) / len(drawn)


def log_epoch(row: dict) -> None:
    values = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
    logger.info("%s", " ".join(values))


def instance_sample(windows: Windows, items: int) -> Batch:
    """About SAMPLE training instances, fewer where their scores fill more than eight blocks; no model's seed changes them."""
    wanted = min(SAMPLE, rows_at_once(-(-items // 8), windows.flat.device))
    return windows.sample(wanted, np.random.default_rng(0))
