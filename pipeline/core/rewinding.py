"""Where a round begins: earlier weights under the present mask."""

from pipeline.core import masks
from pipeline.core.arrays import Mask, Weights
from pipeline.core.digests import digest


def start(source: Weights, mask: Mask) -> Weights:
    """The weights a round begins from: ``source`` ⊙ ``mask``.

    Everything without a mask (biases, norm parameters and running statistics) is taken
    from the source too. Copies throughout: nothing that training does to them reaches
    the source.

    Source: Frankle & Carbin 2019, arXiv:1803.03635 (source = θ₀); Frankle et al. 2020,
    arXiv:1912.05671 (source = θ_k).

    Args:
        source: θ₀, θ_k, or freshly drawn weights.
        mask: of this round; pruned weights become +0.0.

    Raises:
        ValueError: if a tensor of the mask is missing in the source, or has another
            shape there.
    """
    return masks.apply(source, mask)


def matches(start: Weights, source: Weights, mask: Mask) -> bool:
    """Whether ``start`` is ``source`` ⊙ ``mask``, bit for bit and in every tensor."""
    return digest(start) == digest(masks.apply(source, mask))
