"""Tables of operations: every row is right, once, and in one part."""

import re
from itertools import product

import numpy as np
import pytest

from pipeline.core.description import Classes, Tokens
from pipeline.data.own.arithmetic import OPERATIONS, Arithmetic, arrays
from pipeline.data.own.read import read
from pipeline.data.own.source import Source

P = 7
ORDINARY = [name for name in OPERATIONS if not name.endswith("S5")]
PARTS = ("train", "validation", "test")


def rows(asked: Arithmetic) -> dict[tuple[int, ...], int]:
    found = arrays(asked)
    pairs = [
        (tuple(row), int(answer))
        for part in PARTS
        for row, answer in zip(
            found[f"{part}_inputs"].tolist(), found[f"{part}_labels"], strict=True
        )
    ]
    assert len(dict(pairs)) == len(pairs)  # no row stands there twice
    return dict(pairs)


def value(expression: str, x: int, y: int) -> int:
    """The operation read from its own name, slowly."""
    if expression.startswith("x / y"):
        if "odd" in expression and y % 2 == 0:
            return (x - y) % P
        return next(z for z in range(P) if z * y % P == x)
    text = re.sub(r"([xy])(?=[xy])", r"\1*", expression).replace("^", "**")
    return int(eval(text, {}, {"x": x, "y": y})) % P


@pytest.mark.parametrize("operation", ORDINARY)
def test_every_row_is_right(operation: str) -> None:
    found = rows(Arithmetic(operation=operation, modulus=P))
    divisors = range("/" in operation, P)
    assert found == {
        (x, P, y, P + 1): value(operation, x, y) for x, y in product(range(P), divisors)
    }


def test_permutations_form_a_group() -> None:
    def table(operation: str) -> np.ndarray:
        found = rows(Arithmetic(operation=operation, signs=False))
        return np.array([[found[x, y] for y in range(120)] for x in range(120)])

    times = table("xy in S5")
    assert all(sorted(row) == list(range(120)) for row in times.tolist())
    assert times[0].tolist() == list(range(120))  # the first one moves nothing
    x, y, z = np.random.default_rng(0).integers(120, size=(3, 500))
    assert (times[times[x, y], z] == times[x, times[y, z]]).all()
    assert (table("xyx in S5")[x, y] == times[times[x, y], x]).all()
    inverse = np.argmin(times, axis=1)
    assert (table("xyx^-1 in S5")[x, y] == times[times[x, y], inverse[x]]).all()


def test_sizes_are_those_of_the_sources() -> None:
    division = arrays(Arithmetic(operation="x / y", modulus=97))
    assert sum(len(division[f"{part}_labels"]) for part in PARTS) == 9_312
    asked = Arithmetic(
        operation="x + y", modulus=67, train=0.4, unordered=True, signs=False
    )
    pairs = arrays(asked)
    assert [len(pairs[f"{part}_labels"]) for part in PARTS] == [911, 683, 684]
    assert pairs["vocabulary"] == 67


def test_it_is_a_data_set_of_tokens_in_classes(tmp_path) -> None:
    asked = Arithmetic(operation="x + y", modulus=P)
    data = read("sums", Source(arithmetic=asked), tmp_path)
    assert data.description.inputs == Tokens(length=4, vocabulary=P + 2)
    assert data.description.labels == Classes(number=P)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operation": "x * y"}, "operation is 'x \\* y'; give one of x \\+ y"),
        ({"modulus": None}, "modulus is null for 'x \\+ y'"),
        ({"operation": "xy in S5"}, "null for permutations"),
        ({"modulus": 1}, "give 2 to 1000"),
        ({"operation": "x / y", "modulus": 8}, "only a prime has quotients"),
        ({"operation": "x - y", "unordered": True}, "unordered pairs need"),
        ({"train": 1.0}, "give a share in"),
    ],
)
def test_what_makes_no_table_is_refused(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        Arithmetic(**{"operation": "x + y", "modulus": P} | wrong)
