"""The forward pass of the sparse engine: outputs of all units, weight by weight."""

import numpy as np

from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.vectors import (
    LANES,
    Shape,
    Vectors,
    add,
    fma,
    larger,
    load,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse.inputs import numbers, rim_row, span, weights_total
from pipeline.engines.sparse.records import Net, Source, Workspace


@kernel
def forward(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Compute the outputs of all live units; their sums begin with ``work.biases``.

    ``num_lit`` rows of the rim are not blank; ``work.lit`` lists them first.
    """
    wiring, scaling = net.wiring, net.scaling
    _add_rim(net, num_lit, work, shape)
    for part in range(wiring.first_parts[1]):
        if wiring.block_rows:
            source = unpacked(net, part, work, shape)
            _add_part(net, part, source, work, shape)
        else:
            source = Source(work.pixels, scaling.scale[part], scaling.offset[part])
            _add_part(net, part, source, work, shape)
    add_later_layers(net, work, shape)


@kernel
def add_later_layers(net: Net, work: Workspace, shape: Shape) -> None:
    """Compute the outputs of the live units of all layers but the first."""
    for part in range(net.wiring.first_parts[1], len(net.wiring.ends_sums)):
        _add_part(net, part, all_units(work), work, shape)


@kernel
def _add_rim(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Begin the first layer's sums with biases and what it reads from lit rim rows."""
    width = uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    for place in numbers(wiring.first_units, uint(0)):
        unit = uint(wiring.units[place])
        store(work.outputs, unit * width, splat(work.biases[unit], shape))
    for row in work.lit[:num_lit]:
        x = rim_row(net, row, work, shape)
        for k in numbers(wiring.rim_starts, uint(row)):
            at = uint(wiring.sources[k]) * width
            a = load(work.outputs, at, shape)
            store(work.outputs, at, fma(splat(value[k], shape), x, a))


@kernel
def _add_part(net: Net, part: int, source: Source, work: Workspace, shape: Shape) -> None:
    """Add what units read from one part; after a layer's last part, apply its ReLU."""
    wiring = net.wiring
    for visit in numbers(wiring.first_visits, uint(part)):
        unit = uint(wiring.visits[visit])
        row = unit * uint(LANES * len(shape))
        first, end = span(wiring.starts, visit)
        if wiring.begins_sums[part]:
            a = splat(work.biases[unit], shape)
        else:
            a = load(work.outputs, row, shape)
        a = _weighted_sum(net, first, end, source, a, shape)
        if wiring.ends_sums[part] and unit < uint(wiring.num_hidden):
            a = larger(splat(np.float32(0), shape), a)
        store(work.outputs, row, a)


@kernel
def unpacked(net: Net, part: int, work: Workspace, shape: Shape) -> Source:
    """Unpack and normalize the rows of a part of the first layer into ``work.block``."""
    width, wiring = uint(LANES * len(shape)), net.wiring
    scale = splat(net.scaling.scale[part], shape)
    offset = splat(net.scaling.offset[part], shape)
    first = wiring.rows[part]
    for row in range(min(wiring.block_rows, wiring.num_core - first)):
        a = load(work.pixels, uint(first + row) * width, shape)
        store(work.block, uint(row) * width, fma(scale, a, offset))
    return Source(work.block, np.float32(1), np.float32(0))


@kernel
def all_units(work: Workspace) -> Source:
    """The inputs of all layers but the first: the outputs of all units."""
    return Source(work.outputs, np.float32(1), np.float32(0))


@kernel
def _weighted_sum(
    net: Net, k: np.uint64, end: np.uint64, source: Source, a: Vectors, shape: Shape
) -> Vectors:
    """A plus the sum of a range of weights times their inputs, in registers."""
    width = uint(LANES * len(shape))
    value, sources = net.weights.value, net.wiring.sources
    if source.offset != 0:
        a = add(a, splat(weights_total(value, k, end) * source.offset, shape))
    # Two sums take turns, because one alone waits 4 cycles for each addition.
    even = splat(np.float32(0), shape)
    odd = even
    while k + uint(1) < end:
        w, v = splat(value[k], shape), splat(value[k + uint(1)], shape)
        x = load(source.matrix, uint(sources[k]) * width, shape)
        z = load(source.matrix, uint(sources[k + uint(1)]) * width, shape)
        even, odd = fma(w, x, even), fma(v, z, odd)
        k += uint(2)
    if k < end:
        x = load(source.matrix, uint(sources[k]) * width, shape)
        even = fma(splat(value[k], shape), x, even)
    return fma(splat(source.scale, shape), add(even, odd), a)
