"""What a result was made from: versions, machine, data and code, so that `verify` can tell a stale result."""

import platform
from importlib.metadata import version
from pathlib import Path

from alterrec import registry
from alterrec.files import file_checksum, read_json

PACKAGES = ("numpy", "pandas", "scipy", "torch", "pyarrow", "safetensors")


def provenance(spec: dict, data: Path, device) -> dict:
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "architecture": platform.machine(), "device": str(device)},
        "data": data_checksum(data),
        "text": file_checksum(data / "text" / f"{spec['encoder']}.safetensors") if spec["encoder"] else None,
        "code": registry.model_code_hash(registry.model(spec["base"], spec["baselines"])),
    }


def data_checksum(folder: Path) -> dict[str, str]:
    return {name: file_checksum(folder / name) for name in ("sessions.parquet", "items.parquet")}


def verify(study, results: Path) -> list[str]:
    """One line for every run of `study` whose stored spec, data, text or code differs from today's, or is missing."""
    folder = results / study.config.name
    problems = []
    for dataset, model, seed in study.cells():
        if study.model(model).external:
            continue
        run, data = folder / "runs" / dataset / model / f"seed-{seed}", folder / "data" / dataset
        if not (run / "provenance.json").is_file():
            problems.append(f"{run}: not there")
            continue
        spec, stored = study.spec(dataset, model, seed), read_json(run / "provenance.json")
        today = provenance(spec, data, stored["machine"]["device"])
        if read_json(run / "spec.json") != spec:
            problems.append(f"{run}: its specification differs from the config's")
        changed = [key for key in ("data", "text", "code") if stored[key] != today[key]]
        problems += [f"{run}: its {key} differs from today's" for key in changed]
    return problems
