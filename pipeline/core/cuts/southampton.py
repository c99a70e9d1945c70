"""The cut of the reproducibility report's script: below a percentile, anew each round."""

import numpy as np

from pipeline.core.arrays import Floats, Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Remove what is smaller than a percentile of its tensor.

    Source: ``core/programs/southampton.py``. Criterion and scope are the script's own,
    magnitude and layer by layer.

    Args:
        evidence: trained weights at the end of the round, pruned ones 0, and its mask.
        asked: fractions of the weights that are not 0, in [0, 1).

    Returns:
        A subset of the mask, without a weight that was trained to exactly 0. A tensor
        with a weight that is not a number, or with none left, loses nothing.
    """
    trained = evidence.trained
    return {
        name: kept
        & ~(np.abs(trained[name]) < _threshold(trained[name], asked.fractions[name]))
        for name, kept in evidence.mask.items()
    }


def _threshold(weights: Floats, fraction: float) -> np.float32:
    """The magnitude below which a weight goes.

    Interpolated in float64 and rounded to the weights' float32 before it is compared, as
    by the numpy of that time.
    """
    alive = np.abs(weights[np.nonzero(weights)]).astype(np.float64)
    if not alive.size or not np.isfinite(alive).all():
        return np.float32(np.nan)
    return np.float32(np.quantile(alive, fraction))
