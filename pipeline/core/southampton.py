"""What the script behind the reproducibility report does instead of the algorithm.

The report (Shu, Qi & Liang, Southampton) ran rahulvigneswaran's
Lottery-Ticket-Hypothesis-in-Pytorch. A task with ``compat: southampton`` keeps what that
script does and no other setting can say; here, and in the engine of that name:

- Round 0 trains at ``FIRST_LR``, whatever ``train.lr`` says.
- ``prune``: thresholds are percentiles of the weights that are not 0.
- The gradient of the loss is set to 0 where a weight is below ``FROZEN_BELOW``; meant was
  its magnitude. So negative weights learn nothing, and the L2 term of Adam alone, as large
  as any gradient once it is normalized, pushes them up by about the rate per step.
- ``with_trained_biases``: the saved initial biases are overwritten by training.
- ``best_accuracy`` of the tests before each stretch of ``evaluate_every`` steps (one epoch
  there), of the ``num_scored`` images in full batches, divided by all.

What has a setting stays one. The script's values: ``init: southampton``, Adam with
``weight_decay: 1e-4``, batches of 60, ``evaluate_every`` of one epoch, a ``fraction`` of .1
for every kind; its reinit finds its own masks (``mask: own``, ``rewind.to: reinit``).

It cannot be emulated, and is ours: training on 55,000 of the 60,000 training images, the
order of the data (the script also goes on drawing where the last round stopped), the
random numbers (it has no seeds), one θ₀ for ticket and reinit (there each its own), the
place of Adam's epsilon in torch 1.2. Curves on the validation set, and the early stop read
off them, have no counterpart there.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers, Mask, Weights

FIRST_LR = 1e-3
"""of round 0: its optimizer is made without the rate, and this is Adam's default"""
FROZEN_BELOW = np.float32(1e-6)
"""weights below this, all negative ones among them, get no gradient of the loss"""


def freezes(name: str) -> bool:
    """Whether the script freezes and prunes in a tensor, which it tells by the name."""
    return "weight" in name


def prune(trained: Weights, mask: Mask, fractions: Mapping[str, float]) -> Mask:
    """Remove what is smaller than a percentile of its tensor, anew each round.

    Args:
        trained: weights at the end of the round; pruned ones are 0.
        mask: of that round; left unchanged.
        fractions: per tensor of the mask, of the weights that are not 0, in [0, 1).

    Returns:
        A subset of the mask, without a weight that was trained to exactly 0. A tensor
        with a weight that is not a number, or with none left, loses nothing.
    """
    return {
        name: kept & ~(np.abs(trained[name]) < _threshold(trained[name], fractions[name]))
        for name, kept in mask.items()
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


def with_trained_biases(source: Weights, trained: Weights) -> Weights:
    """A round's source with the biases that the previous round ended with.

    Resetting hands the saved initial biases to the network without copying them, so that
    the next training changes what is saved. Round 0 trains tensors of its own: round 1
    begins with the initial biases, round r > 1 with those at the end of round r - 1.

    Args:
        source: θ₀.
        trained: of the chain's previous round.
    """
    return {n: w if freezes(n) else trained[n] for n, w in source.items()}


def num_scored(num_examples: int, batch_size: int) -> int:
    """Test images in full batches, the first ones; the others are never looked at.

    >>> num_scored(10_000, 60)
    9960
    """
    return num_examples // batch_size * batch_size


def best_accuracy(steps: Integers, accuracies: NDArray[np.float64], end_step: int) -> float:
    """The highest test accuracy before the end, at which the script does not test.

    Args:
        steps: of the tests, ascending; the first is before ``end_step``.
        accuracies: (len(steps),), that of the untrained network first.
        end_step: of the training.
    """
    return float(np.max(accuracies[steps < end_step]))
