"""Rewinding makes the weights a round begins with: earlier weights under the new mask."""

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Floats, Mask, Weights

ZERO = "zero"
FREEZE_INIT = "freeze-init"
ZERO_MASK = "freeze-init-zero-mask"
ZERO_ALL = "freeze-init-zero-all"
ACTIONS = (ZERO, FREEZE_INIT, ZERO_MASK, ZERO_ALL)
"""the values that pruned weights may have while the others train"""
LOOK_AT_TRAINED = frozenset({ZERO_MASK, ZERO_ALL})
"""the actions that depend on what training did to a weight"""


def start(source: Weights, mask: Mask) -> Weights:
    """The weights a round begins from: ``source`` ⊙ ``mask``.

    Tensors without a mask (biases, norm parameters and running statistics) come from the
    source, too. All are copies, so training never changes the source.

    Source: Frankle & Carbin 2019, arXiv:1803.03635 (source = θ₀); Frankle et al. 2020,
    arXiv:1912.05671 (source = θ_k).

    Args:
        source: θ₀, θ_k, or freshly drawn weights.
        mask: the mask of this round; pruned weights become +0.0.

    Raises:
        ValueError: if a tensor of the mask is missing in the source, or has another
            shape there.
    """
    return masks.apply(source, mask)


def frozen_start(
    action: str, source: Weights, mask: Mask, *, theta0: Weights, trained: Weights
) -> Weights:
    """The weights a round begins from where pruned weights are frozen, not removed.

    - ``zero``: pruned weights are 0, as for ``start``.
    - ``freeze-init``: pruned weights are those of θ₀.
    - ``freeze-init-zero-mask`` (variant 1 of the paper): pruned weights are those of θ₀,
      or 0 where training moved them toward zero, |w_f| < |w_i|.
    - ``freeze-init-zero-all`` (variant 2 of the paper): as variant 1; in addition, kept
      weights that training moved toward zero begin at 0, and train.

    w_f is the weight at the end of the training from which the mask was cut; w_i is the
    weight in θ₀, in every round. So a pruned weight keeps the value that it got when it
    was pruned: frozen at θ₀ it has not moved since, and at 0 it lies below θ₀. A kept
    weight that began at 0 begins at θ₀ again once a round leaves it larger than in θ₀.
    A NaN has not moved toward zero. Deviation: in the paper's code w_i is the weight with
    which that training began. This differs for variant 2, from round 2 on: a weight that
    began the previous round at 0 is compared with 0 there, so that it begins at 0 again
    if it is kept, and is frozen at 0 if it is pruned now.

    Source: Zhou et al. 2019, arXiv:1905.01067, mask-0 actions. Tensors without a mask
    (biases, norms) come from ``source``, as for ``start``.

    Args:
        action: one of ACTIONS.
        source: weights from which kept weights begin; θ₀ itself where the action is one
            of LOOK_AT_TRAINED.
        mask: the mask of this round.
        theta0: weights at step 0, not masked.
        trained: weights from which the mask was cut; {} where the action ignores them.

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
    """The initial values, replaced by +0.0 where training moved them toward zero."""
    return np.where(np.abs(trained) < np.abs(initial), np.float32(0), initial)
