"""The backward pass of the sparse engine: gradients of all units and kept weights."""

import numpy as np

from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.sums import add_lane_sums, lane_sum, product
from pipeline.engines.shared.vectors import (
    LANES,
    ONE,
    Shape,
    Vectors,
    add,
    fma,
    gate,
    load,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse.forward import all_units, unpacked
from pipeline.engines.sparse.inputs import blank_rows, numbers, rim_row, span
from pipeline.engines.sparse.records import Net, Source, Workspace


@kernel
def backward(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Add the gradients of all kept weights and live biases, last layer first."""
    wiring, scaling = net.wiring, net.scaling
    num_layers = len(wiring.first_parts) - 1
    for back in range(1, num_layers + 1):
        layer = num_layers - back
        for number in numbers(wiring.first_units, uint(layer)):
            _unit_gradient(net, uint(wiring.units[number]), work, shape)
        if layer > 0:
            for part in numbers(wiring.first_parts, uint(layer)):
                _part_gradients(net, part, all_units(work), work, shape)
    for part in range(wiring.first_parts[1]):
        if wiring.block_rows:
            source = unpacked(net, part, work, shape)
            _part_gradients(net, part, source, work, shape)
        else:
            source = Source(work.pixels, scaling.scale[part], scaling.offset[part])
            _part_gradients(net, part, source, work, shape)
    _rim_gradients(net, num_lit, work, shape)


@kernel
def _rim_gradients(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Add the gradients of weights on the rim; for blank rows, from their units' totals."""
    wiring, gradient = net.wiring, net.weights.gradient
    source = Source(work.gradients, np.float32(1), np.float32(0))
    for row in work.lit[:num_lit]:
        x = rim_row(net, row, work, shape)
        first, end = span(wiring.rim_starts, uint(row))
        _weight_gradients(net, first, end, source, x, shape)
    row, end_row = blank_rows(wiring, work, 0)
    while row < end_row:
        offset = net.scaling.rim_offset[row]
        for k in range(uint(wiring.rim_starts[row]), uint(wiring.rim_starts[end_row])):
            gradient[k] += offset * work.totals_of_units[uint(wiring.sources[k])]
        row, end_row = blank_rows(wiring, work, end_row)


@kernel
def _part_gradients(
    net: Net, part: int, source: Source, work: Workspace, shape: Shape
) -> None:
    """Add the gradients of weights on one part of their layer's inputs."""
    wiring = net.wiring
    for visit in numbers(wiring.first_visits, uint(part)):
        row = uint(wiring.visits[visit]) * uint(LANES * len(shape))
        first, end = span(wiring.starts, visit)
        g = load(work.gradients, row, shape)
        _weight_gradients(net, first, end, source, g, shape)


@kernel
def _unit_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> None:
    """Compute the gradient of a unit's sum; also add its total to that of its bias.

    The rim needs the total, too.
    """
    row = unit * uint(LANES * len(shape))
    if unit < uint(net.wiring.num_hidden):
        g = _output_gradient(net, unit, work, shape)
        g = gate(g, load(work.outputs, row, shape))
        store(work.gradients, row, g)
    else:
        g = load(work.gradients, row, shape)
    total = lane_sum(g)
    work.totals_of_units[unit] = total
    net.biases.gradient[unit] += total


@kernel
def _output_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> Vectors:
    """The gradient of a hidden unit's output, from the units that read it."""
    width = uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    even = splat(np.float32(0), shape)
    odd = even
    k, end = span(wiring.reader_starts, unit)
    while k + uint(1) < end:
        w = splat(value[wiring.reader_weights[k]], shape)
        v = splat(value[wiring.reader_weights[k + uint(1)]], shape)
        x = load(work.gradients, uint(wiring.readers[k]) * width, shape)
        z = load(work.gradients, uint(wiring.readers[k + uint(1)]) * width, shape)
        even, odd = fma(w, x, even), fma(v, z, odd)
        k += uint(2)
    if k < end:
        w = splat(value[wiring.reader_weights[k]], shape)
        x = load(work.gradients, uint(wiring.readers[k]) * width, shape)
        even = fma(w, x, even)
    return add(even, odd)


@kernel
def _weight_gradients(
    net: Net, k: np.uint64, end: np.uint64, source: Source, g: Vectors, shape: Shape
) -> None:
    """Add the gradients of a range of weights.

    Either they are weights of one unit, and g is its gradient; or they are weights on one
    row of the rim, and g holds its pixels.
    """
    gradient, four, eight = net.weights.gradient, uint(4), uint(8)
    shift = source.offset * lane_sum(g) if source.offset != 0 else np.float32(0)
    by = (source.scale, shift)
    while k + eight <= end:
        low = _four_products(net, k, source, g, shape)
        high = _four_products(net, k + four, source, g, shape)
        add_lane_sums(gradient, k, low + high, by)
        k += eight
    if k + four <= end:
        add_lane_sums(gradient, k, _four_products(net, k, source, g, shape), by)
        k += four
    while k < end:
        total = lane_sum(_product(net, k, source, g, shape))
        gradient[k] += source.scale * total + shift
        k += uint(1)


@kernel
def _four_products(
    net: Net, k: np.uint64, source: Source, g: Vectors, shape: Shape
) -> tuple[Vectors, Vectors, Vectors, Vectors]:
    return (
        _product(net, k, source, g, shape),
        _product(net, k + uint(1), source, g, shape),
        _product(net, k + uint(2), source, g, shape),
        _product(net, k + uint(3), source, g, shape),
    )


@kernel
def _product(net: Net, k: np.uint64, source: Source, g: Vectors, shape: Shape) -> Vectors:
    """The row of the source that belongs to weight k, times g, in 16 lanes."""
    row = uint(net.wiring.sources[k])
    return product(g, load(source.matrix, row * uint(LANES * len(shape)), shape), ONE)
