"""The authors' archive: its files become sessions and vectors; another layout is an error that names the file."""

import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import prepare
from alterrec.data.text_vectors import encode_dataset
from alterrec.encoders.precomputed import item_vectors
from alterrec.errors import UserError
from alterrec.study.check import checked

AUTHORS = registry.source("amazon_m2_authors")
FOLDER = "sess_FR_text_FR"
EMBEDDINGS = f"{FOLDER}/dist/text_embeddings"
TITLE, DES, TAX = (f"{EMBEDDINGS}/{field}_embeddings.pkl" for field in ("title", "des", "tax"))
SESSIONS = {
    f"{FOLDER}/train.pkl": {0: {0: [0, 3, 1]}, 1: {1: [1, 3, 1], 2: [3, 0]}},
    f"{FOLDER}/val.pkl": {0: {0: [1, 0]}},
    f"{FOLDER}/test.pkl": {0: {0: [3, 4]}},
}
NAMES = ["train/0/0", "train/1/1", "train/1/2", "validation/0/0", "test/0/0"]
ITEMS = [["0", "3", "1"], ["1", "3", "1"], ["3", "0"], ["1", "0"], ["3", "4"]]
ROWS, WIDTH = 6, 4  # no session has the items 2 and 5


def embedding(seed, rows=ROWS, width=WIDTH):
    return torch.rand(rows, width, generator=torch.Generator().manual_seed(seed))


def content(**changes):
    """The archive's values by the end of their path. `changes` replaces values; None leaves one out."""
    values = SESSIONS | {TITLE: embedding(1), DES: embedding(2)}
    values |= {f"{FOLDER}/{file}.pkl": value for file, value in changes.items() if file in AUTHORS.SPLITS}
    fields = {"title": TITLE, "des": DES, "tax": TAX}
    values |= {fields[field]: value for field, value in changes.items() if field in fields}
    return {name: value for name, value in values.items() if value is not None}


def write(mirror, values=None, top="amazonm2/", name="alterrec.zip", protocol=4):
    """Write the archive of `values`. Bytes are written unchanged."""
    folder = mirror / "amazon_m2_authors"
    folder.mkdir(exist_ok=True)
    members = {
        top + member: value if isinstance(value, bytes) else pickle.dumps(value, protocol)
        for member, value in (content() if values is None else values).items()
    }
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, blob in members.items():
                archive.writestr(member, blob)
    else:
        with tarfile.open(folder / name, "w:gz") as archive:
            for member, blob in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(blob)
                archive.addfile(info, io.BytesIO(blob))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    return tmp_path


def config(**changes):
    return AUTHORS.Config(**{"source": "amazon_m2_authors", "locale": "FR"} | changes)


def load(**changes):
    return AUTHORS.load(config(**changes))


def load_error(**changes):
    with pytest.raises(UserError) as error:
        load(**changes)
    return str(error.value)


@pytest.mark.parametrize("name", ["alterrec.zip", "alterrec.tar.gz"])
@pytest.mark.parametrize("top", ["amazonm2/", "", "dataset/amazonm2/"])
def test_sessions_and_splits_are_those_of_the_archive(mirror, top, name):
    write(mirror, top=top, name=name)
    raw = load(archive=f"amazon_m2_authors/{name}")
    assert raw.sessions["session_id"].tolist() == NAMES
    assert raw.sessions["items"].tolist() == ITEMS
    assert raw.sessions["split"].tolist() == ["train"] * 3 + ["validation", "test"]
    assert raw.items["item_id"].tolist() == [str(row) for row in range(ROWS)]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_item_vector_is_the_mean_of_its_embeddings_bit_for_bit(mirror, protocol):
    title, des, tax = embedding(1), embedding(2), embedding(3)
    write(mirror, protocol=protocol)
    two = load()
    write(mirror, content(tax=tax), protocol=protocol)
    three = load()
    assert two.vectors.dtype == np.float32
    assert np.array_equal(two.vectors, ((title + des) / 2).numpy())
    assert np.array_equal(three.vectors, ((tax + title + des) / 3).numpy())
    assert "tax_embeddings.pkl" in " ".join(three.notes)
    assert "tax_embeddings.pkl" not in " ".join(two.notes)


def test_vectors_may_be_doubles_or_numpy_arrays(mirror):
    write(mirror, content(title=embedding(1).double(), des=embedding(2).numpy()))
    assert load().vectors.dtype == np.float32


def test_indices_may_be_numpy_integers_and_sessions_may_be_tuples(mirror):
    write(mirror, content(val={"u": {"s": (np.int64(1), 0)}}))
    sessions = load().sessions.set_index("session_id")
    assert sessions.loc["validation/u/s", "items"] == ["1", "0"]


def test_the_dataset_keeps_the_vector_of_every_item(mirror, tmp_path):
    write(mirror)
    made = prepare(load(), config(), tmp_path / "data")
    data, vectors = Dataset.load(tmp_path / "data"), item_vectors(tmp_path / "data")
    assert list(data.item_id) == list(made.item_id) == ["0", "1", "3", "4"]
    assert [list(data.item_id[data.items_of(row)]) for row in range(5)] == ITEMS
    assert list(data.session_id) == NAMES
    assert data.train_count.tolist() == [2, 3, 3, 0]
    assert np.array_equal(vectors, ((embedding(1) + embedding(2)) / 2).numpy()[[0, 1, 3, 4]])


def encode(folder, name):
    spec = {"name": name, "base": name, "version": 1, "config": {}}
    encode_dataset(folder / "data", spec, folder / "text")


def test_the_encoder_must_be_precomputed(mirror, tmp_path):
    write(mirror)
    prepare(load(), config(), tmp_path / "data")
    encode(tmp_path, "precomputed")
    with pytest.raises(UserError, match="no item of .* has a text; `encoder: precomputed`"):
        encode(tmp_path, "tfidf_svd")


def test_the_card_states_citation_licence_limits_and_counts(mirror, tmp_path):
    write(mirror)
    card = prepare(load(), config(), tmp_path / "data").card
    assert card["config"]["split"] == "given"
    assert "Split as the source gives it." in card["notes"]
    for part in ("2402.08921", "2307.09688", "NeurIPS 2023"):
        assert part in card["citation"]
    for part in ("Apache 2.0", "states no licence"):
        assert part in card["licence"]
    for part in ("no time", "is unknown"):
        assert part in " ".join(card["limits"])
    read = {"train": 3, "validation": 1, "test": 1}
    assert (
        card["counts"].items() >= {f"{split} sessions of the archive": n for split, n in read.items()}.items()
    )
    assert (
        card["counts"].items()
        >= {"rows of vectors": 6, "lowest item index": 0, "highest item index": 4}.items()
    )
    assert list(card["checksums"]) == ["amazon_m2_authors/alterrec.zip"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"split": "temporal"}, "split"), ({"locale": "DE"}, "locale"), ({"locales": ["FR"]}, "locales")],
)
def test_settings_that_the_archive_does_not_allow_are_an_error(settings, message):
    with pytest.raises(UserError, match=message):
        checked(AUTHORS.Config, {"source": "amazon_m2_authors", "locale": "FR"} | settings, "here")


# Other contents


@pytest.mark.parametrize("name", content())
def test_a_missing_member_is_an_error_that_names_it(mirror, name):
    write(mirror, {member: value for member, value in content().items() if member != name})
    assert f"has no member {name!r}" in load_error()


def test_a_missing_locale_is_an_error_that_names_its_folder(mirror):
    write(mirror)
    assert "sess_ES_text_ES/" in load_error(locale="ES")


def test_a_member_that_occurs_twice_is_an_error(mirror):
    twice = {f"{top}/{name}": value for top in ("a", "b") for name, value in content().items()}
    write(mirror, twice, top="")
    assert f"has {TITLE} more than once (a/{TITLE}, b/{TITLE})" in load_error()


def test_members_in_folders_with_similar_names_are_ignored(mirror):
    write(mirror, content() | {f"__MACOSX/{FOLDER}/._train.pkl": b"?", f"x{FOLDER}/train.pkl": b"?"}, top="")
    assert load().sessions["session_id"].tolist() == NAMES


def with_one_value(value):
    rows = embedding(1)
    rows[4, 1] = value
    return rows


def no_rows():
    return torch.empty(0, WIDTH)


VECTORS = {
    "not a number": (
        {"title": with_one_value(np.nan)},
        TITLE,
        "1 of 6 vectors are not finite, the first is row 4",
    ),
    "infinite": ({"des": with_one_value(np.inf)}, DES, "1 of 6 vectors are not finite, the first is row 4"),
    "other rows": (
        {"des": embedding(2, rows=5)},
        EMBEDDINGS,
        "title_embeddings.pkl [6, 4], des_embeddings.pkl [5, 4]",
    ),
    "other width": (
        {"tax": embedding(3, width=3)},
        EMBEDDINGS,
        "tax_embeddings.pkl [6, 3], title_embeddings.pkl [6, 4]",
    ),
    "whole numbers": (
        {"title": torch.ones(6, 4, dtype=torch.int64)},
        TITLE,
        "holds a Tensor of shape [6, 4], not vec",
    ),
    "one dimension": (
        {"title": torch.ones(6)},
        TITLE,
        "of shape [6], not vectors [items, width]",
    ),
    "no rows": ({"title": no_rows(), "des": no_rows()}, TITLE, "of shape [0, 4], not vectors"),
    "a list": ({"title": [[1.0, 2.0]]}, TITLE, "holds a list, not vectors"),
    "strings": ({"title": np.array([["a"]])}, TITLE, "holds a ndarray of shape [1, 1], not vectors"),
}


@pytest.mark.parametrize("case", VECTORS)
def test_invalid_vectors_are_an_error(mirror, case):
    changes, where, message = VECTORS[case]
    write(mirror, content(**changes))
    error = load_error()
    assert where in error
    assert message in error


BAD_SESSIONS = {
    "index beyond the vectors": ([1, 6], "item 6 has no vector, the rows are 0 to 5"),
    "index below 0": ([-1, 1], "item -1 has no vector"),
    "a fraction": ([1, 2.0], "a list, not a list of item indices"),
    "a truth": ([True, 1], "a list, not a list of item indices"),
    "a string": ("12", "a str, not a list of item indices"),
    "strings": (["1", "2"], "a list, not a list of item indices"),
    "lists": ([[1], [2]], "a list, not a list of item indices"),
    "beyond 64 bits": ([2**64], "a list, not a list of item indices"),
    "nothing": (None, "a NoneType, not a list of item indices"),
}


@pytest.mark.parametrize("case", BAD_SESSIONS)
def test_a_malformed_session_is_an_error_or_is_dropped_and_counted(mirror, tmp_path, case):
    items, message = BAD_SESSIONS[case]
    write(mirror, content(val={7: {8: items, 9: [0, 1]}}))
    error = load_error()
    assert error.startswith(f"alterrec.zip, amazonm2/{FOLDER}/val.pkl: user 7, session 8: {message}")
    assert "on_error: drop" in error
    raw = load(on_error="drop")
    assert "validation/7/9" in set(raw.sessions["session_id"])
    assert "validation/7/8" not in set(raw.sessions["session_id"])
    card = prepare(raw, config(on_error="drop"), tmp_path / "data").card
    dropped = {what: n for what, n in card["counts"].items() if "val.pkl dropped" in what}
    assert list(dropped.values()) == [1]


def test_a_user_without_sessions_is_an_error_or_is_dropped_and_counted(mirror):
    write(mirror, content(test={7: [[0, 1]], 8: {8: [0, 1]}}))
    assert "test.pkl: user 7: a list, not {session: [item indices]}" in load_error()
    raw = load(on_error="drop")
    assert raw.sessions["session_id"].tolist()[-1] == "test/8/8"
    assert [n for what, n in raw.counts.items() if "test.pkl dropped" in what] == [1]


def test_a_split_in_another_layout_is_an_error(mirror):
    write(mirror, content(train=[[0, 1]]))
    assert f"{FOLDER}/train.pkl holds a list, not {{user: {{session: [item indices]}}}}" in load_error(
        on_error="drop"
    )


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("where", ["train", "val", "test", "title", "des", "tax"])
def test_a_member_that_would_execute_code_is_an_error(mirror, tmp_path, where):
    marker = tmp_path / "marker"
    write(mirror, content(**{where: {0: Evil(marker)}}))
    error = load_error()
    assert (
        f"{where}_embeddings.pkl" in error if where in ("title", "des", "tax") else f"/{where}.pkl" in error
    )
    assert f"asks for '{os.system.__module__}.system'" in error
    assert not marker.exists()


@pytest.mark.parametrize("name", content())
def test_a_truncated_member_is_an_error_that_names_it(mirror, name):
    blob = pickle.dumps(content()[name])
    write(mirror, content() | {name: blob[: len(blob) // 2]})
    assert f"{name} is broken, truncated or not a pickle" in load_error()


def test_a_missing_or_broken_archive_is_an_error(mirror):
    assert "amazon_m2_authors/alterrec.zip" in load_error()
    (mirror / "amazon_m2_authors").mkdir()
    (mirror / "amazon_m2_authors" / "alterrec.zip").write_bytes(b"<html>")
    assert "alterrec.zip is broken, truncated or not an archive" in load_error()
