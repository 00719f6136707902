"""A file whose content has changed since it was written is found by its checksum, and rebuilt or refused."""

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import encode_dataset, is_encoded, load_text_vectors
from alterrec.data.vector_cache import cached_vectors
from alterrec.engine.checkpoint import Checkpoint
from alterrec.errors import UserError
from alterrec.files import write_json
from alterrec.study.provenance import RESULTS, checksum, damaged, refuse_damaged
from tests.planted import id_signal, text_signal


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), 1] for text in texts], np.float32)


def test_a_prepared_table_that_reads_well_but_has_changed_is_refused(tmp_path):
    id_signal(items=20, sessions=60).save(tmp_path)
    items = pd.read_parquet(tmp_path / "items.parquet")
    items.loc[0, "text"] = "another text"
    items.to_parquet(tmp_path / "items.parquet")
    with pytest.raises(UserError, match=r"items\.parquet is damaged.*: delete the folder and prepare"):
        Dataset.load(tmp_path)


def test_a_dataset_that_states_no_checksums_is_read(tmp_path):
    data = id_signal(items=20, sessions=60)
    data.save(tmp_path)
    write_json(tmp_path / "card.json", data.card)
    assert len(Dataset.load(tmp_path).flat) == len(data.flat)


def encoded(folder: Path) -> tuple[Path, dict]:
    """A file of text vectors, and the spec of its encoder."""
    spec = {"name": "tfidf_svd", "base": "tfidf_svd", "version": 1, "config": {}}
    text_signal(items=20, topics=4, sessions=60).save(folder)
    encode_dataset(folder, spec, folder / "text.safetensors")
    return folder / "text.safetensors", spec


@pytest.mark.parametrize("array", ["vectors", "text_of_item"])
def test_text_vectors_of_which_one_byte_has_changed_are_refused_and_encoded_again(array, tmp_path):
    path, spec = encoded(tmp_path)
    undamaged = path.read_bytes()
    content = bytearray(undamaged)
    content[content.index(load_file(path)[array].tobytes()) + 8] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"text\.safetensors is damaged.*delete it and encode again"):
        load_text_vectors(path)
    assert not is_encoded(path, spec)
    encode_dataset(tmp_path, spec, path)
    assert is_encoded(path, spec) and path.read_bytes() == undamaged


def test_text_vectors_that_state_no_checksum_are_read(tmp_path):
    path, _ = encoded(tmp_path)
    vectors, text_of_item = load_text_vectors(path)
    save_file({"vectors": vectors, "text_of_item": text_of_item}, path)
    np.testing.assert_array_equal(load_text_vectors(path)[0], vectors)


def test_training_starts_again_from_a_checkpoint_of_which_one_byte_has_changed(tmp_path, caplog):
    checkpoint = Checkpoint.of(tmp_path, {})
    checkpoint.save({"weights": torch.zeros(1000)})
    content = bytearray(checkpoint.path.read_bytes())
    zeros = content.index(bytes(4000))
    content[zeros + 2000] = 1
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None
    assert "training starts from the beginning" in caplog.text


def test_a_cache_with_a_vector_whose_bytes_have_changed_is_encoded_again_as_a_whole(tmp_path):
    cached_vectors(tmp_path / "file", ["a", "bb"], lengths)
    with sqlite3.connect(tmp_path / "file") as database:
        changed = np.full(2, 7, np.float32).tobytes()
        database.execute("UPDATE vectors SET vector = ? WHERE rowid = 2", (changed,))
    asked = []
    vectors = cached_vectors(
        tmp_path / "file", ["a", "bb"], lambda texts: asked.extend(texts) or lengths(texts)
    )
    assert vectors.tolist() == [[1, 1], [2, 1]] and asked == ["a", "bb"]
    assert cached_vectors(tmp_path / "file", ["a", "bb"], None).tolist() == [[1, 1], [2, 1]]


def test_vectors_of_a_cache_without_checksums_are_used(tmp_path):
    cached_vectors(tmp_path / "file", ["a", "bb"], lengths)
    with sqlite3.connect(tmp_path / "file") as database:
        database.execute("DROP TABLE checksums")
    assert cached_vectors(tmp_path / "file", ["a", "bb"], None).tolist() == [[1, 1], [2, 1]]


def test_a_cache_that_is_no_database_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"file cannot be used \(file is not a database\).*delete it"):
        cached_vectors(tmp_path / "file", ["a"], lengths)


def test_a_file_of_a_run_is_damaged_if_its_checksum_differs_but_not_if_it_is_missing(tmp_path):
    assert not damaged(tmp_path, RESULTS), "another program's run has no provenance"
    for name in ("spec.json", "top.parquet"):
        (tmp_path / name).write_text("as it was")
    written = {name: checksum(tmp_path / name) for name in ("spec.json", "top.parquet")}
    write_json(tmp_path / "provenance.json", {"written": written})
    assert not damaged(tmp_path, RESULTS)
    (tmp_path / "top.parquet").write_text("as it is")
    (tmp_path / "spec.json").unlink()
    assert damaged(tmp_path, RESULTS) == ["top.parquet"]
    with pytest.raises(UserError, match=r"top\.parquet is damaged.*delete the folder of this run"):
        refuse_damaged(tmp_path, *RESULTS)
