"""SASRec as published and the loss of gSASRec are those of RecTools 0.19.

It runs where RecTools is installed, for instance in the environment of results/reference/bench/recbole/README.md after
`pip install --no-deps rectools==0.19.0 pytorch-lightning lightning-utilities torchmetrics pm-implicit typeguard`.
"""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from alterrec.sequence_models.prefix_network import at_last
from alterrec.sequence_models.published_sasrec import EPSILON, binary_cross_entropy
from baselines.gsasrec import positive_weight
from tests.unit.test_sequence_models import batches_of_both_kinds, trained

pytest.importorskip("rectools.models.nn.transformers.sasrec", reason="RecTools is not installed")


def rectools_layers(own: dict[str, torch.Tensor], blocks: int, heads: int) -> nn.Module:
    """RecTools' blocks with the suite's weights. Its attention has an output layer, here an identity."""
    from rectools.models.nn.transformers.sasrec import SASRecTransformerLayers

    d = own["item.weight"].shape[1]
    weights = {f"last_layernorm.{kind}": own[f"norm.{kind}"] for kind in ("weight", "bias")}
    names = {"attention_norm": "q_layer_norm", "norm": "ff_layer_norm"}
    names |= {"inner": "feed_forward.ff_linear_1", "outer": "feed_forward.ff_linear_2"}
    for block in range(blocks):
        name, other = f"blocks.{block}.", f"transformer_blocks.{block}."
        attention = f"{other}multi_head_attn."
        for kind in ("weight", "bias"):
            weights |= {f"{other}{names[ours]}.{kind}": own[f"{name}{ours}.{kind}"] for ours in names}
            inputs = [own[f"{name}query.{kind}"], own[f"{name}key_value.{kind}"]]
            weights[f"{attention}in_proj_{kind}"] = torch.cat(inputs)
        weights |= {f"{attention}out_proj.weight": torch.eye(d), f"{attention}out_proj.bias": torch.zeros(d)}
    layers = SASRecTransformerLayers(blocks, d, heads, 0.0).double().eval()
    layers.load_state_dict(weights)
    for layer in layers.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = EPSILON  # RecTools has PyTorch's own in all but the last
    return layers


def test_sasrec_has_the_states_of_rectools(tmp_path):
    scorer, own = trained("sasrec", tmp_path, heads=2)
    network = scorer.network
    layers = rectools_layers(network.state_dict(), blocks=2, heads=2)
    for batch, _ in batches_of_both_kinds(own):
        found = []
        for items, length in batch.prefix_rows():
            width, d = items.shape[1], own.config.dimension
            later = torch.ones(width, width, dtype=torch.bool).triu(1)
            vectors = network.item(items) * d**0.5 + network.position[:width]
            states = layers(vectors.detach(), torch.ones(len(items), width, 1), later, None)
            found.append(at_last(states, length))
        torch.testing.assert_close(network.states(batch), torch.cat(found), rtol=0, atol=1e-9)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_the_loss_of_gsasrec_is_that_of_rectools(calibration):
    from rectools.models.nn.transformers.lightning import TransformerLightningModuleBase as Module

    scores = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    module = SimpleNamespace(
        gbce_t=calibration,
        data_preparator=SimpleNamespace(n_negatives=3),
        torch_model=SimpleNamespace(item_model=SimpleNamespace(n_items=22)),
        item_extra_tokens=("PAD",),
        _calc_bce_loss=Module._calc_bce_loss,
    )
    module._get_reduced_overconfidence_logits = Module._get_reduced_overconfidence_logits.__get__(module)
    real = torch.ones(1, 5)
    expected = Module._calc_gbce_loss(module, scores[None], real, real)
    found = binary_cross_entropy(scores[:, 0], scores[:, 1:], positive_weight(3, 20, calibration)).mean()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
