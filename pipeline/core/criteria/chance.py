"""Scores that know nothing of the weights: the baseline of every criterion."""

import numpy as np

from pipeline.core.arrays import Mask, Scores


def random(*, mask: Mask, rng: np.random.Generator, **_: object) -> Scores:
    """Uniform in [0, 1), one draw per weight, kept or not.

    Source: Zhou et al. 2019, arXiv:1905.01067 ("random"). Unlike a shuffled mask it is
    cut from its own previous round, and so is nested in it. Drawn in the order of
    sorted names, so that the order of the dictionary does not matter.
    """
    drawn = {name: rng.random(mask[name].shape) for name in sorted(mask)}
    return {name: np.where(kept, drawn[name], 0) for name, kept in mask.items()}
