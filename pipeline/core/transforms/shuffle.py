"""The random-mask control: as many weights per layer, at random places."""

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Mask


def transform(mask: Mask, rng: np.random.Generator) -> Mask:
    """Permute each layer's mask; counts per layer stay.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, appendix E ("random sparsity");
    Frankle et al. 2021, arXiv:2009.08576 ("layerwise shuffle"). Masks of different
    rounds are drawn independently, so that they are not nested.
    """
    return masks.shuffle_layerwise(mask, rng)
