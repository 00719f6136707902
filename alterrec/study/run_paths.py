"""Where a study's folder of results has the files of a cell: one place for the library and for the workflow's rules."""

Cell = tuple[str, str, int]
"""Dataset, model and seed."""

NAME = "{dataset}/{model}/seed-{seed}"
"""A cell in a line of text, and its place in each of the folders below."""
RUN = f"runs/{NAME}"
LOG = f"logs/train/{NAME}.log"
BENCHMARK = f"benchmarks/train/{NAME}.tsv"
DATA = "data/{dataset}"
"""The prepared dataset."""
TEXT = "text/{encoder}.safetensors"
"""The text vectors of an encoder, in the folder of the prepared dataset."""


def of_cell(pattern: str, cell: Cell) -> str:
    """One of the patterns above, filled in for a cell."""
    dataset, model, seed = cell
    return pattern.format(dataset=dataset, model=model, seed=seed)
