"""Operations on vectors in registers agree with numpy."""

import numba
import numpy as np
import pytest

from pipeline.core import seeding
from pipeline.engines.shared import rows, sums, vectors
from pipeline.engines.shared.caching import kernel


@kernel
def _turned(source, target, size):
    for row in range(0, size, 16):
        for column in range(0, size, 16):
            out = (np.uint64(row * size + column), np.uint64(size))
            into = (np.uint64(column * size + row), np.uint64(size))
            rows.turn(source, out, target, into)


@kernel
def _only(source, bits, target, shape):
    first = np.uint64(0)
    chosen = vectors.only(vectors.load(source, first, shape), bits, first)
    vectors.store(target, first, chosen)


@kernel
def _is_blank(matrix, at, shape):
    return vectors.is_blank(matrix, np.uint64(at), shape)


@kernel
def _product(a, b, target, shape, turns):
    first = np.uint64(0)
    pair = vectors.load(a, first, shape), vectors.load(b, first, shape)
    vectors.store(target, first, sums.product(*pair, turns))


@kernel
def _scaled(source, target, shape, stride):
    """Relu(2 · source) of a tile, and the sums of its vectors."""
    place = (np.uint64(32), np.uint64(stride))
    two, zero = vectors.splat(np.float32(2), shape), vectors.splat(np.float32(0), shape)
    tile = vectors.larger(zero, vectors.mul(two, vectors.load(source, place, shape)))
    vectors.store(target, place, tile)
    vectors.store(target, np.uint64(0), sums.part_sum(tile))


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


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("vectors_of_16", [1, 2, 4])
def test_products_are_summed_up_over_every_16th_lane(vectors_of_16, turns):
    size = 16 * vectors_of_16
    a, b = seeding.generator(0, "init").random((2, size), dtype=np.float32)
    target = np.zeros(16, np.float32)
    _product(a, b, target, (0,) * vectors_of_16, (0,) * turns)
    np.testing.assert_allclose(target, (a * b).reshape(-1, 16).sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("num_rows", "num_columns"), [(1, 1), (1, 4), (2, 2), (3, 1)])
def test_a_tile_is_read_from_its_rows_and_written_to_them(num_rows, num_columns):
    width, stride = 16 * num_columns, 80
    source = seeding.generator(0, "init").normal(size=32 + 3 * stride).astype(np.float32)
    expected = np.full_like(source, 7)
    total = np.zeros(16, np.float32)
    for row in range(num_rows):
        here = slice(32 + row * stride, 32 + row * stride + width)
        expected[here] = np.maximum(2 * source[here], 0)
        total += expected[here].reshape(-1, 16).sum(axis=0)
    target = np.full_like(source, 7)
    _scaled(source, target, ((0,) * num_rows, (0,) * num_columns), stride)
    np.testing.assert_array_equal(target[16:], expected[16:])
    np.testing.assert_allclose(target[:16], total, rtol=1e-6)


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
