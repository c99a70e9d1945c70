"""What a control does to another variant's mask: one file each, imported on use."""

import numpy as np

from pipeline.core.arrays import Mask
from pipeline.core.registry import Entry, Registry

TRANSFORMS = Registry(
    "transform", __name__, {"shuffle": Entry(module="shuffle")}, offers="transform"
)
"""by name; each module has ``transform(mask, rng) -> Mask``"""


def transform(name: str, mask: Mask, rng: np.random.Generator) -> Mask:
    """Change a mask by the named rule; the number kept per layer stays.

    Raises:
        ValueError: if there is no such rule.
    """
    changed: Mask = TRANSFORMS.load(name)(mask, rng)
    return changed
