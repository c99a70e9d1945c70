"""What the script behind the reproducibility report does instead of the algorithm.

The report (Shu, Qi & Liang, Southampton) ran rahulvigneswaran's
Lottery-Ticket-Hypothesis-in-Pytorch. A task with ``compat: southampton`` keeps what that
script does and no other setting can say. Its parts stand in the files that the record of
the program names (``core/programs``):

- The engine: round 0 trains at ``FIRST_LR``, whatever ``train.lr`` says.
- The cut: thresholds are percentiles of the weights that are not 0.
- The engine, too: the gradient of the loss is set to 0 where a weight is below
  ``FROZEN_BELOW``; its magnitude was meant. So negative weights learn nothing, and the L2
  term of Adam alone, as large as any gradient once it is normalized, pushes them up by
  about the rate per step.
- The start: the saved initial biases are overwritten by training.
- The metric: the best accuracy of the tests before each stretch of ``evaluate_every``
  steps (one epoch there), of the ``num_scored`` images in full batches, divided by all.

What has a setting stays one. The script's values: ``init: southampton``, Adam with
``weight_decay: 1e-4``, batches of 60, ``evaluate_every`` of one epoch, a ``fraction`` of .1
for every kind; its reinit finds its own masks (``mask: own``, ``rewind.to: reinit``).

It cannot be emulated, and is ours: training on 55,000 of the 60,000 training images, the
order of the data (the script also goes on drawing where the last round stopped), the
random numbers (it has no seeds), one θ₀ for ticket and reinit (there each its own), the
place of Adam's epsilon in torch 1.2. Curves on the validation set, and the early stop read
off them, have no counterpart there.
"""

import numpy as np

FIRST_LR = 1e-3
"""of round 0: its optimizer is made without the rate, and this is Adam's default"""
FROZEN_BELOW = np.float32(1e-6)
"""weights below this, all negative ones among them, get no gradient of the loss"""


def freezes(name: str) -> bool:
    """Whether the script freezes and prunes in a tensor, which it tells by the name."""
    return "weight" in name


def num_scored(num_examples: int, batch_size: int) -> int:
    """Test images in full batches, the first ones; the others are never looked at.

    >>> num_scored(10_000, 60)
    9960
    """
    return num_examples // batch_size * batch_size
