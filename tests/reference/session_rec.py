"""The models without learning, written literally and slowly from the formulas of session-rec: one prefix, one item at a time.

It shares no code with alterrec/ or baselines/. A session and a prefix are lists of items, training sessions in the order of
time. Every function returns the scores of the items that have one.
"""

from collections import Counter
from math import exp, log, log10, sqrt

DECAY = {
    "same": lambda distance: 1,
    "div": lambda distance: 1 / distance,
    "linear": lambda distance: max(0, 1 - 0.1 * distance),
    "quadratic": lambda distance: 1 / (distance * distance),
    "log": lambda distance: 1 / log10(distance + 1.7),
}
POSITION = {
    "same": lambda position, length: 1,
    "div": lambda position, length: position / length,
    "quadratic": lambda position, length: (position / length) ** 2,
    "log": lambda position, length: 1 / log10(length - position + 1.7),
}


def session_popularity(training: list[list[int]], prefix: list[int]) -> dict[int, float]:
    count = Counter(item for session in training for item in session)
    return {item: prefix.count(item) + count[item] / (1 + count[item]) for item in {*count, *prefix}}


def item_knn(training: list[list[int]], prefix: list[int], r: float, a: float) -> dict[int, float]:
    held = [set(session) for session in training]
    size = Counter(item for session in held for item in session)
    last = prefix[-1]
    together = Counter(item for session in held if last in session for item in session if item != last)
    return {j: n / ((size[last] + r) ** a * (size[j] + r) ** (1 - a)) for j, n in together.items()}


def sequential_rules(
    training: list[list[int]], prefix: list[int], steps: int, weighting: str
) -> dict[int, float]:
    scores = Counter()
    for session in training:
        for x in range(len(session)):
            for y in range(max(0, x - steps), x):
                if session[y] == prefix[-1]:
                    scores[session[x]] += DECAY[weighting](x - y)
    return scores


def nearest(training: list[list[int]], prefix: list[int], similarity, k: int, sample_size: int) -> list:
    """(session, similarity) of the k nearest of the `sample_size` latest sessions that share an item with the prefix."""
    candidates = [session for session in training if set(session) & set(prefix)][-sample_size:]
    rated = [(session, similarity(session)) for session in reversed(candidates)]
    return sorted(rated, key=lambda pair: -pair[1])[:k]


def vsknn(
    training: list[list[int]],
    prefix: list[int],
    k: int,
    sample_size: int,
    weighting: str,
    weighting_score: str,
    idf_weighting: float,
) -> dict[int, float]:
    frequency = Counter(item for session in training for item in set(session))
    weight = {item: POSITION[weighting](place, len(prefix)) for place, item in enumerate(prefix, 1)}

    def similarity(session):
        return sum(weight[item] for item in sorted(set(session) & set(prefix))) / len(weight)

    scores = Counter()
    for session, similar in nearest(training, prefix, similarity, k, sample_size):
        step = next(step for step, item in enumerate(reversed(prefix), 1) if item in session)
        for item in set(session):
            idf = log(len(training) / frequency[item])
            scores[item] += similar * (1 + idf_weighting * idf) * DECAY[weighting_score](step)
    return scores


def stan(
    training: list[list[int]], prefix: list[int], k: int, sample_size: int, spw: float, inh: float
) -> dict[int, float]:
    weight = {item: exp((place - len(prefix)) / spw) for place, item in enumerate(prefix, 1)}

    def similarity(session):
        dot = sum(weight[item] for item in sorted(set(session) & set(prefix)))
        return dot / (sqrt(sum(w * w for w in weight.values())) * sqrt(len(set(session))))

    scores = Counter()
    for session, similar in nearest(training, prefix, similarity, k, sample_size):
        last = {item: place for place, item in enumerate(session, 1)}
        shared = max(place for item, place in last.items() if item in prefix)
        for item, place in last.items():
            scores[item] += similar * exp(-abs(place - shared) / inh)
    return scores
