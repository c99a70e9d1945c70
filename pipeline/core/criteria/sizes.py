"""Scores from the size of a weight before training, after it, or both.

Source: Zhou et al. 2019, arXiv:1905.01067.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Scores
from pipeline.core.criteria.evidence import Evidence

Numbers = NDArray[np.floating[Any]]


def small_final(evidence: Evidence) -> Scores:
    """-|θ_trained|: magnitude pruning upside down, which keeps the smallest weights."""
    return {
        name: np.where(kept, -np.abs(evidence.trained[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def large_init(evidence: Evidence) -> Scores:
    """|θ_begun|: keep the weights that were largest before the scored training."""
    return {
        name: np.where(kept, np.abs(evidence.begun[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def small_init(evidence: Evidence) -> Scores:
    """-|θ_begun|: keep the weights that were smallest before the scored training."""
    return {
        name: np.where(kept, -np.abs(evidence.begun[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def large_init_large_final(evidence: Evidence) -> Scores:
    """The lower of two ranks of a weight: by |θ_begun| and by |θ_trained|.

    A rank is the fraction of the tensor's kept weights that are smaller, in [0, 1).
    The source looks for one percentile such that the wanted number of weights lie at or
    above it in both sizes; these are the weights whose lower rank is highest. Two
    weights can have the same lower rank (one before training, one after it). Then no
    percentile keeps the wanted number: the source is off by one, and here the earlier of
    the two stays. The source is layerwise; global scope compares ranks, not sizes.
    """
    begun, trained = evidence.begun, evidence.trained
    return {
        name: _in_both(np.abs(begun[name]), np.abs(trained[name]), kept)
        for name, kept in evidence.mask.items()
    }


def small_init_small_final(evidence: Evidence) -> Scores:
    """The mirror of ``large_init_large_final``: ranks of -|θ_begun| and -|θ_trained|."""
    begun, trained = evidence.begun, evidence.trained
    return {
        name: _in_both(-np.abs(begun[name]), -np.abs(trained[name]), kept)
        for name, kept in evidence.mask.items()
    }


def _in_both(before: Floats, after: Floats, kept: NDArray[np.bool_]) -> Numbers:
    """The lower of both ranks of each kept weight, 0 for the others; shape of ``kept``."""
    scores = np.zeros(kept.shape)
    ranks = np.minimum(_ranks(before[kept]), _ranks(after[kept]))
    scores[kept] = np.where(np.isnan(after[kept]), np.nan, ranks)
    return scores


def _ranks(values: Floats) -> Numbers:
    """For each of (N,) values, the fraction of values below it; equal values tie."""
    return np.searchsorted(np.sort(values), values, side="left") / max(1, len(values))
