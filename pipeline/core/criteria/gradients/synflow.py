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
from pipeline.core.criteria.gradients.examples import leaves, times_weights
from pipeline.core.description import Images, Inputs, Vectors
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import parameters

_NEUTRAL = {"bias": 0.0, "shift": 0.0, "mean": 0.0, "variance": 1.0}


def synflow(evidence: Evidence) -> Scores:
    """|∂R/∂θ θ| under the mask.

    Raises:
        ValueError: if inputs are tokens, of which none is an input of ones.
    """
    weights = _positive(evidence)
    ones = torch.ones(_input_shape(evidence.data.inputs), dtype=torch.float64)
    flow = forward(evidence.network, weights, ones, training=False).sum()
    found = torch.autograd.grad(flow, [weights[name] for name in evidence.mask])
    return times_weights(evidence, weights, found)


def _input_shape(inputs: Inputs) -> tuple[int, ...]:
    """The shape of a batch of one example."""
    match inputs:
        case Images():
            return 1, *inputs.shape
        case Vectors():
            return 1, inputs.num_values
        case _:
            raise ValueError(f"synflow needs images or vectors; the data are {inputs}")


def _positive(evidence: Evidence) -> dict[str, Tensor]:
    """|θ| under the mask in float64, without biases and with norms at identity."""
    positive = {}
    roles = {name: tensor.role for name, tensor in parameters(evidence.network).items()}
    for name, weight in leaves(evidence).items():
        value = weight.detach().double().abs()
        if roles[name] in _NEUTRAL:
            value = torch.full_like(value, _NEUTRAL[roles[name]])
        positive[name] = value.requires_grad_(name in evidence.mask)
    return positive
