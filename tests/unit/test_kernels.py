"""The Triton kernels of the networks equal PyTorch's operations, and have dropout at the stated rate."""

import os
from importlib.util import find_spec

import pytest
import torch
from torch.nn import functional as F

if not torch.cuda.is_available():  # Triton reads this at its first import, and then interprets kernels
    os.environ.setdefault("TRITON_INTERPRET", "1")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
GROUPS = ((2, 50), (3, 32), (5, 7), (30, 3), (11, 1))
WIDTHS = [width for rows, width in GROUPS for _ in range(rows)]


@pytest.fixture(autouse=True)
def exact_products():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    torch.manual_seed(0)
    yield
    torch.set_float32_matmul_precision(before)


def places(groups) -> torch.Tensor:
    return torch.cat([torch.arange(width, device=DEVICE).repeat(rows) for rows, width in groups])


def plain_attention(qkv: torch.Tensor) -> torch.Tensor:
    """[P, heads * D] row by row, without dropout."""
    mixed = []
    for row in qkv.split(WIDTHS):
        q, k, v = row.permute(1, 2, 0, 3)  # [heads, T, D]
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        future = torch.ones(len(row), len(row), dtype=torch.bool, device=qkv.device).triu(1)
        mixed.append((scores.masked_fill(future, -torch.inf).softmax(-1) @ v).transpose(0, 1).flatten(1))
    return torch.cat(mixed)


@needs_triton
@pytest.mark.parametrize(("heads", "size"), [(2, 150), (2, 32), (1, 8)])
def test_packed_attention_and_its_gradient_equal_plain_attention(heads, size):
    from alterrec.kernels.packed_attention import packed_attention, tiles

    qkv = torch.randn(sum(WIDTHS), 3, heads, size, device=DEVICE, requires_grad=True)
    fast, plain = (
        packed_attention(qkv, places(GROUPS), tiles(GROUPS, DEVICE), 0.0),
        plain_attention(qkv.double()),
    )
    torch.testing.assert_close(fast.double(), plain, rtol=1e-4, atol=1e-5)
    upstream = torch.randn_like(fast)
    (found,), (wanted,) = (torch.autograd.grad(out, qkv, upstream.to(out.dtype)) for out in (fast, plain))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@needs_triton
def test_a_tile_may_hold_rows_of_several_lengths():
    from alterrec.engine import batching
    from alterrec.kernels.packed_attention import TILE, packed_attention

    assert batching.TILE == TILE
    qkv = torch.randn(sum(WIDTHS), 3, 2, 16, device=DEVICE)
    starts, end = [0], 0
    for width in WIDTHS:
        if end + width - starts[-1] > TILE:
            starts.append(end)
        end += width
    ends = [*starts[1:], end]
    counts = [end - start for start, end in zip(starts, ends, strict=True)]
    mixed = torch.tensor([[*starts, ends[-1]], [*counts, 0]], device=DEVICE)  # the last one is not used
    fast = packed_attention(qkv, places(GROUPS), mixed, 0.0)
    torch.testing.assert_close(fast.double(), plain_attention(qkv.double()), rtol=1e-4, atol=1e-5)


@needs_triton
def test_attention_probabilities_are_dropped_at_the_rate_and_the_gradient_has_the_same_dropout():
    from alterrec.kernels.packed_attention import packed_attention, tiles

    rate, groups = 0.25, ((400, 1),)
    qkv = torch.randn(400, 3, 2, 8, device=DEVICE, requires_grad=True)
    out = packed_attention(qkv, places(groups), tiles(groups, DEVICE), rate)
    kept = out.view(400, 2, 8).abs().sum(2) > 0  # a row of one token has one probability, 1
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=0.06)
    value = qkv[:, 2] * kept[..., None] / (1 - rate)
    torch.testing.assert_close(out.view(400, 2, 8), value)
    (gradient,) = torch.autograd.grad(out.sum(), qkv)
    torch.testing.assert_close(gradient[:, 2], kept[..., None].float().expand(-1, -1, 8) / (1 - rate))


@needs_triton
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_residual_norm_and_its_gradients_equal_layer_norm(rate, biased):
    from alterrec.kernels.residual_norm import residual_norm

    norm = normalisation()
    x, y = (torch.randn(70, 20, device=DEVICE, requires_grad=True) for _ in range(2))
    bias = torch.randn(20, device=DEVICE, requires_grad=True)
    fast = residual_norm(x, y, bias if biased else None, norm, rate)
    upstream = torch.randn_like(fast)
    inputs = (x, y, norm.weight, norm.bias, *([bias] if biased else []))
    found = torch.autograd.grad(fast, inputs, upstream)
    kept = torch.ones_like(y)
    if rate:  # dropout is read off the gradient of y: that of x where y was kept, times 1 / (1 - rate)
        kept = (found[1] / found[0]).detach()
        assert set(kept.flatten().mul(1 - rate).round(decimals=3).tolist()) == {0.0, 1.0}
        assert float((kept == 0).float().mean()) == pytest.approx(rate, abs=0.05)
    added = y + bias if biased else y
    plain = F.layer_norm(x + added * kept, (20,), norm.weight, norm.bias, norm.eps)
    assert_equal_with_gradients(fast, found, plain, torch.autograd.grad(plain, inputs, upstream))


def normalisation() -> torch.nn.LayerNorm:
    norm = torch.nn.LayerNorm(20, eps=1e-6).to(DEVICE)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return norm


def assert_equal_with_gradients(fast, found, plain, wanted):
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@needs_triton
def test_layer_norm_and_its_gradients_equal_pytorchs():
    from alterrec.kernels.residual_norm import layer_norm

    norm, x = normalisation(), torch.randn(70, 20, device=DEVICE, requires_grad=True)
    inputs, upstream = (x, norm.weight, norm.bias), torch.randn(70, 20, device=DEVICE)
    fast, plain = layer_norm(x, norm), norm(x)
    gradients = (torch.autograd.grad(out, inputs, upstream) for out in (fast, plain))
    found, wanted = gradients
    assert_equal_with_gradients(fast, found, plain, wanted)


@needs_triton
@pytest.mark.parametrize("columns", [20, 600])
def test_biased_relu_and_its_gradients_equal_pytorchs(columns):
    from alterrec.kernels.biased_relu import biased_relu

    x, upstream = torch.randn(21, columns, device=DEVICE), torch.randn(21, columns, device=DEVICE)
    inputs = x.requires_grad_(), torch.randn(columns, device=DEVICE, requires_grad=True)
    fast, plain = biased_relu(*inputs), F.relu(inputs[0] + inputs[1])
    found, wanted = (torch.autograd.grad(out, inputs, upstream) for out in (fast, plain))
    assert_equal_with_gradients(fast, found, plain, wanted)


@needs_triton
@pytest.mark.parametrize("kind", ["once each", "shared", "own"])
@pytest.mark.parametrize("columns", [30, 1000])
def test_softmax_gradient_equals_autograds(kind, columns):
    from alterrec.kernels.softmax_gradient import softmax_gradient_

    logits = 5 * torch.randn(9, columns, device=DEVICE, dtype=torch.float64)
    label = torch.randint(columns, (9,), device=DEVICE)
    weight = torch.rand(9, device=DEVICE)
    weight[3] = 0  # an instance that fills up a batch
    counts = None if kind == "once each" else torch.randint(3, (9, columns), device=DEVICE).float()
    if counts is not None:
        counts.scatter_(1, label[:, None], 1.0)
        counts = counts if kind == "own" else counts.amax(0)
    wanted = logits.clone().requires_grad_()
    total = (wanted + (0 if counts is None else counts.double().log())).logsumexp(1)
    loss = weight * (total - wanted.gather(1, label[:, None]).squeeze(1))
    loss.sum().backward()
    found = logits.float()
    torch.testing.assert_close(
        softmax_gradient_(found, counts, label, weight), loss.float(), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(found, wanted.grad.float(), rtol=1e-4, atol=1e-6)
