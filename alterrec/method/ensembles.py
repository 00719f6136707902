"""Models made of trained networks: read the network of another run, and blend two scores."""

from dataclasses import replace

import safetensors.torch
import torch

from alterrec.engine.contract import Fitted, Task
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.files import read_json
from alterrec.method.networks import UniModalNetwork, id_network, text_network
from alterrec.ranking.blending import choose_blend
from alterrec.ranking.stacking import learn_stack
from alterrec.study.provenance import WEIGHTS, refuse_damaged
from alterrec.study.settings import NeuralConfig, TextConfig


def trained_network(task: Task, model: str) -> UniModalNetwork:
    """The network of the required run of a model that trains one network, in evaluation mode."""
    folder, items = task.required[model], task.dataset.catalogue_size
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{weights} is missing: delete the folder of this run, so that it is trained again")
    refuse_damaged(folder, WEIGHTS)
    state = safetensors.torch.load_file(weights)
    (name,) = {key.split(".")[0] for key in state}  # "id" or "text"
    kind = NeuralConfig if name == "id" else TextConfig
    settings = read_json(folder / "spec.json")["config"]
    config = kind(**{key: value for key, value in settings.items() if key in kind.model_fields})
    network = id_network(items, config) if name == "id" else text_network(*task.text_tensors(), config)
    network.load_state_dict({key.removeprefix(f"{name}."): value for key, value in state.items()})
    return network.to(task.device).eval()


def blended(fitted: Fitted, parts, names: tuple[str, str], task: Task) -> Fitted:
    """`fitted` with the scorer that blends the two named `parts` as the task's configuration says."""
    validation = Windows(task.dataset, ("validation",), task.config.max_length, task.device)
    with torch.no_grad():
        scorer = choose_blend(parts, names, task.config, validation)
    return replace(fitted, scorer=scorer, facts=fitted.facts | {"blend": scorer.kind, "alpha": scorer.alpha})


def stacked(parts, models: int, task: Task) -> Fitted:
    """The scorer that adds the scores of so many base `models`, as `parts` gives them, with weights learned on validation."""
    validation = Windows(task.dataset, ("validation",), task.config.max_length, task.device)
    stack = learn_stack(parts, models, validation)
    return Fitted(stack, facts={"stack_weights": stack.weights.tolist()})
