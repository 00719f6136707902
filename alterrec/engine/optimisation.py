"""One optimiser step, and what decides it: the optimiser, its learning rates, and the precision of products."""

import inspect
import math

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
    learner.update(optimiser)
    return loss.detach()


class Adam(torch.optim.Adam):
    """PyTorch's Adam without the wrappers that import PyTorch's compiler, because the import takes 2 s in every job."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


def make_optimiser(network: torch.nn.Module, config: NeuralConfig) -> torch.optim.Optimizer:
    """Adam, as in the authors' program, with one parameter group per branch.

    On a GPU its state and its learning rates are there, so that a CUDA graph can hold its step.
    """
    device = next(network.parameters()).device
    if device.type != "cuda":
        return Adam(branches(network), lr=config.learning_rate, fused=True)
    groups = [
        group | {"lr": torch.tensor(config.learning_rate, device=device)} for group in branches(network)
    ]
    return Adam(groups, fused=True, capturable=True)


def branches(network: torch.nn.Module) -> list[dict]:
    """The parameter groups of a network: the text branch inside a fusion comes last, after all other parameters.

    A parameter belongs to the text branch if its module is called `text` or `text_...`.
    """
    parameters: dict[bool, list] = {False: [], True: []}
    for name, parameter in network.named_parameters():
        parameters[name.startswith(("text.", "text_"))].append(parameter)
    return [{"text_branch": key, "params": found} for key, found in parameters.items() if found]


def set_learning_rate(optimiser: torch.optim.Optimizer, epoch: Epoch, config: NeuralConfig) -> float:
    """Set the epoch's learning rate of every branch; return that of the first one, the ID branch in a fusion."""
    rates = [branch_rate(epoch, group["text_branch"], config) for group in optimiser.param_groups]
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)  # in place: captured graphs read it where it is
        else:
            group["lr"] = rate
    return rates[0]


def branch_rate(epoch: Epoch, text_branch: bool, config: NeuralConfig) -> float:
    """The learning rate of a network, or of its text branch, in one of the network's own epochs.

    Without a `text_schedule` the text branch of a fusion decays when the rest of the network does.
    """
    every = config.id_decay_every
    if epoch.network == "text" or text_branch and config.text_schedule:
        every = config.text_decay_every
    if epoch.network == "text" or text_branch:
        config = config.of_text_network()
    if config.schedule == "cosine":
        return config.learning_rate * (1 + math.cos(math.pi * (epoch.number - 1) / config.epochs)) / 2
    drops = (epoch.number - 1) // every if config.schedule == "step" else 0
    return config.learning_rate * config.decay**drops


def autocast_for(config: NeuralConfig, device: torch.device) -> torch.autocast:
    """The context in which losses are computed: bfloat16 products if the settings ask for them, else none."""
    chosen = config.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=chosen, cache_enabled=False)
