"""PHEW: random walks through the network that prefer large weights, at initialization.

Patil & Dovrolis 2021, "PHEW: constructing sparse networks that learn fast and generalize
well without training data", arXiv:2010.11354. Walks go forward from the inputs and
backward from the outputs by turns; their starts go round. From a unit the next one is
drawn with probability proportional to Σ|W| over the kernel between both; inside the kernel
one position is drawn in proportion to its |W|. Weights that walks visit are kept: the cut
``paths`` says how many walks that takes.

At a block whose shortcut is a convolution a walk takes the shortcut or the block's body
with equal chance; an identity is never walked on, as in the authors' program. Deviation:
the program prunes the biases of units that no walk visits; here biases are never pruned.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers, Weights
from pipeline.core.criteria.evidence import Evidence, Visits
from pipeline.core.models.layers import (
    Conv,
    Layers,
    Linear,
    Network,
    Residual,
    kernels,
    layers_of,
)

TOGETHER = 4_096
"""walks that are drawn together"""


def phew(evidence: Evidence) -> Iterator[list[Visits]]:
    """The weights that walks through θ₀ visit, batch after batch without end.

    Raises:
        ValueError: if a unit has no weight but 0, so that no walk can go on from it.
    """
    assert evidence.rng is not None, "its record says that it draws"
    walker = _Walker(evidence.network, evidence.theta0, evidence.rng)
    while True:
        yield walker.walks()


class _Walker:
    """Random walks through a network, and how far their starts have gone round."""

    def __init__(
        self, network: Network, weights: Weights, rng: np.random.Generator
    ) -> None:
        self._network = network
        self._rng = rng
        self._steps = {name: _Steps(weights[name]) for name in kernels(network)}
        names = list(self._steps)
        self._num_inputs = self._steps[names[0]].inputs
        self._num_outputs = self._steps[names[-1]].outputs
        self._begun = 0

    def walks(self) -> list[Visits]:
        """What the next walks visit; even ones go forward, odd ones backward."""
        walks = np.arange(self._begun, self._begun + TOGETHER)
        self._begun += TOGETHER
        found: list[Visits] = []
        for ahead, num in ((True, self._num_inputs), (False, self._num_outputs)):
            mine = walks[::2] if ahead else walks[1::2]
            begin = _At(walks=mine, units=mine // 2 % num, num_units=num)
            self._walk(layers_of(self._network), begin, found, ahead=ahead)
        return found

    def _walk(
        self, network: Layers, at: "_At", found: list[Visits], *, ahead: bool
    ) -> "_At":
        """Go through layers, forward or backward; note the weights on the way."""
        for layer in network if ahead else reversed(network):
            if isinstance(layer, Residual):
                at = self._through(layer, at, found, ahead=ahead)
            elif isinstance(layer, Linear | Conv):
                name = f"{layer.name}.weight"
                step = self._steps[name].forward if ahead else self._steps[name].backward
                at, places = step(at, self._rng)
                found.append(Visits(tensor=name, walks=at.walks, places=places))
        return at

    def _through(
        self, layer: Residual, at: "_At", found: list[Visits], *, ahead: bool
    ) -> "_At":
        """Go through a block: by its body, or by a shortcut that has weights."""
        if not layer.shortcut:
            return self._walk(layer.body, at, found, ahead=ahead)
        aside = self._rng.random(len(at.walks)) < 0.5
        units = np.empty_like(at.units)
        num = at.num_units
        for branch, chosen in ((layer.body, ~aside), (layer.shortcut, aside)):
            part = _At(walks=at.walks[chosen], units=at.units[chosen], num_units=num)
            arrived = self._walk(branch, part, found, ahead=ahead)
            units[chosen] = arrived.units
        return _At(walks=at.walks, units=units, num_units=arrived.num_units)


@dataclass(frozen=True, kw_only=True, slots=True)
class _At:
    """Where walks are: between two layers."""

    walks: Integers
    """their numbers, int64 (B,)"""
    units: Integers
    """the unit at which each stands, int64 (B,)"""
    num_units: int
    """number of units there"""


class _Steps:
    """The tables from which steps through one kernel are drawn."""

    def __init__(self, kernel: Floats) -> None:
        """Take a kernel (outputs, inputs) or (outputs, inputs, k, k)."""
        sizes = np.abs(kernel.astype(np.float64)).reshape(*kernel.shape[:2], -1)
        self.outputs, self.inputs, self._area = sizes.shape
        links = sizes.sum(axis=2)  # (outputs, inputs)
        self._ahead = _Table(links.T)
        self._back = _Table(links)
        inside = sizes.reshape(-1, self._area) if self._area > 1 else None
        self._inside = None if inside is None else _Table(inside)

    def forward(self, at: _At, rng: np.random.Generator) -> tuple[_At, Integers]:
        """Step to an output; behind a Flatten first to a position of the channel."""
        factor = self.inputs // at.num_units
        units = at.units
        if factor > 1:
            units = units * factor + rng.integers(factor, size=len(units))
        outputs = self._ahead.draw(units, rng)
        there = _At(walks=at.walks, units=outputs, num_units=self.outputs)
        return there, self._places(outputs, units, rng)

    def backward(self, at: _At, rng: np.random.Generator) -> tuple[_At, Integers]:
        """Step to an input; before a Flatten first to the channel of the position."""
        units = at.units // (at.num_units // self.outputs)
        inputs = self._back.draw(units, rng)
        there = _At(walks=at.walks, units=inputs, num_units=self.inputs)
        return there, self._places(units, inputs, rng)

    def _places(
        self, outputs: Integers, inputs: Integers, rng: np.random.Generator
    ) -> Integers:
        link: Integers = outputs * self.inputs + inputs
        if self._inside is None:
            return link
        places: Integers = link * self._area + self._inside.draw(link, rng)
        return places


class _Table:
    """Draws columns of a matrix in proportion to the sizes in the row that is asked for.

    The cumulated probabilities of all rows stand one behind the other, those of row r
    between r and r + 1. A guide says for each of as many equal parts of a row as it has
    columns where the search may begin, so that few steps are left.
    """

    def __init__(self, sizes: NDArray[np.float64]) -> None:
        """Take the sizes (rows, columns); each row needs one above 0."""
        cumulated = np.cumsum(sizes, axis=1)
        if not np.all(cumulated[:, -1] > 0):
            raise ValueError("a unit has no weight but 0, so no walk can go on from it")
        rows = np.arange(len(sizes))[:, None]
        within = (cumulated / cumulated[:, -1:] + rows).ravel()
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
