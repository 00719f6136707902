"""The paper's networks and losses, written literally and slowly: the oracle that alterrec/ is tested against.

It shares no code with alterrec/ and takes a network's parameters by name. Every prefix is a row of its own, padded to
`max_length`. Negatives are lists of items. N items, d dimensions, w text dimensions.
"""

import math

import torch


def expand_prefixes(session: list[int]) -> list[tuple[list[int], int]]:
    """Every (prefix, target) of a session, in the order of the authors' program."""
    return [(session[:t], session[t]) for t in range(1, len(session))]


def layer_norm(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps) * gain + bias


def dropped(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Each number is 0 with probability `rate`, else divided by 1 - rate."""
    return x * (torch.rand_like(x) >= rate) / (1 - rate)


def session_vector(
    prefix: list[int], matrix: torch.Tensor, p: dict, heads: int, max_length: int, dropout: float = 0.0
) -> torch.Tensor:
    """[d] the hidden state at the prefix's last item. Only its last `max_length` items are read; `matrix` is [N, d].

    Dropout is where the authors' program has it: after the first LayerNorm, on the attention probabilities, after the
    attention's output and after the feed-forward.
    """
    prefix = prefix[-max_length:]
    d = matrix.shape[1]
    rows = [matrix[item] for item in prefix] + [matrix.new_zeros(d)] * (max_length - len(prefix))
    x = torch.stack(rows) + p["encoder.position"]
    x = dropped(layer_norm(x, p["encoder.norm.weight"], p["encoder.norm.bias"], 1e-6), dropout)
    future = torch.ones(max_length, max_length, dtype=torch.bool).triu(1)
    block = 0
    while f"encoder.blocks.{block}.qkv.weight" in p:
        name = f"encoder.blocks.{block}."
        query, key, value = (x @ w.T for w in p[name + "qkv.weight"].split(d))
        mixed = []
        for head in range(heads):
            part = slice(head * d // heads, (head + 1) * d // heads)
            weights = query[:, part] @ key[:, part].T / math.sqrt(d // heads)
            probabilities = weights.masked_fill(future, -math.inf).softmax(-1)
            mixed.append(dropped(probabilities, dropout) @ value[:, part])
        x = layer_norm(
            x + dropped(torch.cat(mixed, 1) @ p[name + "out.weight"].T, dropout),
            p[name + "attention_norm.weight"],
            p[name + "attention_norm.bias"],
            1e-6,
        )
        inner = (x @ p[name + "up.weight"].T + p[name + "up.bias"]).clamp(min=0)
        inner = inner @ p[name + "down.weight"].T + p[name + "down.bias"]
        x = layer_norm(x + dropped(inner, dropout), p[name + "norm.weight"], p[name + "norm.bias"], 1e-6)
        block += 1
    return x[len(prefix) - 1]


def id_matrix(p: dict) -> torch.Tensor:
    """[N, d] item vectors from the free item embedding."""
    return layer_norm(p["vectors.embedding"], p["vectors.norm.weight"], p["vectors.norm.bias"], 1e-5)


def text_matrix(text: torch.Tensor, p: dict) -> torch.Tensor:
    """[N, d] item vectors from the sentence embeddings [N, w] of the items' texts."""
    projected = (text @ p["vectors.project.weight"].T + p["vectors.project.bias"]).clamp(min=0)
    return layer_norm(projected, p["vectors.norm.weight"], p["vectors.norm.bias"], 1e-5)


def cross_entropy(scores: torch.Tensor, label: int, negatives: list[int]) -> torch.Tensor:
    """The loss of one instance: the label against a list of negatives, without those that equal the label."""
    kept = [label] + [item for item in negatives if item != label]
    return torch.logsumexp(scores[kept], 0) - scores[label]


def mean_loss(instances, matrix, p, heads, max_length, temperature, negatives) -> torch.Tensor:
    """The mean loss of the instances (prefix, label), each with its own list of negatives."""
    losses = []
    for (prefix, label), drawn in zip(instances, negatives, strict=True):
        vector = session_vector(prefix, matrix, p, heads, max_length)
        losses.append(cross_entropy(vector @ matrix.T / temperature, label, drawn))
    return torch.stack(losses).mean()


def window(scores: list[float], k1: int, k2: int) -> set[int]:
    """The items on the ranks k1 + 1 to k2. Of items with equal scores, the one with the lower index ranks higher."""
    ranked = sorted(range(len(scores)), key=lambda item: (-scores[item], item))
    return set(ranked[k1:k2])


def target_rank_counts(scores: list[float], target: int) -> tuple[int, int]:
    """The number of items that score above the target, and the number of other items with its score."""
    above = sum(score > scores[target] for score in scores)
    ties = sum(score == scores[target] for item, score in enumerate(scores) if item != target)
    return above, ties
