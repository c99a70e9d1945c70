"""Walks through a network: their steps and their ends, whatever draws the steps."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers
from pipeline.core.criteria.evidence import Visits
from pipeline.core.models.layers import Conv, Layers, Linear, Residual

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class At:
    """Where walks are: between two layers."""

    walks: Integers
    """their numbers, int64 (B,)"""
    units: Integers
    """the unit at which each stands, int64 (B,)"""
    num_units: int
    """number of units there"""
    seeks: Bools
    """which of them have yet to visit a weight that none visited before, (B,); they will"""

    def those(self, chosen: Bools) -> "At":
        """Some of the walks."""
        return At(
            walks=self.walks[chosen],
            units=self.units[chosen],
            num_units=self.num_units,
            seeks=self.seeks[chosen],
        )


class Draws(Protocol):
    """What draws the steps of walks in one direction."""

    @property
    def ahead(self) -> bool:
        """Whether walks go from inputs to outputs."""

    def step(self, name: str, at: At) -> tuple[At, Integers]:
        """Step through a kernel.

        Returns:
            Where the walks arrive, and the position of the weight that each visits.
        """

    def aside(self, block: Residual, at: At) -> Bools:
        """Which walks take the shortcut of a block, which has weights."""


def walk(layers: Layers, at: At, draws: Draws, found: list[Visits]) -> At:
    """Go through layers; note the weights on the way."""
    for layer in layers if draws.ahead else reversed(layers):
        if isinstance(layer, Residual):
            at = _through(layer, at, draws, found)
        elif isinstance(layer, Linear | Conv):
            name = f"{layer.name}.weight"
            at, places = draws.step(name, at)
            found.append(Visits(tensor=name, walks=at.walks, places=places))
    return at


def _through(block: Residual, at: At, draws: Draws, found: list[Visits]) -> At:
    """Go through a block: by its body, or by a shortcut that has weights."""
    if not block.shortcut:
        return walk(block.body, at, draws, found)
    aside = draws.aside(block, at)
    units, seeks = np.empty_like(at.units), np.empty_like(at.seeks)
    for branch, chosen in ((block.body, ~aside), (block.shortcut, aside)):
        arrived = walk(branch, at.those(chosen), draws, found)
        units[chosen], seeks[chosen] = arrived.units, arrived.seeks
    return At(walks=at.walks, units=units, num_units=arrived.num_units, seeks=seeks)
