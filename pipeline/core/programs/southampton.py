"""The script behind the reproducibility report, and how it departs from the algorithm.

The report (Shu, Qi & Liang, Southampton) ran rahulvigneswaran's script
Lottery-Ticket-Hypothesis-in-Pytorch. A task with ``compat: southampton`` repeats those
departures of the script that no other setting can express. The program's record
(``core/programs``) names the files that hold them:

- The engine: round 0 trains at ``FIRST_LR``, whatever ``train.lr`` says.
- The cut: thresholds are percentiles of the weights that are not 0.
- The engine, too: the gradient of the loss is set to 0 where a weight is below
  ``FROZEN_BELOW``; its authors meant the magnitude of the weight. So negative weights
  learn nothing: only the L2 term of Adam, which normalization makes as large as any
  gradient, pushes them up, by about the rate per step.
- The start: training overwrites the saved initial biases.
- The metric: the script tests before each stretch of ``evaluate_every`` steps (one epoch
  there). It counts right answers among the ``num_scored`` images of full batches, divides
  by the number of all images, and reports the best test.

Departures that have a setting are set in params.yaml. The script's values are: ``init:
southampton``, Adam with ``weight_decay: 1e-4``, batches of 60, ``evaluate_every`` of one
epoch, a ``fraction`` of .1 for every kind; its reinit finds its own masks (``mask: own``,
``rewind.to: reinit``).

Some departures cannot be emulated. Ours remain: training on 55,000 of the 60,000 training
images; the order of the data (the script goes on drawing where the last round stopped);
the random numbers (the script has no seeds); one θ₀ for ticket and reinit (each has its
own in the script); the place of Adam's epsilon, which differed in torch 1.2. The script
has no validation curves, and so no early stop.
"""

import numpy as np

FIRST_LR = 1e-3
"""learning rate of round 0: the script makes that optimizer without a rate, and this is
Adam's default"""
FROZEN_BELOW = np.float32(1e-6)
"""weights below this number, and so all negative ones, get no gradient of the loss"""


def freezes(name: str) -> bool:
    """Whether the script freezes and prunes weights of a tensor; it decides by the name."""
    return "weight" in name


def num_scored(num_examples: int, batch_size: int) -> int:
    """The number of test images that are scored: the first ones, in full batches only.

    >>> num_scored(10_000, 60)
    9960
    """
    return num_examples // batch_size * batch_size
