"""Sums modulo p: two numbers as tokens, and the class that is their sum."""

import numpy as np
from numpy.typing import NDArray


def sums(p: int) -> dict[str, NDArray[np.int64]]:
    """All p² pairs of numbers, each with its sum modulo p."""
    pairs = np.stack(np.meshgrid(np.arange(p), np.arange(p)), axis=-1).reshape(-1, 2)
    return {"inputs": pairs, "labels": pairs.sum(axis=1) % p}
