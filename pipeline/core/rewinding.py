"""Where a round begins: earlier weights under the present mask."""

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Floats, Mask, Weights

ZERO = "zero"
FREEZE_INIT = "freeze-init"
ZERO_MASK = "freeze-init-zero-mask"
ZERO_ALL = "freeze-init-zero-all"
ACTIONS = (ZERO, FREEZE_INIT, ZERO_MASK, ZERO_ALL)
"""what pruned weights may be while the others train"""
LOOK_AT_TRAINED = frozenset({ZERO_MASK, ZERO_ALL})
"""which of them ask what training did to a weight"""


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


def frozen_start(
    action: str, source: Weights, mask: Mask, *, theta0: Weights, trained: Weights
) -> Weights:
    """The weights a round begins from where pruned weights are frozen, not removed.

    ``freeze-init``: pruned weights are those of θ₀. ``freeze-init-zero-mask`` (the source's
    variant 1): those of θ₀, or 0 where training moved them toward zero, |w_f| < |w_i|.
    ``freeze-init-zero-all`` (variant 2): kept weights that it moved toward zero begin at 0
    too, and train. ``zero``: as ``start``.

    w_f is the weight in the training that the mask was cut from, w_i that of θ₀ in every
    round. So what a weight became when it was pruned it stays: frozen at θ₀ it has not
    moved since, and at 0 it lies below θ₀. A kept weight that began at 0 begins at θ₀
    again once a round leaves it larger than there. (The source's w_i may be what that
    training began with; this differs for kept weights of variant 2 only, from round 2
    on.) A NaN has not moved toward zero.

    Source: Zhou et al. 2019, arXiv:1905.01067, mask-0 actions. Tensors without a mask
    (biases, norms) are the source's, as for ``start``.

    Args:
        action: one of ACTIONS.
        source: what kept weights begin from; θ₀ itself where the action looks at what
            training did.
        mask: of this round.
        theta0: weights at step 0, not masked.
        trained: weights that the mask was cut from; {} where nothing looks at them.

    Raises:
        ValueError: as for ``start``.
    """
    begun = start(source, mask)
    if action == ZERO:
        return begun
    for name, kept in mask.items():
        initial = theta0[name]
        if action in LOOK_AT_TRAINED:
            initial = _without_shrunken(initial, trained[name])
        begun[name] = np.where(
            kept, initial if action == ZERO_ALL else begun[name], initial
        )
    return begun


def _without_shrunken(initial: Floats, trained: Floats) -> Floats:
    """Initial values, +0.0 where training moved them toward zero."""
    return np.where(np.abs(trained) < np.abs(initial), np.float32(0), initial)
