"""One optimiser step, and what decides it: the optimiser, its learning rate, and the precision of products."""

import torch

from alterrec.engine.learner_interface import Epoch, Learner
from alterrec.engine.windows import Batch
from alterrec.study.settings import NeuralConfig


def train_step(
    learner: Learner, optimiser: torch.optim.Optimizer, batch: Batch, epoch: Epoch, autocast: torch.autocast
) -> torch.Tensor:
    """Update the epoch's network on one batch; return the batch's loss, detached."""
    optimiser.zero_grad(set_to_none=True)
    with autocast:
        loss = learner.loss(batch, epoch)
    loss.backward()
    optimiser.step()
    return loss.detach()


def make_optimiser(network: torch.nn.Module, config: NeuralConfig) -> torch.optim.Optimizer:
    """Adam, as in the authors' program; on a GPU with its state there, so that a CUDA graph can hold its step."""
    device = next(network.parameters()).device
    if device.type != "cuda":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    rate = torch.tensor(config.learning_rate, device=device)
    return torch.optim.Adam(network.parameters(), lr=rate, fused=True, capturable=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, epoch: Epoch, config: NeuralConfig) -> float:
    """Set and return the epoch's learning rate.

    The authors' step decay counts a network's own epochs. A network of both modalities decays as an ID network does.
    """
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


def autocast_for(config: NeuralConfig, device: torch.device) -> torch.autocast:
    """The context in which losses are computed: bfloat16 products if the settings ask for them, else none."""
    chosen = config.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=chosen, cache_enabled=False)
