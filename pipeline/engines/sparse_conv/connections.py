"""Compiled fully connected layers behind convolutions, for a group of 64 examples at once.

Weights are stored by the unit that they leave, since the image's units are many and the
other units are few.
"""

import numpy as np

from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.sums import add_lane_sums, lane_sum, part_sum, product
from pipeline.engines.shared.vectors import (
    Vectors,
    fma,
    gate,
    larger,
    load,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse_conv.records import GROUP, WIDTH, Net, Wiring, Workspace

TURNS = (0,) * 3
"""Each sum of products is split into so many partial sums, which take turns. The sparse
engine uses one, since it computes eight products at once. Another number would change the
last bits of all trainings."""
AS_IT_IS = (np.float32(1), np.float32(0))
"""scale and shift of numbers that are added to gradients unchanged"""


@kernel
def connect(net: Net, work: Workspace) -> None:
    """Compute the logits from the image's units: each adds to the units that read it."""
    wiring, units, zero = net.wiring, work.units, splat(np.float32(0), GROUP)
    layers = wiring.unit_layers
    for unit in range(layers[1], layers[-1]):
        bias = net.biases.value[wiring.unit_biases[unit]]
        store(units, uint(unit * WIDTH), splat(bias, GROUP))
    for unit in range(layers[-2]):
        k, end = uint(wiring.unit_starts[unit]), uint(wiring.unit_starts[unit + 1])
        place = uint(unit * WIDTH)
        if unit >= layers[1]:
            store(units, place, larger(zero, load(units, place, GROUP)))
        if k == end:
            continue
        outputs = load(units, place, GROUP)
        while k < end:
            reader = _reader(wiring, k)
            known = load(units, reader, GROUP)
            known = fma(splat(net.weights.value[k], GROUP), outputs, known)
            store(units, reader, known)
            k += uint(1)


@kernel
def _reader(wiring: Wiring, k: np.uint64) -> np.uint64:
    return uint(wiring.unit_readers[k - uint(wiring.unit_starts[0])])


@kernel
def connect_back(net: Net, work: Workspace) -> None:
    """Add the gradients of weights and biases, and find those of the image's units."""
    wiring, gradients = net.wiring, work.unit_gradients
    layers = wiring.unit_layers
    for unit in range(layers[-1] - 1, -1, -1):
        place = uint(unit * WIDTH)
        if unit < layers[-2]:
            outputs = load(work.units, place, GROUP)
            tile = gate(_unit_back(net, work, unit, outputs), outputs)
            store(gradients, place, tile)
        tile = load(gradients, place, GROUP)
        net.biases.gradient[wiring.unit_biases[unit]] += lane_sum(part_sum(tile))


@kernel
def _unit_back(net: Net, work: Workspace, unit: int, outputs: Vectors) -> Vectors:
    """The gradient of a unit's output; also add the gradients of its outgoing weights."""
    wiring, weights, gradients = net.wiring, net.weights, work.unit_gradients
    one = uint(1)
    tile = splat(np.float32(0), GROUP)
    k, end = uint(wiring.unit_starts[unit]), uint(wiring.unit_starts[unit + 1])
    while k + uint(3) < end:
        a = load(gradients, _reader(wiring, k), GROUP)
        b = load(gradients, _reader(wiring, k + one), GROUP)
        c = load(gradients, _reader(wiring, k + uint(2)), GROUP)
        d = load(gradients, _reader(wiring, k + uint(3)), GROUP)
        tile = fma(splat(weights.value[k], GROUP), a, tile)
        tile = fma(splat(weights.value[k + one], GROUP), b, tile)
        tile = fma(splat(weights.value[k + uint(2)], GROUP), c, tile)
        tile = fma(splat(weights.value[k + uint(3)], GROUP), d, tile)
        four = (
            product(a, outputs, TURNS),
            product(b, outputs, TURNS),
            product(c, outputs, TURNS),
            product(d, outputs, TURNS),
        )
        add_lane_sums(weights.gradient, k, four, AS_IT_IS)
        k += uint(4)
    while k < end:
        a = load(gradients, _reader(wiring, k), GROUP)
        tile = fma(splat(weights.value[k], GROUP), a, tile)
        weights.gradient[k] += lane_sum(product(a, outputs, TURNS))
        k += one
    return tile
