"""Choose the examples and prepare the weights with which gradients are computed."""

import numpy as np
import torch
from torch import Tensor

from pipeline.core.arrays import Scores
from pipeline.core.batches import Batch
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.models.layers import parameters

PER_CLASS = 10
"""training examples of every class that a score looks at"""
_AT_ONCE = 10
"""examples that are read at a time"""


def balanced(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Ten training examples of every class, or all there are of a class with fewer.

    Returns:
        Inputs as a network sees them, and labels (B,), in the order of their reading.
    """
    assert evidence.batches is not None, "checked by criteria.score"
    taken: dict[int, int] = {}
    images, labels = [], []
    for batch in evidence.batches(_AT_ONCE):
        wanted = _wanted(batch, taken)
        images.append(batch.inputs[wanted])
        labels.append(batch.labels[wanted])
        if len(taken) == _num_classes(evidence) and min(taken.values()) == PER_CLASS:
            break
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(
        np.concatenate(labels)
    )


def leaves(evidence: Evidence) -> dict[str, Tensor]:
    """Copies of θ₀ under the mask; those of the mask's tensors want gradients."""
    weights = {name: torch.tensor(values) for name, values in evidence.theta0.items()}
    for name, kept in evidence.mask.items():
        weights[name] *= torch.from_numpy(kept)
        weights[name].requires_grad_()
    return weights


def scored(evidence: Evidence, scores: dict[str, Tensor]) -> Scores:
    """Scores as arrays, 0 where the mask has pruned."""
    return {
        name: np.where(kept, scores[name].detach().numpy(), 0.0)
        for name, kept in evidence.mask.items()
    }


def _wanted(batch: Batch, taken: dict[int, int]) -> list[int]:
    wanted = []
    for at, label in enumerate(batch.labels.tolist()):
        if taken.get(label, 0) < PER_CLASS:
            taken[label] = taken.get(label, 0) + 1
            wanted.append(at)
    return wanted


def _num_classes(evidence: Evidence) -> int:
    """The number of logits: outputs of the last layer with a bias."""
    biases = [t for t in parameters(evidence.network).values() if t.role == "bias"]
    return biases[-1].shape[0]
