"""Vectors in registers against numpy."""

import numba
import numpy as np
import pytest

from pipeline.core import seeding
from pipeline.engines.shared import vectors
from pipeline.engines.shared.caching import kernel


@kernel
def _turned(source, target, size):
    for row in range(0, size, 16):
        for column in range(0, size, 16):
            out = (np.uint64(row * size + column), np.uint64(size))
            into = (np.uint64(column * size + row), np.uint64(size))
            vectors.turn(source, out, target, into)


@kernel
def _only(source, bits, target, shape):
    first = np.uint64(0)
    chosen = vectors.only(vectors.load(source, first, shape), bits, first)
    vectors.store(target, first, chosen)


@kernel
def _is_blank(matrix, at, shape):
    return vectors.is_blank(matrix, np.uint64(at), shape)


@kernel
def _product(a, b, target, shape):
    first = np.uint64(0)
    rows = vectors.load(a, first, shape), vectors.load(b, first, shape)
    vectors.store(target, first, vectors.product(*rows))


def test_rows_become_columns():
    matrix = np.arange(48 * 48, dtype=np.float32)
    target = np.empty_like(matrix)
    _turned(matrix, target, 48)
    assert np.array_equal(target.reshape(48, 48), matrix.reshape(48, 48).T)


@pytest.mark.parametrize("vectors_of_16", [1, 2, 4])
def test_one_bit_per_weight_says_what_counts(vectors_of_16):
    rng = seeding.generator(0, "mask_sample")
    size = 16 * vectors_of_16
    kept = rng.random(size) < 0.5
    source = np.full(size, np.nan, np.float32)
    source[kept] = rng.random(np.count_nonzero(kept))
    target = np.ones_like(source)
    bits = np.packbits(kept, bitorder="little").view(np.uint16)
    _only(source, bits, target, (0,) * vectors_of_16)
    assert np.array_equal(target, np.where(kept, source, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.uint32])
@pytest.mark.parametrize("vectors_of_16", [2, 4, 8])
def test_a_row_is_blank_if_all_columns_are_0(vectors_of_16, dtype):
    size = 16 * vectors_of_16
    shape = (0,) * vectors_of_16
    columns = size if dtype == np.float32 else size // 2
    for place in range(columns):
        matrix = np.zeros(3 * columns, dtype)
        matrix[columns + place] = 1
        found = [_is_blank(matrix, row * size, shape) for row in range(3)]
        assert found == [True, False, True]


@pytest.mark.parametrize("vectors_of_16", [2, 4])
def test_products_are_summed_up_over_every_16th_lane(vectors_of_16):
    size = 16 * vectors_of_16
    a, b = seeding.generator(0, "init").random((2, size), dtype=np.float32)
    target = np.zeros(16, np.float32)
    _product(a, b, target, (0,) * vectors_of_16)
    np.testing.assert_allclose(target, (a * b).reshape(-1, 16).sum(axis=0), rtol=1e-6)


def test_the_exponential_is_exact_to_2_in_10_million():
    @numba.njit
    def exponential(source, target, shape):
        vectors.store(
            target,
            np.uint64(0),
            vectors.exp(vectors.load(source, 0, shape)),
        )

    exponents = np.linspace(-86, 0, 64, dtype=np.float32)
    found = np.empty_like(exponents)
    exponential(exponents, found, (0, 0, 0, 0))
    np.testing.assert_allclose(found, np.exp(exponents.astype(np.float64)), rtol=2e-7)
