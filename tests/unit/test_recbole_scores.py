"""With equal weights, a model has the scores of RecBole 1.2.1's model of the same name.

It runs where RecBole is installed; results/reference/bench/recbole/README.md says how.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alterrec.engine.windows import Windows
from tests.planted import CPU, dataset, random_splits
from tests.unit.test_baselines import fit, task

pytest.importorskip("recbole", reason="RecBole is not installed")

ITEMS, LENGTH, WIDTH = 40, 12, 16
Weights = dict[str, torch.Tensor]


def with_padding(vectors: torch.Tensor) -> torch.Tensor:
    """RecBole's item 0 is no item, so each of ours has the next number there."""
    return torch.cat([torch.zeros_like(vectors[:1]), vectors])


def renamed(own: Weights, names: dict[str, str]) -> Weights:
    """The weights and biases of the layers in `names`, under RecBole's names of these layers."""
    return {
        f"{other}.{kind}": own[f"{name}.{kind}"]
        for name, other in names.items()
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in own
    }


def transformer(own: Weights, prefix: str = "") -> Weights:
    found = {f"{prefix}position_embedding.weight": own["encoder.position"]}
    found |= renamed(own, {"encoder.norm": f"{prefix}LayerNorm"})
    return found | blocks(own, "encoder", f"{prefix}trm_encoder")


def blocks(own: Weights, encoder: str, others: str) -> Weights:
    found = {}
    for block in range(2):
        name, other = f"{encoder}.blocks.{block}.", f"{others}.layer.{block}."
        for kind in ("weight", "bias"):
            parts = own[f"{name}qkv.{kind}"].chunk(3)
            for part, values in zip(("query", "key", "value"), parts, strict=True):
                found[f"{other}multi_head_attention.{part}.{kind}"] = values
        layers = {
            "out": "multi_head_attention.dense",
            "attention_norm": "multi_head_attention.LayerNorm",
            "up": "feed_forward.dense_1",
            "down": "feed_forward.dense_2",
            "norm": "feed_forward.LayerNorm",
        }
        found |= renamed(own, {name + layer: other + theirs for layer, theirs in layers.items()})
    return found


def sasrec(own: Weights) -> Weights:
    return transformer(own)


def core(own: Weights) -> Weights:
    return transformer(own, "net.") | renamed(own, {"weight": "net.fn"})


def bert4rec(own: Weights) -> Weights:
    head = renamed(own, {"head": "output_ffn", "head_norm": "output_ln"})
    return transformer(own) | head | {"output_bias": F.pad(own["bias"], (1, 0))}


def gru4rec(own: Weights) -> Weights:
    """RecBole's GRU and scores have no biases, which the test sets to 0; its output layer is left out by an identity."""
    gru = {f"gru_layers.{kind}": own[f"gru.{kind}"] for kind in ("weight_ih_l0", "weight_hh_l0")}
    return gru | {"dense.weight": torch.eye(WIDTH), "dense.bias": torch.zeros(WIDTH)}


def narm(own: Weights) -> Weights:
    layers = {"of_state": "a_1", "of_last": "a_2", "weight": "v_t", "project": "b"}
    return renamed(own, layers) | {f"gru.{k}": own[f"gru.{k}"] for k in ("weight_ih_l0", "weight_hh_l0")}


def sr_gnn(own: Weights) -> Weights:
    """RecBole's update gate is the complement of that of PyTorch's GRU cell: its weights have the opposite sign."""
    gate = {}
    for short in ("ih", "hh"):
        for letter, kind in (("w", "weight"), ("b", "bias")):
            reset, update, new = own[f"gate.{kind}_{short}"].chunk(3)
            gate[f"gnn.{letter}_{short}"] = torch.cat([reset, -update, new])
    layers = {"received": "gnn.linear_edge_in", "sent": "gnn.linear_edge_out"}
    layers |= {"of_last": "linear_one", "of_item": "linear_two"}
    layers |= {"weight": "linear_three", "project": "linear_transform"}
    biases = {"gnn.b_iah": own["received_bias"], "gnn.b_ioh": own["sent_bias"]}
    return renamed(own, layers) | biases | gate


def fdsa(own: Weights) -> Weights:
    """RecBole's two transformers share their positions, and one LayerNorm that comes after them too."""
    own["of_texts.position"].copy_(own["of_ids.position"])  # in place: the network's own
    for kind in ("weight", "bias"):
        own[f"norm.{kind}"].normal_()
        for encoder in ("of_ids", "of_texts"):
            own[f"{encoder}.norm.{kind}"].copy_(own[f"norm.{kind}"])
    found = {"position_embedding.weight": own["of_ids.position"]}
    found |= renamed(own, {"norm": "LayerNorm", "join": "concat_layer"})
    return found | blocks(own, "of_ids", "item_trm_encoder") | blocks(own, "of_texts", "feature_trm_encoder")


MODELS: dict[str, tuple[str, Callable[[Weights], Weights]]] = {
    "sasrec_softmax": ("SASRec", sasrec),
    "gru4rec": ("GRU4Rec", gru4rec),
    "narm": ("NARM", narm),
    "core": ("CORE", core),
    "sr_gnn": ("SRGNN", sr_gnn),
    "bert4rec": ("BERT4Rec", bert4rec),
    "fdsa": ("FDSA", fdsa),
    "s3rec": ("S3Rec", transformer),
}


def recboles(name: str, positions: int) -> torch.nn.Module:
    """RecBole's model with the sizes of the test, without its files of settings and data."""
    from recbole.model import sequential_recommender

    settings = {"USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "ITEM_LIST_LENGTH_FIELD": "length"}
    settings |= {"LIST_SUFFIX": "_list", "NEG_PREFIX": "neg_", "MAX_ITEM_LIST_LENGTH": positions}
    settings |= {"device": "cpu", "loss_type": "CE", "n_layers": 2, "n_heads": 2, "num_layers": 1, "step": 1}
    settings |= {"embedding_size": WIDTH, "hidden_size": WIDTH, "inner_size": 4 * WIDTH}
    settings |= {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "initializer_range": 0.02, "dnn_type": "trm"}
    settings |= dict.fromkeys(("hidden_dropout_prob", "attn_dropout_prob", "dropout_prob"), 0.0)
    settings |= {"dropout_probs": [0.0, 0.0], "sess_dropout": 0.0, "item_dropout": 0.0, "temperature": 0.07}
    settings |= {"mask_ratio": 0.2, "MASK_ITEM_SEQ": "", "POS_ITEMS": "", "NEG_ITEMS": "", "MASK_INDEX": ""}
    if name == "NARM":
        settings |= {"hidden_size": 2 * WIDTH, "n_layers": 1}
    settings |= {"selected_features": ["text"], "pooling_mode": "mean", "item_attribute": "text"}
    settings |= {"train_stage": "pretrain", "pre_model_path": ""}
    settings |= dict.fromkeys(("aap_weight", "mip_weight", "map_weight", "sp_weight"), 1.0)
    dataset = SimpleNamespace(num=lambda field: ITEMS + 1, field2seqlen={"item_list": positions})
    dataset.item_num, dataset.get_item_feature = ITEMS + 1, lambda: None
    return getattr(sequential_recommender, name)(settings, dataset).eval()


class TextFeature(torch.nn.Module):
    """What RecBole's FDSA reads features from: here one feature, the projected text of each item."""

    def __init__(self, *_):
        super().__init__()
        self.vectors = torch.nn.Parameter(torch.empty(ITEMS + 1, WIDTH))

    def forward(self, _, items: torch.Tensor):
        return {"item": self.vectors[items][:, :, None]}, {"item": None}


@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_those_of_recbole(name, tmp_path, monkeypatch):
    monkeypatch.setattr("recbole.model.sequential_recommender.fdsa.FeatureSeqEmbLayer", TextFeature)
    other, other_weights = MODELS[name]
    generator = np.random.default_rng(0)
    sessions = [generator.integers(0, ITEMS, generator.integers(2, 18)).tolist() for _ in range(50)]
    data = dataset(sessions, random_splits(50, generator), [f"word{i % 7}" for i in range(ITEMS)])
    own_task = task(name, data, tmp_path, dimension=WIDTH, blocks=2, max_length=LENGTH, epochs=1)
    scorer = fit(name, own_task).scorer
    own = scorer.network.state_dict()
    if name == "gru4rec":
        for bias in ("gru.bias_ih_l0", "gru.bias_hh_l0", "bias"):
            own[bias].zero_()  # in place: the network's own
    reference = recboles(other, LENGTH + (name == "bert4rec"))
    own_weights = other_weights(own) | {"item_embedding.weight": with_padding(own["item.weight"])}
    if name == "fdsa":
        texts = scorer.network.project(scorer.network.text)[scorer.network.text_of_item]
        own_weights["feature_embed_layer.vectors"] = with_padding(texts)
    if name in (
        "fdsa",
        "s3rec",
    ):  # the attention over one feature and the layers of pre-training have no part in scores
        own_weights = reference.state_dict() | own_weights
    reference.load_state_dict(own_weights)
    for batch in Windows(data, ("test",), LENGTH, CPU).in_order(50):
        with torch.inference_mode():
            ((items, length),) = batch.prefix_rows()
            real = torch.arange(items.shape[1]) < length[:, None]
            read = F.pad((items + 1) * real, (0, LENGTH - items.shape[1]))
            if name == "bert4rec":  # RecBole drops the first item of every sequence
                read, length = F.pad(read, (1, 0), value=1), length + 1
            theirs = reference.full_sort_predict({"item_list": read, "length": length})[:, 1:]
            ours = scorer.scores(batch)["model"]
        assert ours.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
