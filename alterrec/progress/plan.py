"""`alterrec plan`: how many runs a study has and what they will cost, before anything runs."""

from pathlib import Path

from alterrec.descriptions.configuration_page import table
from alterrec.progress.costs import Costs, duration, jobs_at_once, measured_costs
from alterrec.study.resolve import Study


def plan(study: Study, results: Path) -> str:
    """The number of runs, their hours, memory and disk space, per model and in all, and where the numbers come from."""
    config, cells, costs = study.config, list(study.cells()), measured_costs(study, results)
    head = (
        f"{config.name}: {len(cells)} runs (datasets: {len(config.datasets)}, models: {len(config.models)}, seeds: "
        f"{', '.join(map(str, config.seeds))})"
    )
    rows = [model_row(model, [cell for cell in cells if cell[1] == model], costs) for model in config.models]
    header = ("Model", "Runs", "Time of all runs", "Memory of a run", "Disk")
    return "\n\n".join([head, table(header, rows), "\n".join([*totals(cells, costs), source(cells, costs)])])


def model_row(model: str, cells: list[tuple[str, str, int]], costs: Costs) -> tuple[str, ...]:
    memory = known(cells, costs, "memory")
    return (
        model,
        str(len(cells)),
        duration(sum(seconds)) if (seconds := known(cells, costs, "seconds")) else "?",
        f"{max(memory):,.0f} MB" if memory else "?",
        f"{sum(disk):,.1f} MB" if (disk := known(cells, costs, "disk")) else "?",
    )


def known(cells: list[tuple[str, str, int]], costs: Costs, quantity: str) -> list[float]:
    """A quantity of every cell for which it was measured."""
    values = (costs.mean(dataset, model, quantity) for dataset, model, _ in cells)
    return [value for value in values if value is not None]


def totals(cells: list[tuple[str, str, int]], costs: Costs) -> list[str]:
    """Sentences on the time, memory and disk space of the whole study."""
    seconds, memory, disk = (known(cells, costs, quantity) for quantity in ("seconds", "memory", "disk"))
    if not seconds:
        return ["Time, memory and disk space are not known: nothing of this study was measured yet."]
    others, at_once = sum(cost.seconds for cost in costs.others), jobs_at_once()
    beside = (
        f"and {duration(others)} of other jobs"
        if others
        else "without preparing data, text vectors, tables and figures"
    )
    largest = (
        f"{max(memory):,.0f} MB a run, {at_once * max(memory):,.0f} MB in all" if memory else "not known"
    )
    return [
        f"Time: {duration(sum(seconds))} of runs {beside}; about {duration((sum(seconds) + others) / at_once)} with "
        f"{at_once} at once on this machine.",
        f"Largest memory: {largest}.",
        f"Disk: {sum(disk):,.0f} MB of runs." if disk else "Disk: not known.",
    ]


def source(cells: list[tuple[str, str, int]], costs: Costs) -> str:
    """A sentence on where the numbers come from, and which runs they lack."""
    if not known(cells, costs, "seconds"):
        return "After the first runs this command estimates the others from them."
    missing = sorted(
        {
            f"{model} on {dataset}"
            for dataset, model, _ in cells
            if costs.mean(dataset, model, "seconds") is None
        }
    )
    lacking = f" It has no {', '.join(missing)}: their time is not included." if missing else ""
    return f"Measured in {costs.origin}, perhaps on another machine or with an older version.{lacking}"
