"""What a stored run recommends after some items: the best items of the catalogue, with their scores and parts."""

from pathlib import Path

import pandas as pd
import safetensors.torch
import torch

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.engine.windows import Batch, Layout
from alterrec.errors import UserError, nearest
from alterrec.execute import fit_model
from alterrec.files import read_json
from alterrec.study.provenance import WEIGHTS, changed_inputs, is_complete, refuse_damaged, required_runs


def recommend(run: Path, items: list[str], k: int) -> pd.DataFrame:
    """The `k` best items after the `items` (ids, oldest first) by the model of a stored run, best first.

    One row per item: item (its id), title (the first line of its text), score, and the scores of the model's parts
    where it has any. The prepared dataset is read from the study of the run, as are the runs that an ensemble needs.
    UserError if the folder holds no run, if the dataset or another input of the run has changed since, or if an item is
    unknown.
    """
    if k < 1:
        raise UserError(f"-k {k}: give the number of items to recommend, at least 1")
    run = run.resolve()
    require_run(run)
    spec, facts = read_json(run / "spec.json"), read_json(run / "metrics.json")
    for member in required_runs(registry.model(spec["base"], spec["baselines"]), run).values():
        require_run(member)
    data = run.parents[3] / "data" / spec["dataset"]
    if changed := changed_inputs(spec, data, run):
        raise UserError(
            f"{run}: its {' and '.join(changed)} changed since it was made, or cannot be found: restore what it was made "
            "from, or delete this folder, so that the run is trained again"
        )
    chosen = {key: facts[key] for key in ("blend", "alpha") if key in facts}  # not chosen on validation again
    weights = safetensors.torch.load_file(run / WEIGHTS)
    fitted, task = fit_model(spec | {"config": spec["config"] | chosen}, data, run, weights=weights)
    prefix = rows_of(items, task.dataset, data)[-task.config.max_length :]
    with torch.inference_mode():
        scores = fitted.scorer.scores(prefix_batch(prefix, task.device))
    best = scores["model"][0].topk(min(k, task.dataset.catalogue_size)).indices.cpu()
    rows = best.numpy()
    parts = {part: values[0].cpu()[best].numpy() for part, values in scores.items() if part != "model"}
    titles = [text.partition("\n")[0] for text in task.dataset.text[rows]]
    columns = {"item": task.dataset.item_id[rows], "title": titles, "score": scores["model"][0].cpu()[best]}
    return pd.DataFrame(columns | (parts if len(parts) > 1 else {}))


def require_run(run: Path) -> None:
    if not is_complete(run):
        raise UserError(
            f"{run} is no finished run: name a folder such as results/demo/runs/DATASET/MODEL/seed-1"
        )
    if not (run / WEIGHTS).is_file():
        raise UserError(
            f"{run} was stored without its weights: delete this folder, so that the run is trained again"
        )
    refuse_damaged(run, WEIGHTS)


def rows_of(items: list[str], dataset: Dataset, data: Path) -> list[int]:
    """The row numbers of item ids in the catalogue. UserError with the nearest known id for an unknown one."""
    known = {item: row for row, item in enumerate(dataset.item_id)}
    for item in items:
        if item not in known:
            raise UserError(f"{data / 'items.parquet'} has no item {item!r}{nearest(item, known)}")
    return [known[item] for item in items]


def prefix_batch(prefix: list[int], device: torch.device) -> Batch:
    """A batch of one instance, the end of the prefix. Its target is not known: 0 stands for it."""
    nothing = torch.zeros(1, dtype=torch.long, device=device)
    layout = Layout.of(((1, len(prefix)),), device)
    tokens = torch.tensor(prefix, device=device)
    return Batch(
        tokens, layout, state=nothing + len(prefix) - 1, target=nothing, instance=nothing, view=nothing
    )
