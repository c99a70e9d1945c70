"""SNIP: keep the weights whose removal would change the loss most, at initialization.

Lee, Ajanthan, Torr 2019, "SNIP: single-shot network pruning based on connection
sensitivity", arXiv:1810.02340, eq. 4 to 6: the gradient of the loss with respect to a
weight's mask entry is g θ, and the score is |g θ|, with g of a few training examples.

Two protocols: ``snip`` scores the weights that are trained, with 10 examples of every
class, as in Frankle et al. 2021, "Pruning neural networks at initialization: why are we
missing the mark?", arXiv:2009.08576. ``snip-official`` does as the authors' program: it
scores one draw of the weights, and another is trained; it takes 100 examples at random.

Deviations: the paper divides scores by their sum, which changes no rank. The authors'
program ranks biases as well, and takes 128 examples of CIFAR-10; here biases are never
pruned. The other draw has the same values in another order. Batch norm normalizes by the
batch, as it will in training.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from pipeline.core.arrays import Scores, Weights
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.gradients.examples import (
    balanced,
    leaves,
    logits_of,
    times_weights,
)
from pipeline.core.losses import mean_loss

AT_RANDOM = 100
"""examples of the authors' program"""
_AT_ONCE = 10
"""those that are read at a time"""


def snip(evidence: Evidence) -> Scores:
    """|g θ|, with g the gradient of the loss under the mask."""
    return _sensitivity(evidence, *balanced(evidence))


def snip_official(evidence: Evidence) -> Scores:
    """|g θ|, with θ another draw than the weights that are trained."""
    assert evidence.batches is not None, "checked by criteria.score"
    read = list(islice(evidence.batches(_AT_ONCE), AT_RANDOM // _AT_ONCE))
    inputs = torch.from_numpy(np.concatenate([batch.inputs for batch in read]))
    labels = torch.from_numpy(np.concatenate([batch.labels for batch in read]))
    return _sensitivity(replace(evidence, begun=_another(evidence)), inputs, labels)


def _another(evidence: Evidence) -> Weights:
    """The values of each tensor that the mask keeps, in another order."""
    assert evidence.rng is not None, "checked by criteria.score"
    moved = {}
    for name in sorted(evidence.mask):
        kept, values = evidence.mask[name], evidence.begun[name].copy()
        values[kept] = evidence.rng.permutation(values[kept])
        moved[name] = values
    return evidence.begun | moved


def _sensitivity(evidence: Evidence, inputs: Tensor, labels: Tensor) -> Scores:
    weights = leaves(evidence)
    logits = logits_of(evidence, weights, inputs)
    loss = mean_loss(logits, labels, evidence.data)
    found = torch.autograd.grad(loss, [weights[name] for name in evidence.mask])
    products = times_weights(evidence, weights, found)
    return {name: np.abs(values) for name, values in products.items()}


def snip_iterative(evidence: Evidence) -> Scores:
    """``snip``, for a cut in many passes that each score what the last one left.

    Source: de Jorge et al. 2021, "Progressive skeletonization", arXiv:2006.09081
    (iterative SNIP; a pruned weight does not come back). Deviation: all 100 passes look at
    the same examples; the authors' program has 10 steps by default, each with a new batch.
    """
    return snip(evidence)
