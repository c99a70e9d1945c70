"""Digests of arrays depend on content alone."""

import hashlib

import numpy as np
import pytest

from pipeline.core.digests import digest

WEIGHTS = {
    "fc.weight": np.array([[1.0, -2.0], [0.5, 0.0]], np.float32),
    "fc.bias": np.array([3.0], np.float32),
}


def test_the_digest_is_the_hash_of_names_types_shapes_and_little_endian_bytes():
    expected = hashlib.sha256()
    expected.update(b"('fc.bias', '<f4', (1,))" + bytes.fromhex("00004040"))
    expected.update(b"('fc.weight', '<f4', (2, 2))")
    expected.update(bytes.fromhex("0000803f 000000c0 0000003f 00000000"))
    assert digest(WEIGHTS) == expected.hexdigest()


def test_the_digest_never_changes():
    golden = "0a40ebe44f16d68d2f1e94a7e68d1e10aa9f0b91327626bf8462bc089c57c57b"
    assert digest(WEIGHTS) == golden
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest({}) == empty


def test_order_of_names_memory_layout_and_byte_order_do_not_matter():
    reordered = {name: WEIGHTS[name] for name in reversed(WEIGHTS)}
    fortran = {name: np.asfortranarray(values) for name, values in WEIGHTS.items()}
    strided = {name: np.repeat(values, 2, axis=0)[::2] for name, values in WEIGHTS.items()}
    big_endian = {name: values.astype(">f4") for name, values in WEIGHTS.items()}
    for same in (reordered, fortran, strided, big_endian):
        assert digest(same) == digest(WEIGHTS)


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.array([1.0, 0.0], np.float32)},
        {"a": np.array([1.0, 0.0], np.float64)},
        {"a": np.array([[1.0, 0.0]], np.float32)},
        {"a": np.array([1.0, -0.0], np.float32)},
        {"a": np.array([0.0, 1.0], np.float32)},
        {"a": np.array([1.0, 0.0], np.float32), "b": np.array([], np.float32)},
        {"a": np.array([True, False])},
    ],
    ids=["name", "type", "shape", "minus-zero", "order", "one-more", "mask"],
)
def test_every_difference_changes_the_digest(other):
    assert digest(other) != digest({"a": np.array([1.0, 0.0], np.float32)})


def test_scalars_empty_arrays_and_masks_have_digests():
    arrays = {
        "scalar": np.array(7, np.int64),
        "empty": np.zeros((0, 3), np.float32),
        "mask": np.array([True, False]),
    }
    before = {name: values.copy() for name, values in arrays.items()}
    assert len(digest(arrays)) == 64
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)
