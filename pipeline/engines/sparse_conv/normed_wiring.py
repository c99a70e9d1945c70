"""List the operations of a pruned network with batch norm, and what reads what in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers, Mask
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Layers,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Residual,
    layers_of,
)
from pipeline.engines.shared.vectors import LANES
from pipeline.engines.sparse_conv.normed_records import (
    CONVOLVE,
    NORMALIZE,
    NOTHING,
    OP,
    POOL,
    SPLIT,
    NormedWiring,
)
from pipeline.engines.sparse_conv.wiring import cover, kept, normalized_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class NormedLayout:
    """A network's lists, and the memory that one block of 16 examples needs."""

    wiring: NormedWiring
    planes_size: int
    """number of floats in the planes of one block"""
    gradients_size: int
    kernels: dict[str, Integers]
    """by name of a kernel, the positions of its kept weights, in C order, among all"""
    norms: dict[str, slice]
    """by name of a norm, its channels among those of all norms"""
    num_conv_weights: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planes:
    """Planes that some operation writes, and their gradients."""

    at: int
    gradient: int
    channels: int
    height: int
    width: int


@dataclass(kw_only=True, slots=True)
class _Builder:
    """Collects operations and memory, in the order of the forward pass."""

    mask: Mask
    ops: list[dict[str, int]] = field(default_factory=list)
    layers: list[Conv] = field(default_factory=list)
    """the convolutions, in the order of their operations"""
    norms: dict[str, slice] = field(default_factory=dict)
    num_floats: int = 0
    num_gradients: int = 0
    splits: dict[int, _Planes] = field(default_factory=dict)
    """by place of planes, what they were split into"""

    def planes(self, channels: int, height: int, width: int, gradient: int) -> _Planes:
        """Memory for planes; their gradients lie at ``gradient``."""
        made = _Planes(
            at=self.num_floats,
            gradient=gradient,
            channels=channels,
            height=height,
            width=width,
        )
        self.num_floats += (height + 2) * channels * (width + 2) * LANES
        return made

    def with_gradient(self, channels: int, height: int, width: int) -> _Planes:
        """Memory for planes and for their gradients."""
        before = self.num_floats
        made = self.planes(channels, height, width, self.num_gradients)
        self.num_gradients += self.num_floats - before
        return made

    def add(self, kind: int, source: _Planes, target: _Planes, **more: int) -> None:
        """Append an operation."""
        op = {
            "kind": kind,
            "source": source.at,
            "target": target.at,
            "source_gradient": source.gradient,
            "target_gradient": target.gradient,
            "inputs": source.channels,
            "outputs": target.channels,
            "height": source.height,
            "width": source.width,
            "other": NOTHING,
            "other_gradient": NOTHING,
        }
        self.ops.append(op | more)

    def sequence(
        self, layers: Layers, planes: _Planes, other: _Planes | None = None
    ) -> _Planes:
        """Append the operations of layers; the last norm adds other planes, if given."""
        for number, layer in enumerate(layers):
            match layer:
                case Conv():
                    planes = self.convolve(layer, planes)
                case BatchNorm():
                    is_last = number == len(layers) - 1
                    beside = other if is_last else None
                    rectified = beside is not None or (
                        not is_last and isinstance(layers[number + 1], ReLU)
                    )
                    planes = self.normalize(layer, planes, beside, rectified=rectified)
                case MaxPool():
                    planes = self.pool(planes)
                case Residual():
                    beside = self.sequence(layer.shortcut, planes)
                    planes = self.sequence(layer.body, planes, beside)
                case _:
                    pass
        return planes

    def convolve(self, layer: Conv, source: _Planes) -> _Planes:
        """A convolution; one of stride 2 reads split planes."""
        if layer.stride == 2:
            source = self.split(source)
        target = self.with_gradient(layer.outputs, source.height, source.width)
        self.add(CONVOLVE, source, target, is_first=int(source.gradient == NOTHING))
        self.layers.append(layer)
        return target

    def normalize(
        self, layer: BatchNorm, source: _Planes, other: _Planes | None, *, rectified: bool
    ) -> _Planes:
        """A norm, whose gradients lie where those of its inputs do."""
        size = source.channels, source.height, source.width
        target = self.planes(*size, gradient=source.gradient)
        first = max((norm.stop for norm in self.norms.values()), default=0)
        self.norms[layer.name] = slice(first, first + layer.channels)
        self.ops[-1]["norm"] = first  # the convolution's
        beside = {"other": other.at, "other_gradient": other.gradient} if other else {}
        self.add(NORMALIZE, source, target, norm=first, rectified=int(rectified), **beside)
        return target

    def split(self, source: _Planes) -> _Planes:
        """Even and odd rows and columns side by side, once for all who read them."""
        if source.at not in self.splits:
            size = 4 * source.channels, (source.height + 1) // 2, (source.width + 1) // 2
            if source.gradient == NOTHING:
                target = self.planes(*size, gradient=NOTHING)
            else:
                target = self.with_gradient(*size)
            self.splits[source.at] = target
            self.add(SPLIT, source, target, is_first=int(source.gradient == NOTHING))
        return self.splits[source.at]

    def pool(self, source: _Planes) -> _Planes:
        """The largest of each 2 × 2 window."""
        target = self.with_gradient(source.channels, source.height // 2, source.width // 2)
        self.add(POOL, source, target)
        return target


def wire(network: Network, mask: Mask, data: Dataset) -> NormedLayout:
    """Turn a network into operations, and its kept weights into lists of what reads what.

    Args:
        network: as ``normed_convolutional`` wants it.
        mask: any tensor may keep nothing; a missing one keeps everything.
        data: shape and normalization of its images are read.
    """
    layers = layers_of(network)
    builder = _Builder(mask=mask)
    images = builder.planes(*data.images.shape, gradient=NOTHING)
    last = builder.sequence(layers, images)
    linear = layers[-1]
    assert isinstance(linear, Linear), "the network ends with a linear layer"
    _mark_additions(builder.ops, last)
    convolutions = [op for op in builder.ops if op["kind"] == CONVOLVE]
    tiles = _number(convolutions)
    lists = [
        _lists(layer, kept(layer, mask), op)
        for layer, op in zip(builder.layers, convolutions, strict=True)
    ]
    firsts = np.cumsum([0, *(len(found.readers) for found in lists)])
    bits = kept(linear, mask)
    logits, sources = np.nonzero(bits)
    kernels = {
        f"{layer.name}.weight": first + found.order
        for layer, first, found in zip(builder.layers, firsts, lists, strict=False)
    }
    num_conv_weights = int(firsts[-1])
    kernels[f"{linear.name}.weight"] = num_conv_weights + np.arange(len(sources))
    wiring = NormedWiring(
        convs=_table(builder.ops),
        tiles=np.array(tiles, np.int64).reshape(-1, 4),
        starts=_starts([found.num_sources for found in lists]),
        sources=_joined([found.sources for found in lists]),
        positions=_joined(
            [first + x.positions for first, x in zip(firsts, lists, strict=False)]
        ),
        reader_starts=_starts([found.num_readers for found in lists]),
        readers=_joined([found.readers for found in lists]),
        unit_starts=num_conv_weights + _starts([np.bincount(logits, minlength=len(bits))]),
        unit_sources=_joined([sources]),
        values=normalized_bytes(data),
        last=np.array(
            [last.at, last.gradient, last.channels, last.height, last.width], np.int64
        ),
    )
    return NormedLayout(
        wiring=wiring,
        planes_size=builder.num_floats,
        gradients_size=builder.num_gradients,
        kernels=kernels,
        norms=builder.norms,
        num_conv_weights=num_conv_weights,
    )


def _mark_additions(ops: Sequence[dict[str, int]], last: _Planes) -> None:
    """Tell, on the way back, who finds a part of a gradient already written."""
    written = {last.gradient}
    for op in reversed(ops):
        is_norm = op["kind"] == NORMALIZE
        gradient = op["other_gradient" if is_norm else "source_gradient"]
        adds = gradient != NOTHING and gradient in written
        op["other_adds" if is_norm else "adds"] = int(adds)
        written.add(gradient)
        assert is_norm or op["kind"] == CONVOLVE or not adds, "others only write gradients"


def _number(convolutions: Sequence[dict[str, int]]) -> list[tuple[int, int, int, int]]:
    """Give convolutions their channels and tiles; returns the tiles of all."""
    tiles: list[tuple[int, int, int, int]] = []
    first_input, first_output = 0, 0
    for op in convolutions:
        op["first_input"], op["first_output"] = first_input, first_output
        first_input += op["inputs"]
        first_output += op["outputs"]
        op["first_tile"] = len(tiles)
        tiles += cover(op["height"], op["width"])
        op["end_tile"] = len(tiles)
    return tiles


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """The lists of one convolution; ``NormedWiring`` explains them."""

    order: Integers
    """for each kept weight in C order, its position among those of the convolution"""
    num_sources: Integers
    sources: Integers
    positions: Integers
    num_readers: Integers
    readers: Integers


def _lists(layer: Conv, bits: NDArray[np.bool_], op: dict[str, int]) -> _Lists:
    """Who reads what; weights are numbered by the channel that they read."""
    inputs, outputs, width = op["inputs"], op["outputs"], op["width"]
    output, channel, y, x = np.nonzero(bits)
    y, x = y - layer.kernel // 2, x - layer.kernel // 2  # -1, 0, 1
    if layer.stride == 2:
        channel = (2 * (y % 2) + x % 2) * layer.inputs + channel
        y, x = y // 2, x // 2
    by_input = np.lexsort((x, y, output, channel))
    order = np.empty(len(by_input), np.int64)
    order[by_input] = np.arange(len(by_input))
    by_output = np.lexsort((x, y, channel, output))
    sources = (((y + 1) * inputs + channel) * (width + 2) + x + 1) * LANES
    readers = (((1 - y) * outputs + output) * (width + 2) + 1 - x) * LANES
    return _Lists(
        order=order,
        num_sources=np.bincount(output, minlength=outputs),
        sources=sources[by_output],
        positions=order[by_output],
        num_readers=np.bincount(channel, minlength=inputs),
        readers=readers[by_input],
    )


def _table(ops: Sequence[dict[str, int]]) -> NDArray[np.void]:
    table = np.zeros(len(ops), OP)
    for row, op in zip(table, ops, strict=True):
        for name, value in op.items():
            row[name] = value
    return table


def _starts(counts: Sequence[Integers]) -> Integers:
    starts: Integers = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return starts.astype(np.int64)


def _joined(parts: Sequence[Integers]) -> NDArray[np.uint32]:
    return np.concatenate(parts).astype(np.uint32)
