"""SynFlow: keep the weights on the strongest paths through the network, without any data.

Tanaka, Kunin, Yamins, Ganguli 2020, "Pruning neural networks without any data by
iteratively conserving synaptic flow", arXiv:2006.05467, algorithm 1: R is the sum of the
outputs for an input of ones, with every weight replaced by its absolute value; the score
is |∂R/∂θ θ|. In 100 passes, each with the scores of what is left, the density falls
exponentially. Computed in float64: float32 overflows in deep networks.

Deviations: biases, norm shifts and running means are 0 and running variances 1, as
theorem 1 (conservation of scores) asks; the program keeps them, and they are 0 and 1 at
its initialization. Norms use running statistics, as in the program. No step size excludes
layer collapse for certain; 100 passes do in practice.
"""

import torch
from torch import Tensor

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.gradients.examples import leaves, scored
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import parameters

_NEUTRAL = {"bias": 0.0, "shift": 0.0, "mean": 0.0, "variance": 1.0}


def synflow(evidence: Evidence) -> Scores:
    """|∂R/∂θ₀ θ₀| under the mask; only the shape of an example is looked at."""
    assert evidence.batches is not None, "checked by criteria.score"
    example = next(iter(evidence.batches(1))).inputs
    weights = _positive(evidence)
    ones = torch.ones(example.shape, dtype=torch.float64)
    flow = forward(evidence.network, weights, ones, training=False).sum()
    found = torch.autograd.grad(flow, [weights[name] for name in evidence.mask])
    return scored(
        evidence,
        {
            name: gradient * weights[name]
            for name, gradient in zip(evidence.mask, found, strict=True)
        },
    )


def synflow_inverted(evidence: Evidence) -> Scores:
    """-|∂R/∂θ₀ θ₀|: SynFlow upside down, a check of arXiv:2009.08576."""
    return {name: -values for name, values in synflow(evidence).items()}


def _positive(evidence: Evidence) -> dict[str, Tensor]:
    """|θ₀| under the mask in float64, without biases and with norms at identity."""
    positive = {}
    roles = {name: tensor.role for name, tensor in parameters(evidence.network).items()}
    for name, weight in leaves(evidence).items():
        value = weight.detach().double().abs()
        if roles[name] in _NEUTRAL:
            value = torch.full_like(value, _NEUTRAL[roles[name]])
        positive[name] = value.requires_grad_(name in evidence.mask)
    return positive
