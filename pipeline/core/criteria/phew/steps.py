"""The tables from which walks draw their steps, in proportion to the sizes of weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.core.criteria.phew.walking import At, Bools
from pipeline.core.models.layers import Residual

Numbers = NDArray[np.float64]


class Table:
    """Draws columns of a matrix in proportion to the sizes in the row that is asked for.

    The cumulated probabilities of all rows stand one behind the other, those of row r
    between r and r + 1. A guide says for each of as many equal parts of a row as it has
    columns where the search may begin, so that few steps are left.
    """

    def __init__(self, sizes: Numbers) -> None:
        """Take the sizes (rows, columns); a row of zeros must never be asked for."""
        cumulated = np.cumsum(sizes, axis=1)
        total = cumulated[:, -1:]
        rows = np.arange(len(sizes))[:, None]
        within = (cumulated / np.where(total > 0, total, 1) + rows).ravel()
        self._columns = sizes.shape[1]
        # Rounding may move a number below its part by less than this.
        begins = rows + np.arange(self._columns) / self._columns - 1e-9
        self._guide = np.searchsorted(within, begins.ravel(), side="right")
        self._cumulated = np.append(within, np.inf)

    def draw(self, rows: Integers, rng: np.random.Generator) -> Integers:
        """One column for each of these rows."""
        chance = rng.random(len(rows))
        first = rows * self._columns
        wanted = rows + chance
        at = self._guide[first + (chance * self._columns).astype(np.int64)]
        below = np.flatnonzero(self._cumulated[at] <= wanted)
        while len(below):
            at[below] += 1
            below = below[self._cumulated[at[below]] <= wanted[below]]
        found: Integers = np.clip(at - first, 0, self._columns - 1)
        return found


class Steps:
    """Steps through one kernel, forward and backward."""

    def __init__(self, kernel: Floats) -> None:
        """Take a kernel (outputs, inputs) or (outputs, inputs, k, k).

        Raises:
            ValueError: if a unit has no weight but 0, so that no walk can go on from it.
        """
        sizes = np.abs(kernel.astype(np.float64)).reshape(*kernel.shape[:2], -1)
        self.outputs, self.inputs, self.area = sizes.shape
        self.sizes = sizes
        """|W|, (outputs, inputs, area)"""
        self.links = sizes.sum(axis=2)
        """their sums over the kernels between two units, (outputs, inputs)"""
        if not (self.links.any(axis=0).all() and self.links.any(axis=1).all()):
            raise ValueError("a unit has no weight but 0, so no walk can go on from it")
        self._ahead = Table(self.links.T)
        self._back = Table(self.links)
        inside = sizes.reshape(-1, self.area) if self.area > 1 else None
        self._inside = None if inside is None else Table(inside)

    def forward(self, at: At, rng: np.random.Generator) -> tuple[At, Integers]:
        """Step to an output; behind a Flatten first to a position of the channel."""
        factor = self.inputs // at.num_units
        units = at.units
        if factor > 1:
            units = units * factor + rng.integers(factor, size=len(units))
        outputs = self._ahead.draw(units, rng)
        there = arrived(at, outputs, self.outputs)
        return there, self._places(outputs, units, rng)

    def backward(self, at: At, rng: np.random.Generator) -> tuple[At, Integers]:
        """Step to an input; before a Flatten first to the channel of the position."""
        units = at.units // (at.num_units // self.outputs)
        inputs = self._back.draw(units, rng)
        there = arrived(at, inputs, self.inputs)
        return there, self._places(units, inputs, rng)

    def _places(
        self, outputs: Integers, inputs: Integers, rng: np.random.Generator
    ) -> Integers:
        link: Integers = outputs * self.inputs + inputs
        if self._inside is None:
            return link
        places: Integers = link * self.area + self._inside.draw(link, rng)
        return places


def arrived(at: At, units: Integers, num_units: int) -> At:
    """Walks behind a kernel."""
    return At(walks=at.walks, units=units, num_units=num_units, seeks=at.seeks)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plain:
    """Draws steps as the method says, one walk like the other."""

    steps: Mapping[str, Steps]
    rng: np.random.Generator
    ahead: bool

    def step(self, name: str, at: At) -> tuple[At, Integers]:
        """In proportion to the sizes of the weights from the unit."""
        steps = self.steps[name]
        return (steps.forward if self.ahead else steps.backward)(at, self.rng)

    def aside(self, block: Residual, at: At) -> Bools:  # noqa: ARG002 - the same for each
        """Half of the walks."""
        return self.rng.random(len(at.walks)) < 0.5
