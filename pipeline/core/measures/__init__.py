"""Measures take a number from the weights of a network while it trains. One file each.

Where ``train.measures`` names them, they are taken at evaluations, and the result of the
training has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import Kind, Network, parameters
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure(Entry):
    """Where a measure is defined, and what it needs."""

    label: str
    """what it is, with its unit, at the axis of a figure"""
    kind: Kind | None = None
    """a kind of layer that a network must have; None = it takes every network"""
    compares: bool = False
    """whether it compares weights with those ``evaluate_every`` steps before. It is taken
    at multiples of that, so that all windows are of one length"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a measure looks at."""

    network: Network
    weights: Weights
    """pruned ones are 0, unless they are frozen"""
    mask: Mask
    before: Weights
    """the weights ``evaluate_every`` steps before, for a measure that compares; else {}"""


MEASURES: Registry[Measure] = Registry(
    "measure",
    __name__,
    {
        "weight-norm": Measure(module="weight_norm", label="Norm of the weights"),
        "fourier-entropy": Measure(
            module="fourier_entropy", kind="embedding", label="Fourier entropy (nats)"
        ),
        "mask-distance": Measure(
            module="mask_distance",
            compares=True,
            label="Jaccard distance of masks",
        ),
    },
    offers="measure",
)


def take(name: str, seen: Seen) -> float:
    """The number that a measure takes; NaN or infinite for a network that diverged.

    Args:
        name: one of MEASURES.
        seen: the network.

    Raises:
        UnknownNameError: if there is no such measure.
    """
    found: float = MEASURES.load(name)(seen)
    return found


def refusal(name: str, network: Network) -> str:
    """Why a measure cannot be taken of a network; empty if it can.

    Args:
        name: one of MEASURES.
        network: that trains.
    """
    kind = MEASURES[name].kind
    tensors: Mapping[str, object] = {
        n: tensor for n, tensor in parameters(network).items() if tensor.kind == kind
    }
    if kind is None or tensors:
        return ""
    return f"{name} needs a layer of kind {kind}, and the network has none; leave it out"
