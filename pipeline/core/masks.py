"""Masks say which weights are kept. No function here changes its arguments.

A mask has one entry for every tensor that counts in the density. Biases, norm
parameters, and kernels that its source does not count have no entry.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import Parameter


def dense(parameters: Mapping[str, Parameter], counted: Iterable[str]) -> Mask:
    """The mask of round 0, which keeps everything.

    Args:
        parameters: of the network, from ``layers.parameters``.
        counted: names of the tensors that count; the keys of
            ``counts.fractions_per_tensor``.
    """
    return {name: np.ones(parameters[name].shape, np.bool_) for name in counted}


def kept(mask: Mask) -> dict[str, int]:
    """The number of weights kept, per tensor."""
    return {name: int(np.count_nonzero(kept)) for name, kept in mask.items()}


def density(mask: Mask) -> float:
    """The fraction of weights kept, of all tensors together; in [0, 1].

    >>> density({"a": np.array([True, False]), "b": np.array([True, True])})
    0.75
    """
    return sum(kept(mask).values()) / sum(entries.size for entries in mask.values())


def layer_densities(mask: Mask) -> dict[str, float]:
    """The fraction of weights kept, per tensor; in [0, 1]."""
    return {name: count / mask[name].size for name, count in kept(mask).items()}


def problem(mask: Mask, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Why something is no mask of a network, in words; empty = it is one.

    Args:
        mask: that somebody else made.
        shapes: of the network's prunable tensors.
    """
    for name, entries in mask.items():
        if name not in shapes:
            return f"it masks {name}, which the network does not have"
        if entries.shape != shapes[name]:
            found, wanted = list(entries.shape), list(shapes[name])
            return f"the mask of {name} is {found}, the network's tensor {wanted}"
        if entries.dtype != np.bool_:
            return f"the mask of {name} is {entries.dtype}, bool is needed"
    return "" if any(kept.any() for kept in mask.values()) else "it keeps no weight"


def collapsed(mask: Mask) -> list[str]:
    """Names of the tensors without a weight left: nothing passes through them."""
    return [name for name, count in kept(mask).items() if count == 0]


def apply(weights: Weights, mask: Mask) -> Weights:
    """The weights with every pruned one replaced by +0.0.

    Values are replaced, not multiplied: NaN × 0 is NaN and -1 × 0 is -0.0. Tensors
    without a mask are copied.

    Raises:
        ValueError: if a tensor of the mask is missing in the weights, or has another
            shape there.
    """
    _check_fits(mask, weights)
    return {
        name: np.where(mask[name], values, values.dtype.type(0))
        if name in mask
        else values.copy()
        for name, values in weights.items()
    }


def connected(weights: Weights, mask: Mask) -> Mask:
    """The weights through which something passes: kept ones, and frozen ones not 0.

    Raises:
        ValueError: as for ``apply``.
    """
    _check_fits(mask, weights)
    return {name: kept | (weights[name] != 0) for name, kept in mask.items()}


def is_nested(new: Mask, old: Mask) -> bool:
    """Whether ``new`` keeps only what ``old`` keeps, in the same tensors."""
    return _same_shapes(new, old) and all(
        not np.any(new[name] & ~old[name]) for name in new
    )


def shuffle_layerwise(mask: Mask, rng: np.random.Generator) -> Mask:
    """A random mask with as many weights in each tensor as this one.

    Source: the control "random sparsity" of Frankle & Carbin 2019, appendix E.

    Args:
        mask: left unchanged.
        rng: of purpose ``mask_shuffle``; drawn from in the order of sorted names, so
            that the order of the dictionary does not matter.
    """
    shuffled = {
        name: rng.permutation(mask[name].ravel()).reshape(mask[name].shape)
        for name in sorted(mask)
    }
    return {name: shuffled[name] for name in mask}


def mask_overlap(a: Mask, b: Mask) -> float:
    """|a ∧ b| / |a ∨ b| over all tensors together; 1 for two masks that keep nothing.

    Raises:
        ValueError: if the masks differ in tensors or shapes.
    """
    if not _same_shapes(a, b):
        raise ValueError(
            f"masks of different networks: {_shapes(a)} and {_shapes(b)}; "
            "compare masks of one model and one set of prunable tensors"
        )
    both = sum(int(np.count_nonzero(a[name] & b[name])) for name in a)
    either = sum(int(np.count_nonzero(a[name] | b[name])) for name in a)
    return both / either if either else 1.0


def revived(weights: Weights, mask: Mask) -> list[str]:
    """Names of the tensors in which some pruned weight is not zero; [] = there are none.

    NaN is not zero; -0.0 is zero.

    Raises:
        ValueError: as for ``apply``.
    """
    _check_fits(mask, weights)
    return [name for name in mask if np.any(weights[name][~mask[name]] != 0)]


def _check_fits(mask: Mask, weights: Weights) -> None:
    for name, entries in mask.items():
        if name not in weights:
            raise ValueError(
                f"the mask has {name!r}, the weights have only {sorted(weights)}; "
                "take mask and weights of the same model"
            )
        if entries.shape != weights[name].shape:
            raise ValueError(
                f"{name!r} is {entries.shape} in the mask and {weights[name].shape} in "
                "the weights; take mask and weights of the same model"
            )


def _same_shapes(a: Mask, b: Mask) -> bool:
    return _shapes(a) == _shapes(b)


def _shapes(mask: Mask) -> dict[str, tuple[int, ...]]:
    return {name: entries.shape for name, entries in mask.items()}
