"""As many weights per layer, at random places: what is lost with the places?"""

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Mask


def transform(mask: Mask, rng: np.random.Generator) -> Mask:
    """Permute each layer's mask; counts per layer stay.

    A control for any mask, whatever criterion, scope or schedule it came from. Under θ₀
    it is the random-mask control. Where it costs no accuracy, the mask it was made from
    holds densities per layer and no more; the other two such checks are a start
    ``reinit`` and a criterion upside down (``small-final`` for ``magnitude``).

    Source: Frankle & Carbin 2019, arXiv:1803.03635, appendix E ("random sparsity");
    Frankle et al. 2021, arXiv:2009.08576 ("layerwise shuffle"). Masks of different
    rounds are drawn independently, so that they are not nested; ``random`` masks of
    their own (a criterion) are.
    """
    return masks.shuffle_layerwise(mask, rng)
