"""Why naive fusion is imbalanced: how each part learns inside a fusion, and how much better it is alone."""

from collections.abc import Iterable

import pandas as pd

from alterrec.analysis.summary_schema import COLUMNS
from alterrec.inference.outcomes import Outcomes
from alterrec.inference.statistics import compare
from alterrec.ranking.rank_file import PARTS

ALONE = {"id": "id_only", "text": "text_only"}
KEYS = ["dataset", "model", "seed", "network", "network_epoch", "updates"]
OF_A_PART = ["hits20", "loss", "gradient_norm", "update_size"]
RELATIVE = {"gradient_norm": "gradient_ratio", "update_size": "update_ratio"}


def parts_of_history(history: pd.DataFrame, parts: Iterable[str] = PARTS) -> pd.DataFrame:
    """One row per epoch and part, from histories with dataset, model and seed.

    hits20 is the part's validation Hits@20, loss its full-softmax cross-entropy on the fixed sample. gradient_norm and
    update_size are those of the part's branch (alterrec/method/branches.py). score_share is the part's share of the
    spread of scores.
    """
    measured = [f"{part}_{what}" for part in PARTS for what in OF_A_PART]
    history = history.reindex(columns=[*KEYS, *measured, "id_score_share"])  # older runs lack some of them
    frames = []
    for part in parts:
        share = history["id_score_share"]
        measures = {what: history[f"{part}_{what}"] for what in OF_A_PART}
        measures["score_share"] = share if part == "id" else 1 - share
        frames.append(history[KEYS].assign(part=part, **measures))
    return pd.concat(frames, ignore_index=True)


def imbalance_table(history: pd.DataFrame, models: dict[str, dict]) -> pd.DataFrame:
    """Both parts of every fusion by epoch, and id_only and text_only as the parts trained alone."""
    fusions = [model for model, about in models.items() if about.get("family") == "fusion"]
    frames = [parts_of_history(history[history["model"].isin(fusions)])]
    frames += [parts_of_history(history[history["model"] == model], [part]) for part, model in ALONE.items()]
    table = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    table = table.dropna(subset=["hits20", "loss"], how="all").reset_index(drop=True)
    return relative_to_alone(table)


def relative_to_alone(table: pd.DataFrame) -> pd.DataFrame:
    """Add each branch's gradient and update over those of the network alone: its mean over seeds at the same own epoch.

    An epoch that no seed of the network alone reached has no ratio.
    """
    keys = ["dataset", "part", "network_epoch"]
    alone = table[table["model"].isin(ALONE.values())].groupby(keys, as_index=False)[list(RELATIVE)].mean()
    beside = table[keys].merge(alone, how="left", on=keys)
    return table.assign(**{ratio: table[value] / beside[value] for value, ratio in RELATIVE.items()})


def undertraining_table(outcomes: Outcomes) -> pd.DataFrame:
    """Test Hits@20 of a part trained alone minus that of the same part inside a fusion or method.

    The 95 % interval and p answer question (ii). A positive gap says that the part is worse when trained together.
    """
    rows = []
    for model in outcomes.in_family("fusion", "method"):
        for part, alone_model in ALONE.items():
            if alone_model in outcomes and outcomes.has_part(model, part):
                alone, inside = outcomes.sums(alone_model), outcomes.sums(model, part=part)
                gap = compare(alone, inside).method
                low, high = gap.interval()
                row = {"dataset": outcomes.name, "model": model, "part": part}
                row |= {"alone": alone.mean, "inside": inside.mean}
                rows.append(row | {"gap": gap.value, "low": low, "high": high, "p": gap.p})
    return pd.DataFrame(rows, columns=COLUMNS["undertraining"])
