"""What a control does to another variant's mask: one file each."""

from importlib import import_module

import numpy as np

from pipeline.core.arrays import Mask

TRANSFORMS = {"shuffle": "pipeline.core.transforms.shuffle"}
"""name -> module with ``transform(mask, rng) -> Mask``, imported on use"""


def transform(name: str, mask: Mask, rng: np.random.Generator) -> Mask:
    """Change a mask by the named rule; the number kept per layer stays.

    Raises:
        KeyError: for an unknown name; the border offers those in TRANSFORMS.
    """
    changed: Mask = import_module(TRANSFORMS[name]).transform(mask, rng)
    return changed


def file_of(name: str) -> str:
    """The file of a rule in this folder, on which the stages that use it depend."""
    return f"{TRANSFORMS[name].rpartition('.')[2]}.py"
