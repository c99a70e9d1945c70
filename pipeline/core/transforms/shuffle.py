"""Shuffle: every layer keeps as many weights as before, but at random positions."""

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.transforms.given import Given


def transform(given: Given) -> Mask:
    """Permute each layer's mask; the number of weights kept per layer stays.

    This is a control for any mask, whatever its criterion, scope or schedule. With the
    start θ₀ it is the random-mask control. If shuffling costs no accuracy, then nothing
    but the densities per layer mattered in the original mask. Two other controls ask the
    same: the start ``reinit``, and the criterion upside down (``small-final`` for
    ``magnitude``).

    Source: Frankle & Carbin 2019, arXiv:1803.03635, appendix E ("random sparsity");
    Frankle et al. 2021, arXiv:2009.08576 ("layerwise shuffle"). Each round is shuffled
    independently, so shuffled masks are not nested; masks made by the criterion
    ``random`` are.
    """
    return masks.shuffle_layerwise(given.mask, given.rng)
