"""Every registered model, new ones included: shapes, determinism, save and load, planted patterns, bad input."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from alterrec import registry
from alterrec.engine.contract import Fitted, Scorer, Task
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.files import write_json
from alterrec.method.ensembles import trained_network
from alterrec.ranking.rank import rank
from alterrec.ranking.rank_file import check_ranks
from alterrec.ranking.validation_hits import mean_hits
from alterrec.sequence_models.frequency_fusion import FrequencyFusion
from tests.planted import (
    CPU,
    dataset,
    hits_of_test_instances,
    id_signal,
    no_signal,
    text_signal,
    word_vectors,
)

MODELS = {name: model for name, model in registry.models().items() if not model.external}
TEXT_ALONE = ("text_only", "text_only_sampled", "unisrec", "whitenrec")
TEXT_TIMES_ID = ("tedrec",)
"""The models whose texts reach the scores only as factors of ID vectors. Those of rare items are nearly as they were drawn,
with mean zero and random signs, so the products of one topic's items have nothing in common. IDs shifted by 1 pass the texts
on, as a test below shows. In the same experiment (Hits@10 of two seeds, chance 1.7 %) tedrec has 5.6 and 1.7 %, shifted 15.2
and 17.4 %, with texts added to the fusion 15.2 and 19.1 %; without the filter 4.5 and 1.1 %, and with IDs and texts ten times
as large 2.2 and 1.7 %, so neither the filter nor the scale is the main reason."""
NEURAL = [name for name, model in MODELS.items() if "learning_rate" in model.module.Config.model_fields]
OF_THE_PREFIX = [name for name in MODELS if name not in ("random", "oracle")]
"""The models whose scores follow from the prefix: random scores are drawn anew, and the oracle reads the target."""
SMALL = {"dimension": 16, "heads": 2, "blocks": 1, "epochs": 4, "batch_size": 64, "learning_rate": 0.01}
SMALL |= {"schedule": "constant", "initialisation": "xavier", "dropout": 0.1}
SMALL |= {"k1": 5, "m_gap": 1, "m_random": 2}


def task(name: str, data, folder: Path, seed: int = 1, text=None, **settings) -> Task:
    """A small task, on the words of the texts where no other vectors are given as `text`.

    The runs that the model requires are trained first and saved in `folder`.
    """
    model = MODELS[name]
    text = text or word_vectors(data)
    fields = model.module.Config.model_fields
    config = model.module.Config(**{k: v for k, v in (SMALL | settings).items() if k in fields})
    required = {other: folder / f"{other}-{seed}" for other in model.requires}
    for other, run in required.items():
        if not run.exists():
            other_task = task(other, data, folder, seed, text, **settings)
            save(fit(other, other_task), other_task, run)
    return Task(data, config, seed_sequence("data", name, seed), text, required=required)


def fit(name: str, task: Task) -> Fitted:
    torch.set_num_threads(1)
    return MODELS[name].module.fit(task)


def save(fitted: Fitted, task: Task, folder: Path) -> None:
    folder.mkdir()
    safetensors.torch.save_file(fitted.state, folder / "weights.safetensors")
    write_json(folder / "spec.json", {"config": task.config.model_dump(mode="json")})


def hits_at_10(name: str, data, folder: Path, **settings) -> float:
    """Test Hits@10 of the trained model."""
    fitted = fit(name, task(name, data, folder, **settings))
    return float(hits_of_test_instances(fitted.scorer, data, 10).mean())


@pytest.mark.parametrize("name", MODELS)
def test_ranks_are_complete_and_reproducible(name, tmp_path):
    data = no_signal(items=60, sessions=120)
    results = [rank(fit(name, task(name, data, tmp_path, epochs=2)).scorer, data, 50, CPU) for _ in range(2)]
    check_ranks(results[0][0], data, name)
    for first, second in zip(*results, strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.parametrize("name", [name for name in MODELS if not MODELS[name].deterministic])
def test_seeds_differ(name, tmp_path):
    data = no_signal(items=60, sessions=120)
    first, second = (
        rank(fit(name, task(name, data, tmp_path, seed, epochs=2)).scorer, data, 50, CPU)[0]
        for seed in (1, 2)
    )
    assert not first["above"].equals(second["above"])


@pytest.mark.parametrize("name", NEURAL)
def test_every_parameter_is_trained_and_saved(name, tmp_path):
    data = id_signal(sessions=150)
    fitted = fit(name, task(name, data, tmp_path, epochs=2))
    assert fitted.state and all(torch.isfinite(value).all() for value in fitted.state.values())
    assert not any(key.endswith(("text_of_item", "column_of_item")) for key in fitted.state)
    stored = any(key.endswith(".text") for key in fitted.state)
    assert stored == (name in ("alphafuse", "sasrec_delta")), (
        "only coordinates along axes are stored, not texts"
    )
    history = pd.DataFrame(fitted.history)
    assert {
        "epoch",
        "network",
        "network_epoch",
        "updates",
        "labels",
        "mode",
        "learning_rate",
        "loss",
        "hits20",
    } <= set(history)
    assert history.groupby("network")["network_epoch"].max().eq(2).all()


@pytest.mark.parametrize("name", [n for n in NEURAL if n not in TEXT_ALONE])
def test_learns_a_cycle_of_ids_when_all_items_share_one_text(name, tmp_path):
    data = id_signal()
    hits = hits_at_10(name, data, tmp_path, epochs=8, alpha="validation", blend="validation")
    assert hits > 0.8, f"Hits@10 {hits:.3f}; chance is {10 / 60:.3f}"


@pytest.mark.parametrize("name", ["markov", "item_knn", "sequential_rules", "vsknn", "stan"])
def test_a_model_without_learning_finds_a_cycle_of_ids(name, tmp_path):
    hits = hits_at_10(name, id_signal(), tmp_path)
    assert hits > 0.8, f"Hits@10 {hits:.3f}; chance is {10 / 60:.3f}"


@pytest.mark.parametrize("name", [n for n in NEURAL if MODELS[n].uses_text and n not in TEXT_TIMES_ID])
def test_learns_topics_that_only_texts_name(name, tmp_path):
    data = text_signal()
    # after 12 epochs whitenrec is at 3 to 9 %, with the seed; after 24 at 6 to 12 %
    settings = {"epochs": 24 if name == "whitenrec" else 12, "learning_rate": 0.003, "batch_size": 32}
    settings |= {"alpha": "validation", "blend": "validation"}
    hits = hits_at_10(name, data, tmp_path, **settings)
    assert hits > 3 * 10 / 600, f"Hits@10 {hits:.3f}; chance is {10 / 600:.3f}"


def test_texts_reach_tedrec_where_ids_have_a_mean(tmp_path, monkeypatch):
    settings = {"seed": 2, "epochs": 12, "learning_rate": 0.003, "batch_size": 32}
    as_it_is = hits_at_10("tedrec", text_signal(), tmp_path, **settings)
    fuse = FrequencyFusion.forward  # texts are zero behind a prefix
    monkeypatch.setattr(
        FrequencyFusion, "forward", lambda own, ids, texts: fuse(own, ids + (texts != 0), texts)
    )
    assert as_it_is < 3 * 10 / 600 < hits_at_10("tedrec", text_signal(), tmp_path, **settings)


def test_the_modality_with_the_signal_wins(tmp_path):
    text, ids = text_signal(), id_signal()
    hits = {
        (name, label): hits_at_10(name, data, tmp_path / label, epochs=12, batch_size=32)
        for label, data in (("text", text), ("id", ids))
        for name in ("id_only", "text_only")
    }
    assert hits["text_only", "text"] > 1.5 * hits["id_only", "text"], "1.8 to 4 times as high in six seeds"
    assert hits["id_only", "id"] > 0.8
    assert hits["text_only", "id"] == pytest.approx(10 / 60, abs=1e-9)  # all items share one text and tie


@pytest.mark.parametrize("name", [n for n in MODELS if n != "oracle"])
def test_without_signal_every_model_is_at_chance(name, tmp_path):
    data = no_signal(items=200, sessions=1500)
    fitted = fit(name, task(name, data, tmp_path, epochs=2))
    hits = hits_of_test_instances(fitted.scorer, data, 20)
    error = max(hits.std(), 0.05) / np.sqrt(len(hits))
    assert abs(hits.mean() - 20 / 200) < 4 * error


def test_saved_networks_score_like_the_trained_ones(tmp_path):
    data = id_signal(sessions=150)
    for name in ("id_only", "text_only", "id_only_sampled", "text_only_sampled"):
        own = task(name, data, tmp_path, epochs=2)
        fitted = fit(name, own)
        save(fitted, own, tmp_path / name)
        network = trained_network(replace(own, required={name: tmp_path / name}), name)
        batch = next(Windows(data, ("test",), 50, CPU).in_order(20))
        with torch.no_grad():
            assert torch.equal(network(batch), fitted.scorer.scores(batch)["model"])


@pytest.mark.parametrize("part", ["id", "text"])
def test_separate_choice_keeps_each_network_at_its_own_best_epoch(part, tmp_path):
    data = id_signal(sessions=150)
    fitted = fit("alterrec_separate", task("alterrec_separate", data, tmp_path, epochs=4))
    history = pd.DataFrame(fitted.history)
    own = history[history["network"] == part]
    best = own.loc[own[f"{part}_hits20"].idxmax()]
    assert fitted.facts["kept_epochs"][part] == best["epoch"]
    hits = mean_hits(fitted.scorer.scores, Windows(data, ("validation",), 50, CPU))
    assert hits[part] == best[f"{part}_hits20"]


def test_oracle_is_the_ceiling(tmp_path):
    data = no_signal(items=60, sessions=60)
    ranks, *_ = rank(fit("oracle", task("oracle", data, tmp_path)).scorer, data, 50, CPU)
    assert (ranks["above"] == 0).all() and (ranks["ties"] == 0).all()


def test_parts_of_score_fusion_add_up(tmp_path):
    data = text_signal(sessions=150)
    fitted = fit("fusion_score", task("fusion_score", data, tmp_path, epochs=1))
    batch = next(Windows(data, ("test",), 50, CPU).in_order(20))
    with torch.no_grad():
        scores = fitted.scorer.scores(batch)
    assert torch.equal(scores["model"], scores["id"] + scores["text"])


def test_diverged_training_is_refused(tmp_path):
    data = no_signal(items=60, sessions=120)
    own = task("id_only", data, tmp_path, epochs=1)
    broken = own.config.model_copy(update={"learning_rate": float("inf")})
    with pytest.raises(UserError, match="lower learning_rate"):
        fit("id_only", replace(own, config=broken))


@pytest.mark.parametrize("name", ["id_only", "text_only", "fusion_gate", "fusion_score", "alterrec"])
def test_cached_item_vectors_are_never_stale(name, tmp_path):
    data = text_signal()
    own = task(name, data, tmp_path, epochs=2)
    fitted = fit(name, own)
    windows = Windows(data, ("test",), 50, CPU)
    batch = windows.batch(torch.arange(3))
    with torch.inference_mode():
        cached = fitted.scorer.scores(batch)
    fresh = fitted.scorer.scores(batch)  # with gradients nothing is cached
    for part in cached:
        torch.testing.assert_close(cached[part], fresh[part], rtol=0, atol=1e-5)
    best = max(row["hits20"] for row in fitted.history)
    again = mean_hits(fitted.scorer.scores, Windows(data, ("validation",), 50, CPU))["model"]
    if name != "alterrec":  # its blend is chosen after training
        assert again == best


def with_cold_items(data, cold: int):
    """The same sessions, but training lacks the last `cold` items of the catalogue."""
    warm = data.catalogue_size - cold
    sessions = [data.items_of(session) for session in range(len(data.split))]
    pairs = zip(sessions, data.split, strict=True)
    walks = [session % warm if split == "train" else session for session, split in pairs]
    return dataset(walks, list(data.split), list(data.text))


WITH_COLD_ITEMS = with_cold_items(no_signal(items=30, sessions=120), cold=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[str], Scorer]:
    """Name -> the model, trained for an epoch on WITH_COLD_ITEMS, once."""
    folder = tmp_path_factory.mktemp("trained")
    return cache(lambda name: fit(name, task(name, WITH_COLD_ITEMS, folder, epochs=1)).scorer)


def scores_by_instance(scorer: Scorer, data, rows: Callable = lambda rows: rows) -> torch.Tensor:
    """[I, N] scores of the test instances in the order of the data, computed in a batch of windows `rows(all)`."""
    windows = Windows(data, ("test",), 50, CPU)
    batch = windows.batch(rows(torch.arange(len(windows))))
    with torch.inference_mode():
        return scorer.scores(batch)["model"][batch.instance.argsort()]


@pytest.mark.parametrize("name", OF_THE_PREFIX)
def test_the_order_and_the_padding_of_a_batch_change_no_score(name, trained):
    scorer = trained(name)
    together = scores_by_instance(scorer, WITH_COLD_ITEMS)
    backwards = scores_by_instance(scorer, WITH_COLD_ITEMS, lambda rows: rows.flip(0))
    torch.testing.assert_close(backwards, together, rtol=1e-5, atol=1e-5)
    windows = Windows(WITH_COLD_ITEMS, ("test",), 50, CPU)
    alone = [
        scores_by_instance(scorer, WITH_COLD_ITEMS, lambda rows, i=i: rows[[i]]) for i in range(len(windows))
    ]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OF_THE_PREFIX)
def test_later_items_leave_the_scores_of_earlier_prefixes_equal_bit_for_bit(name, trained):
    data = WITH_COLD_ITEMS
    last_read = data.offsets[1:] - 2  # the last item of a session that is part of a prefix
    flat = data.flat.copy()
    flat[last_read] = (flat[last_read] + 1) % data.catalogue_size
    target = np.sort(
        Windows(data, ("test",), 50, CPU).batch(torch.arange(sum(data.split == "test"))).instance.numpy()
    )
    earlier = torch.from_numpy(~np.isin(target - 1, last_read))
    before, after = (scores_by_instance(trained(name), d) for d in (data, replace(data, flat=flat)))
    assert earlier.any() and torch.equal(before[earlier], after[earlier])
    if name != "popularity":
        assert not torch.equal(before[~earlier], after[~earlier])


@pytest.mark.parametrize("name", MODELS)
def test_cold_items_are_ranked(name, trained):
    data = WITH_COLD_ITEMS
    cold = np.flatnonzero(data.train_count == 0)
    ranks, *_ = rank(trained(name), data, 50, CPU)
    check_ranks(ranks, data, name)
    before_target = data.flat[data.offsets[ranks["session"]] + ranks["position"] - 1]
    assert ranks["target"].isin(cold).any() and np.isin(before_target, cold).any()


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_setting_is_refused_by_its_name(name):
    with pytest.raises(ValidationError, match="no_such_setting"):
        MODELS[name].module.Config(no_such_setting=1)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].uses_text])
def test_text_vectors_that_are_no_numbers_are_refused(name, tmp_path):
    data = no_signal(items=30, sessions=60)
    own = task(name, data, tmp_path, epochs=2)  # one may be of a pre-training on texts
    vectors, text_of_item = own.text
    broken = replace(own, text=(np.full_like(vectors, np.nan), text_of_item))
    with pytest.raises(UserError, match="NaN|lower learning_rate"):
        rank(fit(name, broken).scorer, data, 50, CPU)
