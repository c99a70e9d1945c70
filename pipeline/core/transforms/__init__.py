"""Transforms change another variant's mask for a control. One file each."""

import numpy as np

from pipeline.core.arrays import Mask
from pipeline.core.registry import Entry, Registry

TRANSFORMS = Registry(
    "transform", __name__, {"shuffle": Entry(module="shuffle")}, offers="transform"
)
"""The transforms by name; each module has ``transform(mask, rng) -> Mask``."""


def transform(name: str, mask: Mask, rng: np.random.Generator) -> Mask:
    """Change a mask by the named transform; every layer keeps as many weights as before.

    Raises:
        ValueError: if there is no such transform.
    """
    changed: Mask = TRANSFORMS.load(name)(mask, rng)
    return changed
