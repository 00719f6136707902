"""The jobs of a study, with the files and folders of the workflow's rules `prepare`, `encode` and `train`."""

import math
from collections.abc import Collection
from pathlib import Path

from alterrec import registry
from alterrec.data.prepare import prepare
from alterrec.data.text_vectors import encode_dataset, is_encoded
from alterrec.errors import UserError
from alterrec.execute import execute_run
from alterrec.files import read_json
from alterrec.kernels.portable_products import use_portable_products
from alterrec.runner.jobs import Job
from alterrec.study.provenance import RESULTS, WEIGHTS, is_finished
from alterrec.study.resolve import Study
from alterrec.study.run_paths import DATA, LOG, NAME, RUN, TEXT, of_cell

KEPT = ("provenance.json", *RESULTS)
"""A run's files without its weights, which nothing but an ensemble of the same seed reads."""


def data_jobs(study: Study, folder: Path) -> dict[str, Job]:
    """Name -> job that prepares a dataset of the study or encodes its texts. `folder` is the study's."""
    jobs = []
    for dataset in study.config.datasets:
        data, settings = folder / DATA.format(dataset=dataset), study.dataset(dataset)
        prepared = Job(
            name=dataset,
            kind="prepare",
            function=prepare_from_source,
            arguments=(settings, data),
            log=folder / "logs/prepare" / f"{dataset}.log",
            done=lambda data=data, settings=settings: is_prepared(data, settings),
            product=data / "sessions.parquet",
        )
        encoders = {study.encoder(dataset, model) for model in study.models_of(dataset)} - {None}
        jobs += [prepared, *(encoding_job(study, folder, prepared, encoder) for encoder in sorted(encoders))]
    return {job.name: job for job in jobs}


def encoding_job(study: Study, folder: Path, prepared: Job, encoder: str) -> Job:
    data = prepared.product.parent
    spec, out = study.encoder_spec(encoder), data / TEXT.format(encoder=encoder)
    return Job(
        name=f"{prepared.name}/{encoder}",
        kind="encode",
        function=encode_texts_of,
        arguments=(data, spec, out),
        log=folder / "logs/encode" / prepared.name / f"{encoder}.log",
        done=lambda: is_encoded(out, spec),
        product=out,
        needs=(prepared.name,),
    )


def prepare_from_source(settings: dict, out: Path) -> None:
    source = registry.source(settings["source"])
    config = source.Config(**settings)
    prepare(source.load(config), config, out)


def is_prepared(data: Path, settings: dict) -> bool:
    """Whether the folder holds the dataset of these settings."""
    files = ("sessions.parquet", "items.parquet", "card.md", "card.json")
    return (
        all((data / name).is_file() for name in files) and read_json(data / "card.json")["config"] == settings
    )


def encode_texts_of(data: Path, spec: dict, out: Path) -> None:
    if spec["portable"]:
        use_portable_products()
    encode_dataset(data, spec, out)


def cell_jobs(
    study: Study,
    folder: Path,
    models: Collection[str] = (),
    seeds: Collection[int] = (),
    deadline: float = math.inf,
) -> dict[str, Job]:
    """Name -> job of a cell, of all cells or those of some `models` and `seeds`, with the cells that these require.

    Seeds have their turn one after another, in the study's order. Within a seed the models of the end of the study's
    list come first, since these are the ones that train longest. Training stops after the `deadline`.
    """
    _require_known("--only", models, study.config.models)
    _require_known("--seeds", seeds, study.config.seeds)
    trained = [cell for cell in study.cells() if not study.model(cell[1]).external]
    chosen = {
        (dataset, model, seed)
        for dataset, model, seed in trained
        if (not models or model in models) and (not seeds or seed in seeds)
    }
    chosen |= {
        (dataset, name, seed) for dataset, model, seed in chosen for name in study.model(model).requires
    }
    jobs = [cell_job(study, folder, *cell, deadline) for cell in reversed(trained) if cell in chosen]
    return {job.name: job for job in jobs}


def cell_job(study: Study, folder: Path, dataset: str, model: str, seed: int, deadline: float) -> Job:
    cell = dataset, model, seed
    spec, data, run = study.spec(*cell), folder / of_cell(DATA, cell), folder / of_cell(RUN, cell)
    return Job(
        name=of_cell(NAME, cell),
        kind=f"{dataset}/{model}",
        function=execute_run,
        arguments=(spec, data, run, deadline),
        log=folder / of_cell(LOG, cell),
        done=lambda: is_finished(spec, data, run),
        product=run / WEIGHTS,
        needs=tuple(of_cell(NAME, (dataset, name, seed)) for name in study.model(model).requires),
        turn=study.config.seeds.index(seed),
        seconds=lambda: read_json(run / "metrics.json")["seconds"],
        results=tuple(run / name for name in KEPT),
    )


def _require_known(option: str, named: Collection, known: Collection) -> None:
    for value in named:
        if value not in known:
            raise UserError(f"{option}: the study has no {value!r}; it has {', '.join(map(str, known))}")
