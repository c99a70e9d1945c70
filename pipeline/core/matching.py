"""Match the hidden units of two trained networks by their answers to the same examples.

Networks of two initializations have their units in different orders. The units of one are
put into the order in which they are correlated most with those of the other (Li et al.
2016, arXiv:1511.07543); the network itself computes what it computed before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pipeline.core.arrays import Integers, Weights
from pipeline.core.batches import Dataset, prepared
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import (
    Flatten,
    GlobalAveragePool,
    Layers,
    MaxPool,
    Network,
    Residual,
    layers_of,
)
from pipeline.core.models.units import Places, places
from pipeline.core.threads import one_thread

BATCH = 250
"""examples per forward pass"""
CONSTANT = 1e-12
"""a unit whose variance is less than this share of its mean square says nothing"""

Doubles = NDArray[np.float64]


def orders(
    network: Network, ours: Weights, theirs: Weights, data: Dataset
) -> tuple[Integers, ...]:
    """The orders of their hidden units that make them most like ours.

    A unit is what it answers behind its layer's activation to every training example (a
    channel: to every position of every image). Those of a residual stream answer at its
    end. The order of some units is the one whose sum of correlations with ours, unit by
    unit, is greatest: the Hungarian method finds it.

    Source: Adnan et al. 2025, arXiv:2505.05143; activation matching of Ainsworth et al.
    2023, arXiv:2209.04836. Deviations: their code averages the means and deviations of
    batches and adds 1e-4 to the denominator; here all examples are one sample, without
    augmentation, in double precision, and a constant unit is correlated with none.

    Args:
        network: of both.
        ours: trained weights, whose order stays.
        theirs: trained weights, whose order is sought.
        data: its training examples are looked at.

    Returns:
        For each of ``places(network).units``: which of their units stands at each place,
        int64 (number,).

    Raises:
        ValueError: if the network is a torch module.
    """
    known = places(network)
    sums = [_Sums() for _ in known.units]
    both = [{n: torch.tensor(w) for n, w in one.items()} for one in (ours, theirs)]
    # More threads round otherwise, and then units that are much alike change places.
    with torch.no_grad(), one_thread():
        for inputs in _batches(data):
            seen = [_answers(network, weights, inputs, known) for weights in both]
            for at, one in enumerate(sums):
                one.add(seen[0][at], seen[1][at])
    return tuple(_order(one.correlations()) for one in sums)


def _zero() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


@dataclass(slots=True)
class _Sums:
    """Sums over examples from which the correlations of units follow."""

    number: int = 0
    first: Tensor = field(default_factory=_zero)
    """of the answers of our units, of theirs, and of the squares of both: (4, units)"""
    products: Tensor = field(default_factory=_zero)
    """(our units, their units)"""

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        """Add the answers of both networks to the same examples, (examples, units)."""
        a, b = ours.double(), theirs.double()
        self.first = self.first + torch.stack([x.sum(dim=0) for x in (a, b, a * a, b * b)])
        self.products = self.products + a.T @ b
        self.number += len(a)

    def correlations(self) -> Doubles:
        """The correlation of each of our units with each of theirs.

        0 where there is none: of constant units, and of networks that diverged.
        """
        a, b, aa, bb = self.first.numpy() / self.number
        covariance = self.products.numpy() / self.number - np.outer(a, b)
        scale = np.outer(_per_deviation(a, aa), _per_deviation(b, bb))
        found: Doubles = covariance * scale
        return np.nan_to_num(found, nan=0, posinf=0, neginf=0)


def _per_deviation(mean: Doubles, square: Doubles) -> Doubles:
    """1 / the standard deviation of each unit; 0 for a constant one."""
    variance = square - mean**2
    varies = variance > CONSTANT * square
    return np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)


def _order(correlations: Doubles) -> Integers:
    _, theirs = linear_sum_assignment(correlations, maximize=True)
    return np.asarray(theirs, np.int64)


def _batches(data: Dataset) -> Iterator[Tensor]:
    for at in range(0, len(data.train), BATCH):
        some = data.train.inputs[at : at + BATCH]
        yield torch.from_numpy(prepared(some, data.description.inputs))


def _answers(
    network: Network, weights: dict[str, Tensor], inputs: Tensor, known: Places
) -> dict[int, Tensor]:
    """What all hidden units answer to a batch: (examples, units) by their number."""
    found: dict[int | None, Tensor] = {}
    _through(layers_of(network), weights, inputs, iter(known.given), found)
    return {at: _by_unit(hidden) for at, hidden in found.items() if at is not None}


def _through(
    layers: Layers,
    weights: dict[str, Tensor],
    hidden: Tensor,
    given: Iterator[int | None],
    found: dict[int | None, Tensor],
) -> Tensor:
    """The outputs of the layers; in ``found`` the last ones of all units before a pool."""
    for layer in layers:
        if isinstance(layer, Residual):
            body = _through(layer.body, weights, hidden, given, found)
            shortcut = _through(layer.shortcut, weights, hidden, given, found)
            hidden = F.relu(body + shortcut)
        else:
            hidden = forward((layer,), weights, hidden, training=False)
        at = next(given)
        if not isinstance(layer, MaxPool | GlobalAveragePool | Flatten):
            found[at] = hidden
    return hidden


def _by_unit(hidden: Tensor) -> Tensor:
    return hidden.movedim(1, -1).reshape(-1, hidden.shape[1])
