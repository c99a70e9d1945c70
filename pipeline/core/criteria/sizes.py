"""Scores from how large weights are before training, after it, or both.

Source: Zhou et al. 2019, arXiv:1905.01067.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Scores
from pipeline.core.criteria.evidence import Evidence

Numbers = NDArray[np.floating[Any]]


def small_final(evidence: Evidence) -> Scores:
    """-|θ_trained|: magnitude pruning upside down."""
    return {
        name: np.where(kept, -np.abs(evidence.trained[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def large_init(evidence: Evidence) -> Scores:
    """|θ₀|; training has no say."""
    return {
        name: np.where(kept, np.abs(evidence.theta0[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def small_init(evidence: Evidence) -> Scores:
    """-|θ₀|; training has no say."""
    return {
        name: np.where(kept, -np.abs(evidence.theta0[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def large_init_large_final(evidence: Evidence) -> Scores:
    """The lower of two ranks: that of |θ₀| and that of |θ_trained|.

    A rank is the fraction of the tensor's kept weights that are smaller, in [0, 1).
    The source looks for one percentile such that as many weights as wanted lie at or
    above it in both sizes; these are the weights whose lower rank is highest. Two
    weights can share a lower rank (one through θ₀, one through training), so that no
    percentile keeps the number wanted: the source is then off by one, here the earlier
    of the two is kept. In global scope ranks are compared, not sizes: the source is
    layerwise.
    """
    theta0, trained = evidence.theta0, evidence.trained
    return {
        name: _in_both(np.abs(theta0[name]), np.abs(trained[name]), kept)
        for name, kept in evidence.mask.items()
    }


def small_init_small_final(evidence: Evidence) -> Scores:
    """The mirror of ``large_init_large_final``: ranks of -|θ₀| and -|θ_trained|."""
    theta0, trained = evidence.theta0, evidence.trained
    return {
        name: _in_both(-np.abs(theta0[name]), -np.abs(trained[name]), kept)
        for name, kept in evidence.mask.items()
    }


def _in_both(before: Floats, after: Floats, kept: NDArray[np.bool_]) -> Numbers:
    """The lower rank of each kept weight, 0 for the others; shape of ``kept``."""
    scores = np.zeros(kept.shape)
    ranks = np.minimum(_ranks(before[kept]), _ranks(after[kept]))
    scores[kept] = np.where(np.isnan(after[kept]), np.nan, ranks)
    return scores


def _ranks(values: Floats) -> Numbers:
    """For (N,) values the fraction of them below each; equal values, equal ranks."""
    return np.searchsorted(np.sort(values), values, side="left") / max(1, len(values))
