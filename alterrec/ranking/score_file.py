"""The scores of another program: a .npy file with a row for every row of `instance_table` and a column for every item.

The rows of a batch are read when the batch is ranked, so the file may be larger than memory.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from alterrec.data.dataset import Dataset
from alterrec.engine.windows import Batch
from alterrec.errors import UserError
from alterrec.ranking.instances import instance_table


@dataclass(frozen=True, eq=False)
class StoredScores:
    """A scorer that looks up the scores of every instance.

    `matrix` [I, N] are the scores in the file `path`. `row` [T] is the row of the instance whose target stands at each
    place of `Dataset.flat`, and -1 at the place of an item that is no target.
    """

    path: Path
    matrix: np.ndarray
    row: np.ndarray
    blend_parts: None = None

    @classmethod
    def open(cls, path: Path, dataset: Dataset) -> "StoredScores":
        """UserError if the file is not a .npy file of [I, N] float32 for the dataset's I instances and N items."""
        instances = instance_table(dataset)
        target = dataset.offsets[instances["session"]] + instances["position"].to_numpy()
        row = np.full(len(dataset.flat), -1)
        row[target] = np.arange(len(instances))
        return cls(path, read_matrix(path, (len(instances), dataset.catalogue_size)), row)

    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        """[I, N] scores of a batch. UserError if one of them is not finite."""
        rows = self.row[batch.instance.cpu().numpy()]
        scores = np.asarray(self.matrix[rows])
        finite = np.isfinite(scores).all(axis=1)
        if not finite.all():
            raise UserError(
                f"{self.path}: row {rows[~finite].min()} (from 0) holds NaN or an infinite number: write finite scores; "
                "an item that is to be ranked last gets a score below all others"
            )
        return {"model": torch.from_numpy(scores).to(batch.instance.device)}


def read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The array in a .npy file, mapped into memory. UserError if it is not float32 or does not have the `shape`."""
    try:
        matrix = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable .npy file: {error}: write it with numpy.save") from error
    if matrix.dtype != np.float32:
        raise UserError(f"{path}: the scores are {matrix.dtype}, they must be float32: convert them")
    if matrix.shape != shape:
        raise UserError(
            f"{path}: the shape of the scores is {matrix.shape}, it must be {shape}: one row for each row that "
            "`alterrec instances` writes, one column for each row of items.parquet"
        )
    return matrix
