"""The points at which the engine is measured.

A point is a pair: the columns that name its row, and the settings of its measurement.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

Point = tuple[dict, dict]
WORKLOADS = {
    "id": "ID, full softmax",
    "text": "text, full softmax",
    "random": "AlterRec, random negatives",
    "hard": "AlterRec, hard negatives",
    "augmented": "AlterRec, augmented positives",
    "sum": "sum fusion",
    "score": "score fusion",
}
RATIO_MODES = {"full": "ID, full softmax", "random": "ID, random negatives", "hard": "ID, hard negatives"}
RATIO_BATCHES = ("prefixes", "sessions")
ON_GPU = {"dimensions": (300,)}  # at d = 64 a GPU mostly waits for kernel launches
# From this many items on, a number of steps is timed instead of a number of seconds.
LARGE_CATALOGUE = 1_000_000
LARGE_STEPS = {"id": 20, "hard": 2}
UNLIMITED = 10**9  # steps or seconds


@dataclass(frozen=True)
class Plan:
    """What is measured.

    The data are those of the prepared dataset in the folder `data`. Without it they are synthetic and have the shape of
    Amazon Beauty. The points that vary a size always use synthetic data.
    """

    items: int = 12_101
    sessions: int = 22_363
    data: str | None = None
    batch_size: int = 512
    dimensions: tuple[int, ...] = (64, 300)
    precisions: tuple[str, ...] = ("tf32", "bfloat16")
    seconds: float = 4.0  # timed per epoch
    sizes: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {
            "items": (1_000, 10_000, 100_000, 1_000_000),
            "length": (5, 10, 20, 50, 100, 200),
            "batch_size": (64, 256, 1024, 4096),
            "dimension": (32, 64, 128, 256, 512),
        }
    )
    size_seconds: float = 2.0
    ranks: int = 2000
    ratio_steps: int = 4
    ratio_items: tuple[int, ...] = (12_101, 1_000)
    k1: int = 20
    k2: int = 6000

    @property
    def base(self) -> dict:
        """The settings that all points share unless they vary them."""
        return {"items": self.items, "sessions": self.sessions, "batch_size": self.batch_size}


def workload_points(plan: Plan) -> Iterator[Point]:
    """Every workload at every dimension and precision."""
    for dimension, precision, workload in product(plan.dimensions, plan.precisions, WORKLOADS):
        if workload == "augmented" and precision != plan.precisions[0]:
            continue  # six times as long as the others, with the same kind of arithmetic
        settings = {"workload": workload, "dimension": dimension, "precision": precision, "data": plan.data}
        yield {"label": WORKLOADS[workload]}, plan.base | settings | time_limit(plan.seconds)


def size_points(plan: Plan) -> Iterator[Point]:
    """ID under full softmax at d = 64, one size varied at a time. Catalogue sizes also measure hard negatives."""
    base = plan.base | {"workload": "id", "dimension": 64} | time_limit(plan.size_seconds)
    for size, values in plan.sizes.items():
        for value in values:
            for label, changes in variants(plan, size, value):
                yield {"size": size, "value": value, "label": label}, base | changes


def variants(plan: Plan, size: str, value: int) -> Iterator[tuple[str, dict]]:
    """The label and the settings of every point at which a size has this value."""
    if size == "items":
        yield from catalogue_variants(plan, value)
    elif size == "length":
        yield from length_variants(plan, value)
    else:
        yield WORKLOADS["id"], {size: value}


def catalogue_variants(plan: Plan, items: int) -> Iterator[tuple[str, dict]]:
    for workload in ("id", "hard"):
        large = items >= LARGE_CATALOGUE
        limit = {"steps": LARGE_STEPS[workload], "seconds": UNLIMITED} if large else {}
        ranks = {"ranks": plan.ranks} if workload == "id" else {}
        yield WORKLOADS[workload], {"items": items, "workload": workload} | limit | ranks


def length_variants(plan: Plan, length: int) -> Iterator[tuple[str, dict]]:
    """Sessions of one length, with about as many instances at every length. Long ones also with max_length 50."""
    settings = {"length": length, "sessions": max(50, round(plan.sessions * 7.9 / (length - 1)))}
    for max_length in (200, 50) if length > 51 else (200,):
        yield f"{WORKLOADS['id']}, max_length {max_length}", settings | {"max_length": max_length}


def ratio_points(plan: Plan) -> Iterator[Point]:
    """Both programs on the plan's data and on a smaller synthetic catalogue, where scoring weighs less."""
    shapes = [
        {"items": items, "data": None if number else plan.data}
        for number, items in enumerate(plan.ratio_items)
    ]
    for shape, dimension, batches, mode in product(shapes, plan.dimensions, RATIO_BATCHES, RATIO_MODES):
        settings = {"mode": mode, "batches": batches, "dimension": dimension} | shape
        negatives = {"k1": plan.k1, "k2": plan.k2, "steps": plan.ratio_steps}
        yield {"label": RATIO_MODES[mode]}, plan.base | settings | negatives


def time_limit(seconds: float) -> dict:
    return {"steps": UNLIMITED, "seconds": seconds}
