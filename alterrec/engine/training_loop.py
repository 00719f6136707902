"""One training loop for every neural model: epochs, early stopping, and the weights that are kept.

The chain of calls: a baseline's `fit` -> `train_learner` -> `train_epoch` -> `train_step`.
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
    config, dataset = task.config, task.dataset
    windows = Windows(dataset, ("train",), config.max_length, task.device)
    validation = Windows(dataset, ("validation",), config.max_length, task.device)
    if not windows.instances or not validation.instances:
        raise UserError(
            "no training or no validation instances: the dataset's split leaves one of them empty"
        )
    batches = TrainingBatches(windows, config)
    sample = instance_sample(windows, dataset.catalogue_size)
    optimisers = {name: make_optimiser(network, config) for name, network in learner.networks.items()}
    progress = Progress(learner, optimisers, order)
    saved = task.checkpoint.load() if task.checkpoint else None
    if saved:
        progress.restore(saved)
        logger.info("training continues after epoch %d", len(progress.history))
    schedule = list(enumerate(learner.schedule(config), 1))
    padded = any(learner.pads_views(epoch) for _, epoch in schedule)
    kind = GraphedSteps if batches.packs(padded) else Steps
    steps = kind(learner, optimisers, autocast_for(config, task.device))
    treated_from = next((number for number, epoch in schedule if epoch.mode in TREATMENTS), 0)
    schedule = schedule[: math.ceil(task.share * len(schedule))]
    for number, epoch in tqdm(schedule[len(progress.history) :], desc="epochs", mininterval=5, disable=None):
        if config.patience and progress.epochs_without_gain(treated_from) >= config.patience:
            break
        started = time.perf_counter()
        rate = set_learning_rate(optimisers[epoch.network], epoch, config)
        learner.module.eval()
        learner.start(epoch, windows)
        loss, drawn = train_epoch(learner, epoch, batches, steps, config, order)
        progress.updates[epoch.network] += len(drawn)
        progress.labels[epoch.network] += batches.labels(drawn)
        seconds = time.perf_counter() - started
        row = {
            "epoch": number,
            "network": epoch.network,
            "network_epoch": epoch.number,
            "updates": progress.updates[epoch.network],
            "labels": progress.labels[epoch.network],
            "mode": epoch.mode,
            "learning_rate": rate,
            "loss": loss,
        }
        learner.module.eval()
        progress.record(row | learner.evaluate(validation, sample) | {"seconds": seconds})
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


def train_epoch(
    learner: Learner, epoch: Epoch, batches: TrainingBatches, steps, config: NeuralConfig, order
) -> tuple[float, Draw]:
    """Train one epoch by `steps` (Steps or GraphedSteps); return its mean loss over steps and what it was trained on."""
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
