"""Transforms change another variant's mask for a control. One file each.

A transform is a function ``transform(given) -> Mask`` of a module that TRANSFORMS names.
Most of them move the kept weights of one network. A transform between networks makes a
mask of one network from that of another, such as a deeper one.
"""

from dataclasses import dataclass

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.functions import not_arrays
from pipeline.core.models.layers import kernels
from pipeline.core.registry import Entry, Registry
from pipeline.core.transforms.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Transform(Entry):
    """Where a transform is defined, and what holds for its masks."""

    draws: bool = False
    """whether it takes from the random stream"""
    keeps_counts: bool = True
    """whether every tensor keeps as many weights as before"""
    keeps_all: bool = False
    """whether its masks keep every weight, whatever it was given"""
    between_networks: bool = False
    """whether it can make a mask of one network from that of another"""
    maps_blocks: bool = False
    """whether blocks of one network stand for those of another, as ``prune.blocks`` says;
    a start that is taken from the mask's variant is then carried over in the same way"""
    needs_dense: bool = False
    """whether it looks at the trained dense networks of two tasks, that of the mask and
    that of the start, and at the data set"""
    needs_layers: bool = False
    """whether it reads layer records, which torch modules have not"""


TRANSFORMS: Registry[Transform] = Registry(
    "transform",
    __name__,
    {
        "elastic": Transform(
            module="elastic", keeps_counts=False, between_networks=True, maps_blocks=True
        ),
        "everything": Transform(module="everything", keeps_counts=False, keeps_all=True),
        "permuted": Transform(module="permuted", needs_dense=True, needs_layers=True),
        "shuffle": Transform(module="shuffle", draws=True),
    },
    offers="transform",
    own=Transform,
)
"""The transforms by name; each module has ``transform(given) -> Mask``."""


def transform(name: str, given: Given) -> Mask:
    """Change a mask by the named transform.

    Args:
        name: one of TRANSFORMS.
        given: left unchanged.

    Returns:
        A mask for ``given.network``.

    Raises:
        ValueError: if there is no such transform, or if what it makes is no mask of the
            network, or does not keep the counts that its record promises, or if what it
            needs is not given.
    """
    if TRANSFORMS[name].needs_dense and not (given.dense and given.dense_source):
        raise ValueError(f"the transform {name!r} needs two dense networks; give them")
    changed: Mask = TRANSFORMS.load(name)(given)
    shapes = {n: tensor.shape for n, tensor in kernels(given.network).items()}
    if problem := not_arrays(changed) or masks.problem(changed, shapes):
        raise ValueError(f"the transform {name!r} makes no mask of the network: {problem}")
    if TRANSFORMS[name].keeps_counts and masks.kept(changed) != masks.kept(given.mask):
        raise ValueError(f"the transform {name!r} changes how many weights a tensor keeps")
    return changed
