"""SNIP: keep the weights whose removal would change the loss most, at initialization.

Lee, Ajanthan, Torr 2019, "SNIP: single-shot network pruning based on connection
sensitivity", arXiv:1810.02340, eq. 4 to 6: the gradient of the loss with respect to a
weight's mask entry is g θ, and the score is |g θ|, with g of a few training examples.

Deviations: the paper divides scores by their sum, which changes no rank. The authors'
program scores one draw of the weights and trains another, ranks biases as well, and takes
100 (MNIST) or 128 random examples; here the weights that are trained are scored, biases
are never pruned, and there are 10 examples of every class, as in Frankle et al. 2021,
"Pruning neural networks at initialization: why are we missing the mark?",
arXiv:2009.08576. Batch norm normalizes by the batch, as it will in training.
"""

import numpy as np
import torch

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.gradients.examples import (
    balanced,
    inverted,
    leaves,
    times_weights,
)
from pipeline.core.losses import mean_loss
from pipeline.core.models.forward import forward


def snip(evidence: Evidence) -> Scores:
    """|g θ₀|, with g the gradient of the loss at θ₀ under the mask."""
    weights = leaves(evidence)
    inputs, labels = balanced(evidence)
    logits = forward(evidence.network, weights, inputs, training=True)
    loss = mean_loss(logits, labels, evidence.data)
    found = torch.autograd.grad(loss, [weights[name] for name in evidence.mask])
    products = times_weights(evidence, weights, found)
    return {name: np.abs(values) for name, values in products.items()}


def snip_iterative(evidence: Evidence) -> Scores:
    """``snip``, for a cut in many passes that each score what the last one left.

    Source: de Jorge et al. 2021, "Progressive skeletonization", arXiv:2006.09081
    (iterative SNIP; a pruned weight does not come back).
    """
    return snip(evidence)


def snip_inverted(evidence: Evidence) -> Scores:
    """-|g θ₀|."""
    return inverted(snip(evidence))
