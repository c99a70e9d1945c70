"""Few of all combinations, in which still every two values meet: what a fast test takes.

A fault mostly needs two values to show. The fast suite runs such a cover of a product, and
the slow one the rest of it.
"""

from collections.abc import Collection, Hashable
from itertools import combinations, product

import pytest
from _pytest.mark.structures import ParameterSet

Row = tuple[Hashable, ...]


def covered(*factors: Collection[Hashable]) -> list[ParameterSet]:
    """Every combination of one value of each factor; those outside a cover are ``slow``.

    To be the second argument of ``pytest.mark.parametrize``.
    """
    fast = set(pairwise(*factors))
    return [
        pytest.param(*row, marks=[] if row in fast else [pytest.mark.slow])
        for row in product(*factors)
    ]


def pairwise(*factors: Collection[Hashable]) -> list[Row]:
    """Combinations in which every pair of values of two factors occurs.

    Args:
        factors: two or more, each with its distinct values.

    Returns:
        Nearly as few as can be: each is the first of those with the most new pairs.
    """
    rows = [(row, _pairs(row)) for row in product(*factors)]
    missing = set[tuple[int, int, Hashable, Hashable]]().union(*(p for _, p in rows))
    found = []
    while missing:
        row, pairs = max(rows, key=lambda candidate: len(missing & candidate[1]))
        found.append(row)
        missing -= pairs
    return found


def _pairs(row: Row) -> set[tuple[int, int, Hashable, Hashable]]:
    return {(i, j, row[i], row[j]) for i, j in combinations(range(len(row)), 2)}
