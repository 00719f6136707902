"""One training loop for every neural model: batches, optimiser, diagnostics, early stopping."""

import copy
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from alterrec.batches import Batch, Windows
from alterrec.checkpoint import Checkpoint
from alterrec.config import ModelConfig, NeuralConfig
from alterrec.errors import UserError
from alterrec.graphs import GraphedSteps
from alterrec.learners import Epoch, Learner
from alterrec.memory import rows_at_once
from alterrec.ranking import hits
from alterrec.sessions import Dataset

logger = logging.getLogger(__name__)
SAMPLE = 1000  # training instances on which parts are compared, the same for all models of a dataset


@dataclass(frozen=True)
class Task:
    """What a model is given: a prepared dataset, its text vectors, its settings, its seed, the runs that it builds on.

    `text` is (vectors [M, w], text_of_item [N]) or None for a model that uses no text; `checkpoint` is where a killed run
    is gone on from.
    """

    dataset: Dataset
    config: ModelConfig
    seed: np.random.SeedSequence
    text: tuple[np.ndarray, np.ndarray] | None = None
    required: Mapping[str, Path] = field(default_factory=dict)
    device: torch.device = torch.device("cpu")
    checkpoint: Checkpoint | None = None

    def text_tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        vectors, text_of_item = self.text
        return torch.from_numpy(vectors).to(self.device), torch.from_numpy(text_of_item).to(self.device)

    def seed_torch(self) -> np.random.Generator:
        """Seed torch for initialisation, dropout and negatives; return the generator of the batches' order."""
        torch_seed, order = self.seed.generate_state(2, np.uint64)
        torch.manual_seed(int(torch_seed) & (2**63 - 1))
        return np.random.default_rng(order)


@dataclass
class Fitted:
    """A model that is ready to rank: its scorer, and what training left behind."""

    scorer: object
    history: list[dict] = field(default_factory=list)
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)


def fit(build, task: Task) -> Fitted:
    """Seed, `build` the learner (a function without arguments), and train it."""
    order = task.seed_torch()
    learner = build()
    learner.module.to(task.device)
    return train(learner, task, order)


class Progress:
    """What a training run has come to: weights, optimisers, the order's generator, history and the best epoch so far."""

    def __init__(self, learner: Learner, config: NeuralConfig, order: np.random.Generator):
        self.module, self.order = learner.module, order
        self.optimisers = {name: optimiser(network, config) for name, network in learner.networks.items()}
        self.updates = dict.fromkeys(learner.networks, 0)
        self.history: list[dict] = []
        self.best, self.best_epoch, self.best_weights = -1.0, 0, {}

    def record(self, row: dict) -> None:
        """Take in a finished epoch; keep its weights if they are the best."""
        self.history.append(row)
        if row["hits20"] > self.best:
            self.best, self.best_epoch = row["hits20"], row["epoch"]
            self.best_weights = copy.deepcopy(self.module.state_dict())

    def state(self) -> dict:
        return {
            "weights": self.module.state_dict(),
            "optimisers": {name: each.state_dict() for name, each in self.optimisers.items()},
            "order": self.order.bit_generator.state,
            "updates": self.updates,
            "history": self.history,
            "best": [self.best, self.best_epoch, self.best_weights],
        }

    def restore(self, state: dict) -> None:
        self.module.load_state_dict(state["weights"])
        for name, each in self.optimisers.items():
            each.load_state_dict(state["optimisers"][name])
            for group in each.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"] = group["lr"].to(next(self.module.parameters()).device)
        self.order.bit_generator.state = state["order"]
        self.updates, self.history = state["updates"], state["history"]
        self.best, self.best_epoch, self.best_weights = state["best"]


def train(learner: Learner, task: Task, order: np.random.Generator) -> Fitted:
    """Train until the schedule or the patience ends; keep the weights of the best validation Hits@20.

    With a checkpoint, every finished epoch is saved, and a run that was killed goes on after its last one.
    """
    config, dataset = task.config, task.dataset
    windows = Windows(dataset, ("train",), config.max_length, task.device)
    validation = Windows(dataset, ("validation",), config.max_length, task.device)
    if not windows.instances or not validation.instances:
        raise UserError(
            "no training or no validation instances: the dataset's split leaves one of them empty"
        )
    sample = instance_sample(windows, dataset.catalogue_size)
    progress = Progress(learner, config, order)
    saved = task.checkpoint.load() if task.checkpoint else None
    if saved:
        progress.restore(saved)
        logger.info("going on after epoch %d", len(progress.history))
    on_gpu = task.device.type == "cuda"
    steps = (GraphedSteps if on_gpu else Steps)(learner, progress.optimisers, factors(config, task.device))
    schedule = list(enumerate(learner.schedule(config), 1))
    for number, epoch in tqdm(schedule[len(progress.history) :], desc="epochs", mininterval=5, disable=None):
        if number > 1 and number - 1 - progress.best_epoch >= config.patience:
            break
        started = time.perf_counter()
        rate = set_learning_rate(progress.optimisers[epoch.network], epoch, config)
        learner.module.eval()
        learner.start(epoch, windows)
        loss, taken = run_epoch(learner, epoch, windows, steps, config, order)
        progress.updates[epoch.network] += taken
        seconds = time.perf_counter() - started
        row = {
            "epoch": number,
            "network": epoch.network,
            "network_epoch": epoch.number,
            "updates": progress.updates[epoch.network],
            "objective": epoch.objective,
            "learning_rate": rate,
            "loss": loss,
        }
        progress.record(
            row | evaluate(learner, validation, sample, dataset.catalogue_size) | {"seconds": seconds}
        )
        log_epoch(progress.history[-1])
        if task.checkpoint:
            task.checkpoint.save(progress.state())
    learner.module.load_state_dict(progress.best_weights)
    facts = {"best_epoch": progress.best_epoch, "epochs": len(progress.history)}
    return Fitted(learner, progress.history, progress.best_weights, facts)


def evaluate(learner: Learner, validation: Windows, sample: Batch, items: int) -> dict[str, float]:
    """Validation Hits@20 of the model and its parts, the parts' losses and shares, dropout off."""
    learner.module.eval()
    found = hits(learner.scores, validation, items)
    parts = {f"{part}_hits20": found[part] for part in ("id", "text") if part in found}
    return {"hits20": found["model"]} | parts | part_losses(learner, sample) | learner.shares(sample)


def log_epoch(row: dict) -> None:
    values = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
    logger.info("%s", " ".join(values))


class Steps:
    """Runs epochs of a learner step by step; losses are computed under `factors`."""

    def __init__(
        self, learner: Learner, optimisers: dict[str, torch.optim.Optimizer], factors: torch.autocast
    ):
        self.learner, self.optimisers, self.factors = learner, optimisers, factors

    def run(self, epoch: Epoch, windows: Windows, pieces: Iterable, instances: int, limit: int | None):
        """Train on the pieces (rows and views of one batch each), at most `limit`; the mean loss and the steps."""
        optimiser, total, steps = self.optimisers[epoch.network], 0.0, 0
        for rows, view in islice(pieces, limit):
            batch = windows.batch(*(torch.from_numpy(part).to(windows.start.device) for part in (rows, view)))
            optimiser.zero_grad(set_to_none=True)
            with self.factors:
                loss = self.learner.loss(batch, epoch)
            loss.backward()
            optimiser.step()
            total, steps = total + loss.detach(), steps + 1
        return float(total) / steps, steps


def run_epoch(
    learner: Learner, epoch: Epoch, windows: Windows, steps, config: NeuralConfig, order
) -> tuple[float, int]:
    """Train one epoch by `steps` (Steps or GraphedSteps); return its mean loss over steps and their number."""
    network = learner.networks[epoch.network].train()
    pieces = windows.shuffled_rows(config.batch_size, order, learner.views(epoch))
    limit = learner.steps(epoch, windows.batches(config.batch_size))
    mean, taken = steps.run(epoch, windows, pieces, config.batch_size, limit)
    network.eval()
    if not np.isfinite(mean):
        raise UserError(
            f"the training loss of epoch {epoch.number} is {mean}: lower learning_rate ({config.learning_rate})"
        )
    return mean, taken


def factors(config: NeuralConfig, device: torch.device) -> torch.autocast:
    """The context in which a training step's losses are computed: bfloat16 products, or nothing."""
    chosen = config.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=chosen, cache_enabled=False)


def optimiser(network: torch.nn.Module, config: NeuralConfig) -> torch.optim.Optimizer:
    device = next(network.parameters()).device
    if device.type != "cuda":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    rate = torch.tensor(config.learning_rate, device=device)
    return torch.optim.Adam(network.parameters(), lr=rate, fused=True, capturable=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, epoch: Epoch, config: NeuralConfig) -> float:
    """The authors' step decay counts a network's own epochs; a joint network decays as an ID network."""
    every = config.id_decay_every
    if epoch.network == "text":
        config, every = config.of_text_network(), config.text_decay_every
    drops = (epoch.number - 1) // every if config.schedule == "step" else 0
    rate = config.learning_rate * config.decay**drops
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)  # in place: captured graphs read it where it is
        else:
            group["lr"] = rate
    return rate


def instance_sample(windows: Windows, items: int) -> Batch:
    """About SAMPLE training instances (fewer for a huge catalogue) that do not depend on a model's seed."""
    wanted = min(SAMPLE, 8 * rows_at_once(items, windows.flat.device))
    return windows.sample(wanted, np.random.default_rng(0))


def part_losses(learner: Learner, sample: Batch) -> dict[str, float]:
    """Full-softmax cross-entropy of each part on the sample, dropout off."""
    with torch.no_grad():
        scores = learner.scores(sample)
    parts = [part for part in ("id", "text") if part in scores]
    return {f"{part}_loss": float(F.cross_entropy(scores[part], sample.target)) for part in parts}
