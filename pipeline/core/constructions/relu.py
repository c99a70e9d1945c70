"""Prune a random ReLU network of twice the depth until it computes the target.

Source: Pensia et al. 2020, "Optimal lottery tickets via SubsetSum", arXiv:2006.07990. Every
layer becomes two: behind an input x stand random units relu(a x), each with all other
incoming weights pruned; a weight w of an output is Σ a b over a subset of these units, with
b the random weight from unit to output. A unit with a < 0 answers to negative inputs only;
where inputs may be negative, it serves a second sum, Σ |a| b ≈ -w, and where they may not,
it is useless. ``candidates`` are the useful units, which is why more units are drawn.

a and b are uniform on [-1, 1], and each layer is divided by twice its greatest weight, so
that the sums reach. ReLU passes that on: the outputs are the logits divided by ``scale``.
A bias is the weight of one more input, always 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.core.arrays import Weights
from pipeline.core.constructions.subset_sum import best_subsets, sums
from pipeline.core.constructions.target import (
    Built,
    Doubles,
    Layer,
    Subsets,
    Target,
    bias_of,
    count,
    put_back,
    rows_of,
)
from pipeline.core.models.layers import Flatten, Linear, Network, ReLU, layers_of

SPLIT = "split"
"""the layer that hands on relu(x) and relu(-x) where inputs may be negative"""
Sign = Literal[1, -1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Half:
    """The random units that answer to inputs of one sign, and the subsets of them."""

    first: Doubles
    """|a| of the useful units, (I, n)"""
    second: Doubles
    """b, (O, I, n)"""
    subsets: Subsets
    """(O, I)"""

    @property
    def sums(self) -> Doubles:
        """Σ |a| b over each subset, (O, I)."""
        each = [
            sums(self.first * b, one[:, None])[:, 0]
            for b, one in zip(self.second, self.subsets, strict=True)
        ]
        return np.stack(each)


def build(
    target: Target, candidates: int, rng: np.random.Generator, pause: Callable[[], None]
) -> Built:
    """Approximate a network of linear layers with ReLU between them."""
    layers: dict[str, Layer] = {}
    positive: dict[str, Doubles] = {}
    negative: Doubles | None = None
    behind = 1.0  # what the inputs of a layer were divided by
    for number, (name, matrix) in enumerate(rows_of(target).items()):
        unit = np.ones(matrix.shape[1])
        num = target.weights[name].shape[1]
        unit[num:] = behind  # the bias is divided as inputs are
        factor = 2 * float(np.abs(matrix / unit).max()) or 1.0
        signs: tuple[Sign, ...] = (1, -1) if target.signed and number == 0 else (1,)
        scaled = matrix / (unit * factor)
        goals = {sign: sign * scaled for sign in signs}
        if len(signs) > 1:
            goals[-1][:, num:] = 0  # the input that is always 1 is never negative
        halves, units = pruned(goals, candidates, rng, pause)
        found = [half.sums * unit * factor for half in halves]
        positive[name] = found[0]
        if len(found) > 1:
            negative = found[1][:, :num]
        wanted = [goal * unit * factor for goal in goals.values()]
        layers[name] = _layer(wanted, halves, found, units)
        behind *= factor
    network, weights = target.network, put_back(target, positive)
    if negative is not None:
        network, weights = _with_split(network, weights, negative)
    return Built(network=network, weights=weights, layers=layers, scale=behind)


def pruned(
    goals: dict[Sign, Doubles],
    candidates: int,
    rng: np.random.Generator,
    pause: Callable[[], None] = lambda: None,
) -> tuple[list[Half], int]:
    """Draw the random units behind one layer's inputs, and prune them.

    Args:
        goals: for each sign that inputs may have: the sums Σ |a| b to be reached, (O, I),
            each in [-½, ½].
        candidates: useful units per input and sign.
        rng: stream from which units and their weights are drawn.
        pause: called for each output.

    Returns:
        One half per sign, and the number of units drawn.
    """
    firsts, units = _useful(rng, goals[1].shape[1], candidates, tuple(goals))
    halves = []
    for goal, first in zip(goals.values(), firsts, strict=True):
        second = rng.uniform(-1, 1, (*goal.shape, candidates))
        subsets = []
        for row, b in zip(goal, second, strict=True):
            pause()
            subsets.append(best_subsets(row[:, None], first * b)[:, 0])
        halves.append(Half(first=first, second=second, subsets=np.stack(subsets)))
    return halves, units


def _useful(
    rng: np.random.Generator, inputs: int, candidates: int, signs: tuple[Sign, ...]
) -> tuple[list[Doubles], int]:
    """|a| of the first useful units per input and sign, and how many were drawn."""
    drawn = rng.uniform(-1, 1, (inputs, 2 * candidates))
    while any(((sign * drawn) > 0).sum(axis=1).min() < candidates for sign in signs):
        more = rng.uniform(-1, 1, (inputs, candidates))
        drawn = np.concatenate([drawn, more], axis=1)
    firsts, last = [], np.zeros(inputs, np.int64)
    for sign in signs:
        order = np.argsort(sign * drawn <= 0, axis=1, kind="stable")[:, :candidates]
        firsts.append(np.abs(np.take_along_axis(drawn, order, axis=1)))
        last = np.maximum(last, order[:, -1] + 1)
    return firsts, int(last.sum())


def _layer(
    wanted: list[Doubles], halves: list[Half], found: list[Doubles], units: int
) -> Layer:
    """The account of one layer: a unit is kept if an output uses it."""
    subsets = np.stack([half.subsets for half in halves])
    used = np.bitwise_or.reduce(subsets, axis=1)  # (signs, I)
    return Layer(
        subsets=subsets,
        errors=np.abs(np.stack(found) - np.stack(wanted)),
        drawn=units + sum(half.second.size for half in halves),
        kept=count(subsets) + count(used),
        units=units,
    )


def _with_split(
    network: Network, weights: Weights, negative: Doubles
) -> tuple[Network, Weights]:
    """Let the first layer see relu(x) and relu(-x), each with weights of its own."""
    layers = layers_of(network)
    at = 1 if isinstance(layers[0], Flatten) else 0
    first = layers[at]
    assert isinstance(first, Linear), "checked by refusal()"
    size = first.inputs
    split = Linear(name=SPLIT, inputs=size, outputs=2 * size)
    same = np.eye(size, dtype=np.float32)
    kernel = f"{first.name}.weight"
    added = {
        f"{SPLIT}.weight": np.concatenate([same, -same]),
        bias_of(f"{SPLIT}.weight"): np.zeros(2 * size, np.float32),
        kernel: np.concatenate([weights[kernel], negative.astype(np.float32)], axis=1),
    }
    wide = replace(first, inputs=2 * size)
    return (*layers[:at], split, ReLU(), wide, *layers[at + 1 :]), weights | added
