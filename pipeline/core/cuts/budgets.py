"""Divide a number of weights among layers as random sparse graphs do (ER and ERK)."""

from collections.abc import Mapping
from fractions import Fraction
from math import prod

Shape = tuple[int, ...]


def erdos_renyi(shapes: Mapping[str, Shape], total: int, *, areas: bool) -> dict[str, int]:
    """The number of weights that each tensor keeps, with exactly the total asked for.

    A tensor's density is proportional to (inputs + outputs) / (inputs × outputs), at most
    1: what tensors at density 1 cannot take goes to the others. Fractions of a weight go
    to the tensors with the largest remainders, the earlier of equal ones first.

    Sources: Mocanu et al. 2018, arXiv:1707.04780 (ER); Evci et al. 2020,
    arXiv:1911.11134, section 3 (ERK, which counts the sides of the kernel as well). Their
    program floors the number of zeros per tensor, so that its total can exceed the budget.

    Args:
        shapes: of the tensors, (outputs, inputs) or (outputs, inputs, k, k).
        total: number of weights to keep, from 0 to the size of all tensors.
        areas: whether k + k is added to inputs and outputs, and k × k counts: ERK.

    Raises:
        ValueError: if the total is out of range.

    >>> lenet = {"fc1": (300, 784), "fc2": (100, 300), "out": (10, 100)}
    >>> erdos_renyi(lenet, 26_620, areas=True)
    {'fc1': 18714, 'fc2': 6906, 'out': 1000}
    """
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    if not 0 <= total <= sum(sizes.values()):
        raise ValueError(f"{total} weights of {sum(sizes.values())} cannot be kept")
    sides = {name: shape if areas else shape[:2] for name, shape in shapes.items()}
    raw = {name: Fraction(sum(side), prod(side)) for name, side in sides.items()}
    full: set[str] = set()
    while True:
        rest = [name for name in sizes if name not in full]
        budget = total - sum(sizes[name] for name in full)
        share = sum(raw[name] * sizes[name] for name in rest)
        scale = Fraction(budget) / share if rest else Fraction(0)
        highest = max((raw[name] for name in rest), default=Fraction(0))
        if highest * scale <= 1:
            break
        full |= {name for name in rest if raw[name] == highest}
    exact = {
        name: Fraction(sizes[name]) if name in full else scale * raw[name] * sizes[name]
        for name in sizes
    }
    return _rounded(exact, total)


def _rounded(exact: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Integers with the given sum, by the method of largest remainders."""
    counts = {name: int(value) for name, value in exact.items()}
    order = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in order[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
