"""The paper's networks and losses as a plain batched program: every prefix is a row of its own.

It works as the authors' program does. Rows are padded at the right to `max_length`, and position 0 is the first item. A
transformer runs over all positions under a mask, and the session's vector is the state at the last item. The whole
catalogue is scored, and the scores of the label and of the negatives, a list of items, are gathered. It shares no code
with alterrec/ and takes a network's parameters by name. I instances, N items, T positions, K negatives, d dimensions.
"""

import math

import torch
from torch.nn import functional as F


def expand(
    flat: torch.Tensor, offsets: torch.Tensor, instance: torch.Tensor, max_length: int, padded: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """The prefixes [I, T] of the targets at the indices `instance` [I] of the flat items, and their lengths [I].

    T is `max_length` if `padded`, else the length of the longest prefix.
    """
    session = torch.searchsorted(offsets, instance, right=True) - 1
    length = (instance - offsets[session]).clamp(max=max_length)
    place = torch.arange(max_length if padded else int(length.max()), device=flat.device)
    index = ((instance - length)[:, None] + place).clamp(max=len(flat) - 1)
    return torch.where(place < length[:, None], flat[index], 0), length


def item_matrix(p: dict, text: torch.Tensor | None, dropout: float) -> torch.Tensor:
    """[N, d] item vectors from the free item embedding or, if there is a `text` [N, w], from sentence embeddings."""
    gain, bias = p["vectors.norm.weight"], p["vectors.norm.bias"]
    if text is None:
        return F.layer_norm(p["vectors.embedding"], gain.shape, gain, bias)
    projected = F.relu(F.linear(text, p["vectors.project.weight"], p["vectors.project.bias"]))
    return F.layer_norm(F.dropout(projected, dropout), gain.shape, gain, bias)


def session_vectors(
    tokens: torch.Tensor, length: torch.Tensor, matrix: torch.Tensor, p: dict, heads: int, dropout: float
) -> torch.Tensor:
    """[I, d] the hidden states at the last items of the prefixes `tokens` [I, T]."""
    rows, positions = tokens.shape
    d = matrix.shape[1]
    real = torch.arange(positions, device=tokens.device) < length[:, None]
    seen = torch.ones(positions, positions, dtype=torch.bool, device=tokens.device).tril() & real[:, None, :]
    mask = torch.where(seen, 0.0, -1e9)[:, None].to(matrix.dtype)
    x = matrix[tokens] + p["encoder.position"][:positions]
    x = F.dropout(norm(x, p, "encoder.norm"), dropout)
    block = 0
    while f"encoder.blocks.{block}.qkv.weight" in p:
        name = f"encoder.blocks.{block}."
        query, key, value = (
            (x @ weight.T).view(rows, positions, heads, d // heads).transpose(1, 2)
            for weight in p[name + "qkv.weight"].split(d)
        )
        attention = (query @ key.transpose(2, 3) / math.sqrt(d // heads) + mask).softmax(-1)
        mixed = (F.dropout(attention, dropout) @ value).transpose(1, 2).reshape(rows, positions, d) @ p[
            name + "out.weight"
        ].T
        x = norm(x + F.dropout(mixed, dropout), p, name + "attention_norm")
        inner = F.relu(F.linear(x, p[name + "up.weight"], p[name + "up.bias"]))
        inner = F.linear(inner, p[name + "down.weight"], p[name + "down.bias"])
        x = norm(x + F.dropout(inner, dropout), p, name + "norm")
        block += 1
    return x[torch.arange(rows, device=x.device), length - 1]


def norm(x: torch.Tensor, p: dict, name: str) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-6)


def scores(
    tokens: torch.Tensor,
    length: torch.Tensor,
    p: dict,
    text: torch.Tensor | None,
    heads: int,
    temperature: float,
    dropout: float = 0.0,
) -> torch.Tensor:
    """[I, N] scores of the whole catalogue for the prefixes of `expand`."""
    matrix = item_matrix(p, text, dropout)
    return session_vectors(tokens, length, matrix, p, heads, dropout) @ matrix.T / temperature


def sampled_loss(scores: torch.Tensor, label: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of `label` [I] against its `negatives` [I, K]. Draws that equal the label are masked out."""
    logits = scores.gather(1, torch.cat([label[:, None], negatives], 1))
    drawn_label = F.pad(negatives == label[:, None], (1, 0))
    return F.cross_entropy(logits.masked_fill(drawn_label, -1e9), torch.zeros_like(label))


def random_negatives(instances: int, items: int, draws: int, device: torch.device) -> torch.Tensor:
    """[I, draws] items drawn uniformly, with replacement."""
    return torch.randint(items, (instances, draws), device=device)


def hard_negatives(scores: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
    """[I, k2 - k1] items: half from the ranks k1 + 1 to k2 by `scores`, without replacement, and half uniform."""
    rows, items = scores.shape
    half = (k2 - k1) // 2
    ranked = scores.topk(k2, dim=1).indices[:, k1:]
    places = torch.multinomial(torch.ones(ranked.shape, device=scores.device), half)
    uniform = random_negatives(rows, items, k2 - k1 - half, scores.device)
    return torch.cat([ranked.gather(1, places), uniform], 1)
