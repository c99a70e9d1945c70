"""Tables of an operation as token sequences: ``a ∘ b =`` with the answer as its class.

Source of the operations: Power et al. 2022 (arXiv:2201.02177), appendix A.1, and the
authors' code (openai/grok). Deviation: there a sequence also has the answer, with ``<eos>``
on both sides, and the loss covers the answer and the closing ``<eos>``. Here the answer is
a class, which the last position is asked for, so that no network reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding
from pipeline.core.arrays import Integers
from pipeline.core.fields import OneOf

OPERATIONS: Mapping[str, Callable[[Integers, Integers, int], Integers]] = {
    "x + y": lambda x, y, p: (x + y) % p,
    "x - y": lambda x, y, p: (x - y) % p,
    "x / y": lambda x, y, p: _quotients(x, y, p),
    "x / y if y is odd, else x - y": lambda x, y, p: np.where(
        y % 2 == 1, _quotients(x, y, p), (x - y) % p
    ),
    "x^2 + y^2": lambda x, y, p: (x**2 + y**2) % p,
    "x^2 + xy + y^2": lambda x, y, p: (x**2 + x * y + y**2) % p,
    "x^2 + xy + y^2 + x": lambda x, y, p: (x**2 + x * y + y**2 + x) % p,
    "x^3 + xy": lambda x, y, p: (x**3 + x * y) % p,
    "x^3 + xy^2 + y": lambda x, y, p: (x**3 + x * y**2 + y) % p,
    "xy in S5": lambda x, y, _: _product(x, y),
    "xyx^-1 in S5": lambda x, y, _: _product(_product(x, y), _inverse(x)),
    "xyx in S5": lambda x, y, _: _product(_product(x, y), x),
}
"""name -> what it makes of two arrays of elements and the modulus"""
SYMMETRIC = ("x + y", "x^2 + y^2", "x^2 + xy + y^2")
"""operations that give the same for both orders"""
_S5 = np.array(list(permutations(range(5))), np.int64)
"""the permutations of five things, in lexical order, (120, 5)"""
_S5_NUMBER = {tuple(one): number for number, one in enumerate(_S5.tolist())}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic:
    """The table of one operation."""

    operation: Annotated[str, OneOf(OPERATIONS)]
    """what is computed of two elements"""
    modulus: int | None = None
    """a number of elements, at least 2; null for permutations, which have 120. Where there
    is a division it must be prime"""
    train: float = 0.5
    """share of the table to train on; half of the rest validates, the other half tests"""
    unordered: bool = False
    """whether (a, b) and (b, a) are one example, which stands there once with a ≤ b"""
    signs: bool = True
    """whether sequences are ``a ∘ b =`` with tokens for both signs, or ``a b`` alone"""

    def __post_init__(self) -> None:
        """Refuse values that do not go together."""
        if self.operation not in OPERATIONS:
            raise ValueError(
                f"operation is {self.operation!r}; give one of {', '.join(OPERATIONS)}"
            )
        if (self.modulus is None) != self.operation.endswith("S5"):
            raise ValueError(
                f"modulus is {self.modulus or 'null'} for {self.operation!r}; give a "
                "number of elements, and null for permutations"
            )
        if self.modulus is not None and not 2 <= self.modulus <= 1000:
            raise ValueError(f"modulus is {self.modulus}; give 2 to 1000")
        if "/" in self.operation and not _is_prime(self.modulus or 0):
            raise ValueError(
                f"modulus is {self.modulus}, and only a prime has quotients; give a prime, "
                "such as 97"
            )
        if self.unordered and self.operation not in SYMMETRIC:
            raise ValueError(
                f"unordered pairs need an operation that gives the same for both orders: "
                f"{', '.join(SYMMETRIC)}; found {self.operation!r}"
            )
        if not 0 < self.train < 1:
            raise ValueError(f"train is {self.train}; give a share in (0, 1)")


def arrays(asked: Arithmetic) -> dict[str, NDArray[Any]]:
    """The table, divided: inputs, labels and vocabulary as ``arrays.dataset`` takes them.

    Elements are the tokens 0 … n - 1; with signs, n is the operation and n + 1 ``=``. A
    division has no row with divisor 0: for p = 97 there are 9,312 of them. The split is
    drawn from stream ``split`` of seed 0, so that it is the same for all replicates.
    """
    number = asked.modulus or len(_S5)
    x, y = (table.ravel() for table in np.indices((number, number), np.int64))
    kept = (y > 0) if "/" in asked.operation else np.ones(len(x), np.bool_)
    if asked.unordered:
        kept &= x <= y
    x, y = x[kept], y[kept]
    answers = OPERATIONS[asked.operation](x, y, number)
    signs = [np.full(len(x), number), np.full(len(x), number + 1)]
    columns = [x, signs[0], y, signs[1]] if asked.signs else [x, y]
    inputs = np.stack(columns, axis=1).astype(np.int64)
    order = seeding.generator(0, "split").permutation(len(x))
    first = round(asked.train * len(x))
    ends = [first, first + (len(x) - first) // 2]
    found: dict[str, NDArray[Any]] = {
        "vocabulary": np.array(number + 2 * asked.signs),
    }
    names = ("train", "validation", "test")
    for name, at in zip(names, np.split(order, ends), strict=True):
        found |= {f"{name}_inputs": inputs[at], f"{name}_labels": answers[at]}
    return found


def _quotients(x: Integers, y: Integers, p: int) -> Integers:
    """Quotients modulo a prime, by Fermat; 0 where y is 0."""
    inverses = np.array([pow(int(one), p - 2, p) for one in range(p)], np.int64)
    return x * inverses[y] % p


def _product(x: Integers, y: Integers) -> Integers:
    """First y, then x."""
    return _numbers(np.take_along_axis(_S5[x], _S5[y], axis=1))


def _inverse(x: Integers) -> Integers:
    return _numbers(np.argsort(_S5[x], axis=1))


def _numbers(found: Integers) -> Integers:
    return np.array([_S5_NUMBER[tuple(one)] for one in found.tolist()], np.int64)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))
