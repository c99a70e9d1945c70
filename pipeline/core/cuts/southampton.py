"""The cut of the Southampton script: remove weights below a percentile of their tensor."""

import numpy as np

from pipeline.core.arrays import Floats, Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Remove the weights whose magnitude is below a percentile of their tensor.

    Source: ``core/programs/southampton.py``. As in the script, the criterion is always
    magnitude and the scope always layer by layer.

    Args:
        evidence: the mask of the round and its trained weights, pruned ones 0.
        asked: fractions of the weights that are not 0, in [0, 1).

    Returns:
        A subset of the mask; weights that were trained to exactly 0 go as well. A tensor
        with a NaN among its weights, or with no weight left, loses nothing.
    """
    trained = evidence.trained
    return {
        name: kept
        & ~(np.abs(trained[name]) < _threshold(trained[name], asked.fractions[name]))
        for name, kept in evidence.mask.items()
    }


def _threshold(weights: Floats, fraction: float) -> np.float32:
    """The magnitude below which a weight is removed.

    It is interpolated in float64 and rounded to the weights' float32 before the
    comparison, as the numpy of that time did.
    """
    alive = np.abs(weights[np.nonzero(weights)]).astype(np.float64)
    if not alive.size or not np.isfinite(alive).all():
        return np.float32(np.nan)
    return np.float32(np.quantile(alive, fraction))
