"""SASRec's network and the losses of gSASRec and GRU4Rec, written literally from papers and the authors' programs.

Loops over single prefixes and items in NumPy. `p` holds the weights of the suite's network by name.
"""

import numpy as np


def sasrec_state(items: list[int], p: dict[str, np.ndarray], blocks: int, heads: int) -> np.ndarray:
    """[d] the state of a prefix (Kang and McAuley, section III), with the details of kang205/SASRec."""
    d = p["item.weight"].shape[1]
    x = np.stack([p["item.weight"][item] * np.sqrt(d) + p["position"][t] for t, item in enumerate(items)])
    for block in range(blocks):
        prefix = f"blocks.{block}."
        w = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        normed = layer_norm(x, w, "attention_norm")
        query = normed @ w["query.weight"].T + w["query.bias"]
        key, value = np.split(x @ w["key_value.weight"].T + w["key_value.bias"], 2, axis=1)
        attended = np.zeros_like(x)
        for head in np.split(np.arange(d), heads):
            for t in range(len(items)):
                logits = np.array([query[t, head] @ key[s, head] / np.sqrt(len(head)) for s in range(t + 1)])
                weight = np.exp(logits) / np.exp(logits).sum()
                attended[t, head] = sum(weight[s] * value[s, head] for s in range(t + 1))
        y = layer_norm(normed + attended, w, "norm")
        inner = np.maximum(y @ w["inner.weight"].T + w["inner.bias"], 0)
        x = y + inner @ w["outer.weight"].T + w["outer.bias"]
    return layer_norm(x[-1:], p, "norm")[0]


def layer_norm(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    spread = np.sqrt(x.var(1, keepdims=True) + 1e-8)
    return p[f"{name}.weight"] * (x - x.mean(1, keepdims=True)) / spread + p[f"{name}.bias"]


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def generalised_bce(positive: float, negatives: list[float], others: int, t: float) -> float:
    """One instance's loss (Petrov and Macdonald, equations 10 and 20) with a catalogue of `others` besides the target."""
    alpha = len(negatives) / others
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    total = np.log(sigmoid(positive) ** beta) + sum(np.log(1 - sigmoid(s)) for s in negatives)
    return -total / (len(negatives) + 1)


def batch_cross_entropy(scores: np.ndarray, row: int) -> float:
    """One instance's cross-entropy; its target is column `row` of `scores` [I, I + K]."""
    return -np.log(np.exp(scores[row, row]) / sum(np.exp(s) for s in scores[row]))


def batch_bpr_max(scores: np.ndarray, row: int, penalty: float) -> float:
    """One instance's BPR-max (Hidasi and Karatzoglou, equation 12), on scores that an ELU has bounded."""
    bounded = [s if s > 0 else 0.5 * (np.exp(s) - 1) for s in scores[row]]
    negatives = [s for column, s in enumerate(bounded) if column != row]
    total = sum(np.exp(s) for s in negatives)
    shares = [np.exp(s) / total for s in negatives]
    above = sum(share * sigmoid(bounded[row] - s) for share, s in zip(shares, negatives, strict=True))
    return -np.log(above) + penalty * sum(share * s**2 for share, s in zip(shares, negatives, strict=True))
