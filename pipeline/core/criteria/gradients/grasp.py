"""GraSP: keep the weights that hold up the flow of gradients, at initialization.

Wang, Zhang, Grosse 2020, "Picking winning tickets before training by preserving gradient
flow", arXiv:2002.07376, eq. 8: removing weight θ changes gᵀg by about -2 θ (H g). Weights
whose removal lowers the flow most stay: the score, larger = keep, is θ (H g). Their
program computes -θ (H g) and removes the highest, which is the same.

Deviations: as for ``snip``, the weights that are trained are scored (the program draws its
linear layers anew before it scores); one batch of 10 examples per class, where the program
splits it in two halves. The logits are divided by the program's temperature of 200.
"""

import torch

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.gradients.examples import (
    balanced,
    leaves,
    logits_of,
    times_weights,
)
from pipeline.core.losses import mean_loss

TEMPERATURE = 200.0


def grasp(evidence: Evidence) -> Scores:
    """θ (H g), with g and H of the loss under the mask, at a high temperature."""
    weights = leaves(evidence)
    inputs, labels = balanced(evidence)
    logits = logits_of(evidence, weights, inputs) / TEMPERATURE
    asked = [weights[name] for name in evidence.mask]
    loss = mean_loss(logits, labels, evidence.data)
    first = torch.autograd.grad(loss, asked, create_graph=True)
    flow = sum((gradient.detach() * gradient).sum() for gradient in first)
    assert isinstance(flow, torch.Tensor), "a mask has at least one tensor"
    return times_weights(evidence, weights, torch.autograd.grad(flow, asked))
