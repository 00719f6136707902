"""The points at which the engine is measured. A point is how its row is named, and the settings it is measured with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

Point = tuple[dict, dict]
OBJECTIVES = {
    "id": "ID, full softmax",
    "text": "text, full softmax",
    "random": "AlterRec, random negatives",
    "hard": "AlterRec, hard negatives",
    "augmented": "AlterRec, augmented positives",
    "sum": "sum fusion",
    "score": "score fusion",
}
COMPARED = {"full": "ID, full softmax", "random": "ID, random negatives", "hard": "ID, hard negatives"}
ON_GPU = {"dimensions": (300,)}  # a smaller one only waits for launches
LARGE = 1_000_000  # items from which on steps are counted, not seconds
LARGE_STEPS = {"id": 20, "hard": 2}
MANY = 10**9  # steps or seconds, where the other one ends the timing


@dataclass(frozen=True)
class Plan:
    """What is measured. The data are made up in the shape of Amazon Beauty unless `data` is a prepared dataset's folder;
    sizes are varied on made-up data always."""

    items: int = 12_101
    sessions: int = 22_363
    data: str | None = None
    batch_size: int = 512
    dimensions: tuple[int, ...] = (64, 300)
    objectives: tuple[str, ...] = tuple(OBJECTIVES)
    precisions: tuple[str, ...] = ("tf32", "bfloat16")
    seconds: float = 4.0  # that are timed of an epoch
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
    compared: tuple[str, ...] = tuple(COMPARED)
    compared_steps: int = 4
    compared_items: tuple[int, ...] = (12_101, 1_000)
    k1: int = 20
    k2: int = 6000

    @property
    def base(self) -> dict:
        """Settings of every point that differs in nothing from the plan."""
        return {"items": self.items, "sessions": self.sessions, "batch_size": self.batch_size}


def objective_points(plan: Plan) -> Iterator[Point]:
    for dimension, precision, objective in product(plan.dimensions, plan.precisions, plan.objectives):
        if objective == "augmented" and precision != plan.precisions[0]:
            continue  # six times as long as any other, and no other arithmetic
        settings = {"objective": objective, "dimension": dimension, "precision": precision, "data": plan.data}
        yield {"label": OBJECTIVES[objective]}, plan.base | settings | limits(plan.seconds)


def size_points(plan: Plan) -> Iterator[Point]:
    """ID full softmax at d = 64, one size at a time; AlterRec's hard negatives over the catalogue as well."""
    base = plan.base | {"objective": "id", "dimension": 64} | limits(plan.size_seconds)
    for size, values in plan.sizes.items():
        for value in values:
            for label, more in {"items": catalogue, "length": length}.get(size, plainly)(plan, size, value):
                yield {"size": size, "value": value, "label": label}, base | more


def plainly(plan: Plan, size: str, value: int) -> Iterator[tuple[str, dict]]:
    yield OBJECTIVES["id"], {size: value}


def catalogue(plan: Plan, size: str, items: int) -> Iterator[tuple[str, dict]]:
    for objective in ("id", "hard"):
        stop = {"steps": LARGE_STEPS[objective], "seconds": MANY} if items >= LARGE else {}
        ranks = {"ranks": plan.ranks} if objective == "id" else {}
        yield OBJECTIVES[objective], {"items": items, "objective": objective} | stop | ranks


def length(plan: Plan, size: str, items: int) -> Iterator[tuple[str, dict]]:
    """Sessions of one length, about as many instances whatever it is; long ones also under max_length 50."""
    settings = {"length": items, "sessions": max(50, round(plan.sessions * 7.9 / (items - 1)))}
    for max_length in (200, 50) if items > 51 else (200,):
        yield f"{OBJECTIVES['id']}, max_length {max_length}", settings | {"max_length": max_length}


def compared_points(plan: Plan) -> Iterator[Point]:
    """Both programs on the plan's data, and on a smaller made-up catalogue, whose scoring costs less beside the encoder."""
    shapes = [
        {"items": items, "data": None if number else plan.data}
        for number, items in enumerate(plan.compared_items)
    ]
    for shape, dimension, objective in product(shapes, plan.dimensions, plan.compared):
        settings = {"objective": objective, "dimension": dimension} | shape
        negatives = {"k1": plan.k1, "k2": plan.k2, "steps": plan.compared_steps}
        yield {"label": COMPARED[objective]}, plan.base | settings | negatives


def limits(seconds: float) -> dict:
    return {"steps": MANY, "seconds": seconds}
