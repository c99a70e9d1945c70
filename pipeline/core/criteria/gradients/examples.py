"""Choose the examples for gradients at initialization, and make scores of the gradients."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from pipeline.core.arrays import Scores
from pipeline.core.batches import Batch
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import Module
from pipeline.core.models.modules import seeded

PER_CLASS = 10
"""training examples of every class that a score looks at"""
_AT_ONCE = 10
"""examples that are read at a time"""


def balanced(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Ten training examples of every class, or all there are of a class with fewer.

    Returns:
        Inputs as a network sees them, and labels (B,), in the order of their reading.

    Raises:
        ValueError: if the labels are no classes.
    """
    assert evidence.batches is not None, "checked by criteria.score"
    num_classes = evidence.data.num_classes
    taken: dict[int, int] = {}
    inputs, labels = [], []
    for batch in evidence.batches(_AT_ONCE):
        wanted = _wanted(batch, taken)
        inputs.append(batch.inputs[wanted])
        labels.append(batch.labels[wanted])
        if len(taken) == num_classes and min(taken.values()) == PER_CLASS:
            break
    return (
        torch.from_numpy(np.concatenate(inputs)),
        torch.from_numpy(np.concatenate(labels)),
    )


def leaves(evidence: Evidence) -> dict[str, Tensor]:
    """Copies of the weights under the mask; those of the mask's tensors want gradients."""
    weights = {name: torch.tensor(values) for name, values in evidence.begun.items()}
    for name, kept in evidence.mask.items():
        weights[name] *= torch.from_numpy(kept)
        weights[name].requires_grad_()
    return weights


def logits_of(evidence: Evidence, weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """The logits of a pass in training, (B, classes).

    Raises:
        ValueError: if the network draws (dropout), and there is no stream to draw from.
    """
    with _chance(evidence):
        return forward(evidence.network, weights, inputs, training=True)


def _chance(evidence: Evidence) -> AbstractContextManager[None]:
    network, rng = evidence.network, evidence.rng
    if not (isinstance(network, Module) and network.draws):
        return nullcontext()
    if rng is None:
        raise ValueError("the network draws random numbers; give a random stream")
    return seeded(int(rng.integers(2**63)))


def times_weights(
    evidence: Evidence, weights: dict[str, Tensor], found: Sequence[Tensor]
) -> Scores:
    """The product of each weight with its number, 0 where the mask has pruned.

    Args:
        evidence: its mask says which tensors.
        weights: under the mask, from ``leaves``.
        found: one number per weight (a gradient), per tensor in the mask's order.
    """
    return {
        name: np.where(kept, (weights[name] * numbers).detach().numpy(), 0.0)
        for (name, kept), numbers in zip(evidence.mask.items(), found, strict=True)
    }


def _wanted(batch: Batch, taken: dict[int, int]) -> list[int]:
    wanted = []
    for at, label in enumerate(batch.labels.tolist()):
        if taken.get(label, 0) < PER_CLASS:
            taken[label] = taken.get(label, 0) + 1
            wanted.append(at)
    return wanted
