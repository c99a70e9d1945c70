"""Draw only the walks that reach a new weight.

Late in a dense mask one walk in thousands visits a weight that none visited before; the
others change nothing. Here only those that do are drawn, with the numbers that they would
have among all walks: for every unit the chance that a walk from there visits something new
is known (a sum over the kernel, from the last kernel back to the first), which walks do is
then a matter of independent draws, and so is the way of one that does, step by step. The
masks have the same distribution; they are other draws of it.
"""

from collections.abc import Mapping
from math import ceil

import numpy as np

from pipeline.core.arrays import Integers, Mask
from pipeline.core.criteria.phew.steps import Numbers, Steps, Table
from pipeline.core.criteria.phew.walking import At, Bools
from pipeline.core.models.layers import Conv, Layers, Linear, Residual

SURE = 1 - 2**-53
"""chance that counts as certainty"""


class Seeking:
    """Draws the steps of walks that will visit something new, in one direction."""

    def __init__(
        self,
        layers: Layers,
        steps: Mapping[str, Steps],
        visited: Mask,
        rng: np.random.Generator,
        *,
        ahead: bool,
    ) -> None:
        """Find the chances.

        Args:
            layers: of the network.
            steps: through each of its kernels.
            visited: by earlier walks; kernels without an entry hold nothing new.
            rng: of all draws.
            ahead: whether walks go from inputs to outputs.
        """
        self.ahead = ahead
        self._rng = rng
        self._plain = steps
        self._kernels: dict[str, _Kernel] = {}
        self._branches: dict[int, tuple[Numbers, Numbers]] = {}
        last = list(steps.values())[-1 if ahead else 0]
        nothing = np.zeros(last.outputs if ahead else last.inputs)
        self.chances = self._found(layers, nothing, visited)
        """that a walk from a start visits something new"""

    def numbers(self, begin: int, turns: int) -> Integers:
        """Those of the turns from ``begin`` on whose walk visits something new."""
        rates = -np.log1p(-np.minimum(self.chances, SURE))
        cumulated = np.cumsum(rates)
        num, whole = len(rates), cumulated[-1]
        offset = begin % num
        low, high = (
            whole * (turn // num) + cumulated[turn % num] - rates[turn % num]
            for turn in (offset, offset + turns)
        )
        # A turn is one with news if at least one event of a Poisson process falls on it.
        events = self._rng.uniform(low, high, self._rng.poisson(high - low))
        cycles, rest = np.divmod(events, whole) if whole else (events, events)
        within = np.minimum(np.searchsorted(cumulated, rest, side="right"), num - 1)
        found: Integers = np.unique(cycles.astype(np.int64) * num + within)
        found = found[(found >= offset) & (found < offset + turns)]
        return found + begin - offset

    def step(self, name: str, at: At) -> tuple[At, Integers]:
        """A step of each walk; those that still seek go where something new lies."""
        steps, others = self._plain[name], ~at.seeks
        plain = steps.forward if self.ahead else steps.backward
        units, places = np.empty_like(at.units), np.empty_like(at.units)
        there, places[others] = plain(at.those(others), self._rng)
        units[others] = there.units
        seeks = at.seeks.copy()
        found = self._kernels[name].step(at.those(at.seeks), self._rng)
        units[at.seeks], places[at.seeks], seeks[at.seeks] = found
        moved = At(walks=at.walks, units=units, num_units=there.num_units, seeks=seeks)
        return moved, places

    def aside(self, block: Residual, at: At) -> Bools:
        """Half of the walks, of those that still seek where something new lies."""
        body, shortcut = (
            _fitted(chances, at.num_units)[at.units]
            for chances in self._branches[id(block)]
        )
        both = body + shortcut
        share = np.divide(shortcut, both, out=np.full_like(both, 0.5), where=both > 0)
        return self._rng.random(len(at.walks)) < np.where(at.seeks, share, 0.5)

    def _found(self, layers: Layers, after: Numbers, visited: Mask) -> Numbers:
        """The chances before these layers, from those behind them."""
        for layer in reversed(layers) if self.ahead else layers:
            if isinstance(layer, Residual):
                after = self._of_block(layer, after, visited)
            elif isinstance(layer, Linear | Conv):
                name = f"{layer.name}.weight"
                kernel = _Kernel(
                    self._plain[name], visited.get(name), after, ahead=self.ahead
                )
                self._kernels[name] = kernel
                after = kernel.chances
        return after

    def _of_block(self, block: Residual, after: Numbers, visited: Mask) -> Numbers:
        if not block.shortcut:
            return self._found(block.body, after, visited)
        body = self._found(block.body, after, visited)
        shortcut = self._found(block.shortcut, after, visited)
        self._branches[id(block)] = body, shortcut
        return (body + shortcut) / 2


class _Kernel:
    """Steps through one kernel of walks that will visit something new."""

    def __init__(
        self, steps: Steps, visited: Bools | None, after: Numbers, *, ahead: bool
    ) -> None:
        self._steps, self._ahead = steps, ahead
        self._here = steps.inputs if ahead else steps.outputs
        self._there = steps.outputs if ahead else steps.inputs
        self._after = _fitted(after, self._there)
        shape = (steps.outputs, steps.inputs, steps.area)
        new = np.zeros(shape, bool) if visited is None else ~visited.reshape(shape)
        self._new = new.reshape(-1, steps.area)
        links = steps.links if not ahead else steps.links.T
        unseen = (steps.sizes * new).sum(axis=2)
        self._share = np.divide(
            unseen, steps.links, out=np.zeros_like(unseen), where=steps.links > 0
        )
        share = self._share.T if ahead else self._share
        leads = links * (share + (1 - share) * self._after)
        self._table = Table(leads)
        self.chances = leads.sum(axis=1) / links.sum(axis=1)
        """that a walk from a unit before the kernel visits something new"""

    def step(self, at: At, rng: np.random.Generator) -> tuple[Integers, Integers, Bools]:
        """Units where walks arrive, places that they visit, and which still seek."""
        here = self._entered(at, rng)
        there = self._table.draw(here, rng)
        outputs, inputs = (there, here) if self._ahead else (here, there)
        share = self._share[outputs, inputs]
        later = (1 - share) * self._after[there]
        seeks = rng.random(len(here)) * (share + later) >= share
        link = outputs * self._steps.inputs + inputs
        if self._steps.area == 1:
            return there, link, seeks
        new = self._new[link]
        sizes = self._steps.sizes.reshape(-1, self._steps.area)[link]
        cumulated = np.cumsum(sizes * np.where(seeks[:, None], ~new, new), axis=1)
        wanted = rng.random(len(here)) * cumulated[:, -1]
        inside = (cumulated <= wanted[:, None]).sum(axis=1)
        return there, link * self._steps.area + inside, seeks

    def _entered(self, at: At, rng: np.random.Generator) -> Integers:
        """The unit before the kernel: behind a Flatten a position, or a channel."""
        if at.num_units > self._here:
            channels: Integers = at.units // (at.num_units // self._here)
            return channels
        factor = self._here // at.num_units
        if factor == 1:
            return at.units
        cumulated = np.cumsum(self.chances.reshape(-1, factor)[at.units], axis=1)
        wanted = rng.random(len(at.units)) * cumulated[:, -1]
        found: Integers = at.units * factor + (cumulated <= wanted[:, None]).sum(axis=1)
        return found


def _fitted(chances: Numbers, num: int) -> Numbers:
    """Chances of positions as those of their channels, or the other way round."""
    if len(chances) > num:
        means: Numbers = chances.reshape(num, -1).mean(axis=1)
        return means
    return np.repeat(chances, num // len(chances))


def turns_for(walks: int, directions: list[Seeking]) -> int:
    """How many turns of all directions bring about so many walks with news.

    Raises:
        ValueError: if there can be none, because what is left has the weight 0.
    """
    per_turn = sum(float(one.chances.mean()) for one in directions)
    if not per_turn > 0:
        raise ValueError(
            "all weights that no walk has visited are 0, so none ever will; ask for a "
            "lower density"
        )
    return ceil(walks / per_turn)
