"""What counts as a budget of a network, and when unequal budgets or a late treatment speak against a comparison."""

import numpy as np
import pandas as pd

from alterrec.inference.budgets import objection, run_budgets

NETWORKS = {
    "id_only": ["id"],
    "text_only": ["text"],
    "fusion_gate": ["joint"],
    "alterrec": ["id", "text"],
    "alterrec_aug": ["id", "text"],
}


def budgets(**changed: dict) -> pd.DataFrame:
    """300 updates and 9000 labels of every network with two seeds, and what is `changed` for a model."""
    rows = []
    for model, networks in NETWORKS.items():
        treated = 5.0 if "alterrec" in model else np.nan
        equal = {"updates": 300, "labels": 9000, "best_epoch": 9.0, "treated_epoch": treated}
        own = {"dataset": "d", "model": model} | equal | changed.get(model, {})
        rows += [own | {"seed": seed, "network": network} for seed in (1, 2) for network in networks]
    return pd.DataFrame(rows)


def test_equal_budgets_and_those_within_a_percent_allow_a_comparison():
    assert objection([*NETWORKS], budgets()) == ""
    assert objection([*NETWORKS], budgets(alterrec_aug={"updates": 303})) == ""
    assert objection([*NETWORKS], budgets(alterrec_aug={"updates": 304})) != ""


def test_only_the_compared_models_count():
    found = budgets(alterrec_aug={"labels": 1500})
    reason = "labels of the {} networks differ: 1,500 (alterrec_aug on d) to 9,000 (alterrec on d)"
    both = "; ".join(reason.format(kind) for kind in ("ID", "text"))
    assert objection(["alterrec", "alterrec_aug"], found) == both
    assert objection(["alterrec", "fusion_gate"], found) == ""


def test_networks_are_compared_with_networks_of_the_same_kind():
    found = budgets(text_only={"updates": 200})
    assert objection(["id_only", "text_only"], found) == ""
    reason = "updates of the text networks differ: 200 (text_only on d) to 300 (fusion_gate on d)"
    assert objection(["id_only", "text_only", "fusion_gate"], found) == reason


def test_a_model_kept_before_its_treatment_is_not_compared():
    early = budgets(alterrec_aug={"best_epoch": 4.0})
    reason = "the kept epoch of alterrec_aug precedes its treatment (seed 1, 2)"
    assert objection(["alterrec", "alterrec_aug"], early) == reason
    early.loc[early["seed"] == 1, "best_epoch"] = 5.0
    assert objection(["alterrec", "alterrec_aug"], early) == reason.replace("1, 2", "2")


def test_what_is_not_known_is_not_compared():
    assert objection([*NETWORKS], pd.DataFrame()) == ""
    assert objection([*NETWORKS], budgets(alterrec={"labels": np.nan, "best_epoch": np.nan})) == ""


def test_the_treated_epoch_is_each_networks_first_on_hard_negatives_or_additional_labels():
    modes = {"id": ["random", "hard", "hard"], "text": ["random", "random", "augmented"]}
    history = pd.DataFrame(
        [
            {
                "network": network,
                "epoch": 2 * turn + place,
                "mode": mode,
                "updates": 7 * turn,
                "labels": 60 * turn,
            }
            for place, (network, of_network) in enumerate(modes.items())
            for turn, mode in enumerate(of_network, 1)
        ]
    )
    table = run_budgets(history, {"id": 4, "text": 7}).set_index("network")
    assert table.loc["id"].to_dict() == {"updates": 21, "labels": 180, "best_epoch": 4, "treated_epoch": 4}
    assert table.loc["text"].to_dict() == {"updates": 21, "labels": 180, "best_epoch": 7, "treated_epoch": 7}
