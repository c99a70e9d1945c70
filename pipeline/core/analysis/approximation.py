"""Approximate a trained network by a subnetwork of a random one, and say how well."""

from typing import Any

import numpy as np
import torch

from pipeline.core.analysis.evaluation import BATCH, evaluator
from pipeline.core.arrays import Floats, Weights
from pipeline.core.batches import Dataset, Split, prepared
from pipeline.core.constructions.target import Built, Layer, Subsets, Target
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import Network


def target_of(network: Network, weights: Weights, data: Dataset) -> Target:
    """The target of a construction.

    Raises:
        ValueError: if a weight is not finite.
    """
    if not all(np.isfinite(values).all() for values in weights.values()):
        raise ValueError("the trained network has diverged, so nothing can approximate it")
    signed = any(_has_negative(data, split) for split in (data.train, data.test))
    return Target(network=network, weights=weights, signed=signed)


def _has_negative(data: Dataset, split: Split) -> bool:
    kind = data.description.inputs
    starts = range(0, len(split), BATCH)
    return any(
        bool((prepared(split.inputs[n : n + BATCH], kind) < 0).any()) for n in starts
    )


def subsets_of(built: Built) -> dict[str, Subsets]:
    """The subnetwork: the candidates kept for every weight, by kernel."""
    return {name: layer.subsets for name, layer in built.layers.items()}


def facts(target: Target, built: Built, data: Dataset, *, epsilon: float) -> dict[str, Any]:
    """How close a subnetwork of a random network comes to its target, and at what cost.

    Args:
        target: that is approximated.
        built: the subnetwork.
        data: the prepared data set; networks are compared on its test set.
        epsilon: a weight counts as ``within`` if its error is at most this.

    Returns:
        Errors of the weights in the target's unit (``epsilon`` is the greatest), accuracies
        in [0, 1], the share of equal predictions, the greatest difference of two logits,
        and counts of weights and units; ``layers`` has errors and counts per kernel.
    """
    ours = evaluator(built.network, data, data.test)(built.weights)
    wanted = evaluator(target.network, data, data.test)(target.weights)
    agreement, difference = _compared(target, built, data)
    layers = {name: _account(layer, epsilon) for name, layer in built.layers.items()}
    every = np.concatenate([layer.errors.ravel() for layer in built.layers.values()])
    counts = {
        name: sum(account[name] for account in layers.values())
        for name in ("target_weights", "weights_drawn", "weights_kept", "units_drawn")
    }
    return (
        _errors(every, epsilon)
        | counts
        | {
            "kept_to_target": counts["weights_kept"] / counts["target_weights"],
            "target_accuracy": wanted.accuracy,
            "accuracy": ours.accuracy,
            "agreement": agreement,
            "logit_difference": difference,
            "scale": built.scale,
            "layers": layers,
        }
    )


def _account(layer: Layer, epsilon: float) -> dict[str, Any]:
    return _errors(layer.errors, epsilon) | {
        "target_weights": layer.errors[0].size,
        "weights_drawn": layer.drawn,
        "weights_kept": layer.kept,
        "units_drawn": layer.units,
    }


def _errors(errors: np.ndarray, epsilon: float) -> dict[str, float]:
    return {
        "epsilon": float(errors.max()),
        "error_median": float(np.median(errors)),
        "error_p99": float(np.quantile(errors, 0.99)),
        "within": float((errors <= epsilon).mean()),
    }


def _compared(target: Target, built: Built, data: Dataset) -> tuple[float, float]:
    """The share of equal predictions on the test set, and how far two logits differ."""
    equal, greatest = 0.0, 0.0
    for first in range(0, len(data.test), BATCH):
        inputs = prepared(data.test.inputs[first : first + BATCH], data.description.inputs)
        a = _logits(target.network, target.weights, inputs)
        b = _logits(built.network, built.weights, inputs)
        equal += float((a.argmax(axis=-1) == b.argmax(axis=-1)).mean()) * len(inputs)
        greatest = max(greatest, float(np.abs(a - b).max()))
    return equal / len(data.test), greatest


def _logits(network: Network, weights: Weights, inputs: np.ndarray) -> Floats:
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    with torch.no_grad():
        found: Floats = forward(
            network, tensors, torch.from_numpy(inputs), training=False
        ).numpy()
    return found
