"""Loss and accuracy, as the labels of a data set ask for them, in torch."""

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

from pipeline.core.description import Description, TokensAt


def scored(logits: Tensor, data: Description) -> Tensor:
    """The rows of a network's output that have a label.

    Args:
        logits: (…, K) for classes; for tokens (…, L, V), of which some positions count.
        data: what the examples are.

    Returns:
        Logits (…, K), or (…, P, V): the shape of the labels and one dimension more.
    """
    if not isinstance(data.labels, TokensAt):
        return logits
    at = data.labels.positions
    if all(b == a + 1 for a, b in pairwise(at)):
        return logits[..., at[0] : at[-1] + 1, :]  # a view: nothing is copied
    return logits[..., list(at), :]


def mean_loss(
    logits: Tensor, labels: Tensor, data: Description, precision: str | None = None
) -> Tensor:
    """The mean cross-entropy of a batch over all its labels.

    In float32 the softmax of a confident network rounds its gradient to 0 ("softmax
    collapse", Prieto et al. 2025, arXiv:2501.04697); ``precision`` float64 keeps it.
    """
    rows = in_precision(scored(logits, data), precision)
    return F.cross_entropy(rows.flatten(0, -2), labels.flatten())


def in_precision(logits: Tensor, precision: str | None) -> Tensor:
    """The logits in the precision in which a loss is computed from them."""
    return logits.double() if precision == "float64" else logits


def loss_and_correct(
    logits: Tensor, labels: Tensor, data: Description
) -> tuple[float, int]:
    """The sum of the cross-entropy over the labels of a batch, and how many are right."""
    rows = scored(logits, data)
    loss = F.cross_entropy(rows.flatten(0, -2), labels.flatten(), reduction="sum")
    return loss.item(), int((rows.argmax(dim=-1) == labels).sum())
