"""Networks of one family: their blocks, and which block stands for which in another depth.

A block is a layer with weights and the norm behind it, or a residual block. A stage is a
run of blocks of one kind that have as many outputs, with no pool between them. Networks of
one family have the same stages, with more or fewer blocks in them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.arrays import Weights
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Linear,
    MaxPool,
    Network,
    Residual,
    layers_of,
    parameters,
)
from pipeline.core.registry import unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Which block of a source network stands for each block of another one."""

    order: Literal["appending", "interpolating"] = "appending"
    """which blocks a deeper network repeats, or a shallower one drops, within each stage:
    all again behind the last, and the last ones (appending); each beside itself, and
    evenly (interpolating). The first block of a stage stays"""
    by_name: dict[str, str] = field(default_factory=dict)
    """block of the network -> block of the source, in place of what the order says"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One block of a network."""

    name: str
    stage: tuple[str, int]
    """kind and number of outputs: blocks side by side with the same are of one stage"""
    tensors: Mapping[str, str]
    """what a tensor is to its block -> its name in the network"""


def stages(network: Network) -> list[list[Block]]:
    """The blocks of a network by stages, in the order of the layers.

    Raises:
        ValueError: if it is a torch module.

    >>> from pipeline.core import models
    >>> from pipeline.core.description import of_images
    >>> data = of_images((3, 32, 32), classes=10)
    >>> found = stages(models.build("resnet-20", widths=None, data=data))
    >>> [[block.name for block in stage] for stage in found][:2]
    [['conv'], ['block1', 'block2', 'block3']]
    """
    found: list[list[Block]] = []
    begins = True
    for layer in layers_of(network):
        match layer:
            case Linear() | Conv() | Residual():
                block = _block(layer)
                if begins or found[-1][-1].stage != block.stage:
                    found.append([])
                found[-1].append(block)
                begins = False
            case BatchNorm():
                found[-1][-1] = _with_norm(found[-1][-1], layer)
            case MaxPool():
                begins = True
            case _:
                pass
    return found


def sources(source: Network, network: Network, blocks: Blocks) -> dict[str, str]:
    """For each block of a network, the block of the source that stands for it.

    Raises:
        ValueError: in one line, if the networks have no common stages, if a name is that
            of no block, or if blocks have other shapes.

    >>> from pipeline.core import models
    >>> from pipeline.core.description import of_images
    >>> data = of_images((1, 28, 28), classes=10)
    >>> two, four = (
    ...     models.build("mlp", widths=(300,) * n + (100,), data=data) for n in (2, 4)
    ... )
    >>> sources(two, four, Blocks())
    {'fc1': 'fc1', 'fc2': 'fc2', 'fc3': 'fc2', 'fc4': 'fc2', 'fc5': 'fc3', 'fc6': 'fc4'}
    """
    theirs, ours = _by_name(source), _by_name(network)
    for block, standing in blocks.by_name.items():
        for name, known in ((block, ours), (standing, theirs)):
            if name not in known:
                whose = "the network" if known is ours else "the source"
                raise ValueError(unknown(name, known, f"block of {whose}"))
    found = {}
    if set(ours) - set(blocks.by_name):
        found = dict(_by_order(stages(source), stages(network), blocks.order))
    found |= blocks.by_name
    shapes = parameters(source), parameters(network)
    for block in ours:
        there, here = (
            {part: shape[name].shape for part, name in one.tensors.items()}
            for one, shape in zip((theirs[found[block]], ours[block]), shapes, strict=True)
        )
        if there != here:
            raise ValueError(
                f"{found[block]} of the source has the shapes {_shown(there)}, and "
                f"{block} {_shown(here)}; name a block that fits in by_name"
            )
    return {block: found[block] for block in ours}


def tensors(source: Network, network: Network, blocks: Blocks) -> dict[str, str]:
    """For each tensor of a network, the tensor of the source that stands for it.

    Raises:
        ValueError: as for ``sources``.
    """
    theirs, ours = _by_name(source), _by_name(network)
    return {
        name: theirs[standing].tensors[part]
        for block, standing in sources(source, network, blocks).items()
        for part, name in ours[block].tensors.items()
    }


def carried(weights: Weights, source: Network, network: Network, blocks: Blocks) -> Weights:
    """The source's weights as weights of another network; copies, no shared storage."""
    return {
        name: weights[standing].copy()
        for name, standing in tensors(source, network, blocks).items()
    }


def _by_order(
    theirs: Sequence[Sequence[Block]], ours: Sequence[Sequence[Block]], order: str
) -> Iterator[tuple[str, str]]:
    if len(theirs) != len(ours):
        raise ValueError(
            f"the source has {len(theirs)} stages and the network {len(ours)}, so that "
            "they are of no common family; name every block in by_name"
        )
    for there, here in zip(theirs, ours, strict=True):
        yield here[0].name, there[0].name
        others = there[1:] or there[:1]
        number = len(here) - 1
        for at, block in enumerate(here[1:]):
            spread = at * len(others) // number
            yield (
                block.name,
                others[at % len(others) if order == "appending" else spread].name,
            )


def _by_name(network: Network) -> dict[str, Block]:
    return {block.name: block for stage in stages(network) for block in stage}


def _block(layer: Linear | Conv | Residual) -> Block:
    if not isinstance(layer, Residual):
        names = parameters((layer,))
        parts = {name.removeprefix(f"{layer.name}."): name for name in names}
        return Block(name=layer.name, stage=(layer.kind, layer.outputs), tensors=parts)
    names = parameters((layer,))
    name = next(iter(names)).partition(".")[0]
    parts = {one.removeprefix(f"{name}."): one for one in names}
    outputs = [one.outputs for one in layer.body if isinstance(one, Conv)]
    return Block(name=name, stage=("residual", outputs[-1]), tensors=parts)


def _with_norm(block: Block, norm: BatchNorm) -> Block:
    parts = {f"norm{name.removeprefix(norm.name)}": name for name in parameters((norm,))}
    return Block(name=block.name, stage=block.stage, tensors={**block.tensors, **parts})


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes.values() if len(shape) > 1)
