"""A cell by its names: the spec that `alterrec train` or `alterrec encode` takes, and the files that it reads and writes."""

from pathlib import Path

from alterrec.errors import UserError
from alterrec.study.resolve import Study
from alterrec.study.run_paths import DATA, RUN, TEXT, of_cell

RESULTS = Path("results")


def run_by_name(study: Study, dataset: str, model: str, seed: int) -> tuple[dict, Path, Path]:
    """The spec of a run, the folder of its prepared dataset and the run's own folder."""
    study.dataset(dataset)  # an unknown name is an error
    folder, cell = RESULTS / study.config.name, (dataset, model, seed)
    return study.spec(*cell), folder / of_cell(DATA, cell), folder / of_cell(RUN, cell)


def encoding_by_name(study: Study, dataset: str, model: str) -> tuple[dict, Path, Path]:
    """The spec of the text vectors that a model reads, the folder of the prepared dataset and the vectors' file."""
    encoder = study.encoder(dataset, model)
    if encoder is None:
        raise UserError(f"{model} reads no text vectors")
    data = RESULTS / study.config.name / "data" / dataset
    return study.encoder_spec(encoder), data, data / TEXT.format(encoder=encoder)
