"""Kernels that compiled engines share, for loss and optimizer, and their arguments.

A matrix has one row per unit and one column per example of a block.
"""

import math
from typing import NamedTuple

import numpy as np

from pipeline.core.arrays import Bytes, Floats, Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.processor import prefetch
from pipeline.engines.shared.vectors import (
    CACHE_LINE,
    LANES,
    ONE,
    Shape,
    Vectors,
    add,
    div,
    exp,
    fma,
    larger,
    load,
    mul,
    root,
    splat,
    store,
    sub,
    uint,
    where_equal,
)

FACTORS = 8
"""how many float32 numbers can be multiplied without overflow in float64"""


class Tensor(NamedTuple):
    """The weights (or the biases) of all layers, one after the other, and padding.

    Every array ends with at least 16 zeros.
    """

    value: Floats
    gradient: Floats
    """gradients summed up during a step; the optimizer sets them back to 0"""
    moment: Floats
    """first moment, or momentum"""
    square: Floats
    """second moment"""


class Examples(NamedTuple):
    """The examples of a split, or of one batch."""

    images: Bytes | Floats
    """(N · num_pixels,): bytes, or floats; scale and offset turn them into inputs"""
    labels: Integers
    """(N,), each below the number of logits"""
    num_pixels: int


class Rule(NamedTuple):
    """The optimizer and its numbers for each step."""

    adam: bool
    """whether it is Adam; else it is SGD with momentum"""
    momentum: np.float32
    """the momentum of SGD"""
    decay: np.float32
    """weight decay that is added to the gradient"""
    rates: Floats
    """(steps, 3): step size, 1 / √(second bias correction), factor of the weights"""


class Logits(NamedTuple):
    """The last layer of a block of examples."""

    first: int
    """row of the first logit; the others follow"""
    end: int
    outputs: Floats
    """outputs of all units, a matrix; ``gradients`` has the same form"""
    gradients: Floats
    shares: Floats
    """weight of each column in the mean loss; padding has 0"""
    peaks: Floats
    """largest logit of each column"""
    totals: Floats
    """sum of exp(logit - peak) of each column"""


@kernel
def announce(examples: Examples, block: Integers) -> None:
    """Begin to fetch the images of a later block while the present one is computed."""
    for example in block:
        first = example * examples.num_pixels
        for pixel in range(first, first + examples.num_pixels, CACHE_LINE):
            prefetch(examples.images, pixel)


@kernel
def _softmax(ends: Logits, shape: Shape) -> None:
    """Write exp(logit - peak) into the logits' rows of ``gradients``; find peaks, sums."""
    width = uint(LANES * len(shape))
    first, end = uint(ends.first), uint(ends.end)
    peak = load(ends.outputs, first * width, shape)
    for unit in range(first + uint(1), end):
        peak = larger(load(ends.outputs, unit * width, shape), peak)
    total = splat(np.float32(0), shape)
    for unit in range(first, end):
        a = exp(sub(load(ends.outputs, unit * width, shape), peak))
        total = add(total, a)
        store(ends.gradients, unit * width, a)
    store(ends.peaks, uint(0), peak)
    store(ends.totals, uint(0), total)


@kernel
def loss_gradient(
    ends: Logits, labels: Integers, block: Integers, batch_size: int, shape: Shape
) -> None:
    """Compute the logits' gradients: (softmax - one-hot) / batch size; padding has 0."""
    width = uint(LANES * len(shape))
    for column in range(LANES * len(shape)):
        ends.shares[column] = 1.0 / batch_size if column < len(block) else 0.0
    _softmax(ends, shape)
    first, end = uint(ends.first), uint(ends.end)
    shares = load(ends.shares, uint(0), shape)
    factor = div(shares, load(ends.totals, uint(0), shape))
    for unit in range(first, end):
        a = load(ends.gradients, unit * width, shape)
        store(ends.gradients, unit * width, mul(a, factor))
    for column in range(len(block)):
        label = uint(labels[block[column]])
        ends.gradients[(first + label) * width + uint(column)] -= ends.shares[column]


@kernel
def loss_of(ends: Logits, labels: Integers, shape: Shape) -> tuple[float, int]:
    """Sum of cross-entropies and number of right answers of a block.

    If several logits are equally large, the first one is the answer; if some are NaN, the
    first of these.
    """
    width = LANES * len(shape)
    _softmax(ends, shape)
    _answers(ends, shape)
    first, loss, correct, product = ends.first, 0.0, 0, 1.0
    for column in range(len(labels)):
        label = labels[column]
        logit = ends.outputs[uint((first + label) * width + column)]
        peak = ends.peaks[uint(column)]
        loss -= np.float64(logit - peak)
        correct += (logit == peak) & (ends.shares[uint(column)] == np.float32(label))
        # One logarithm of a product is cheaper than a logarithm of each factor.
        product *= ends.totals[uint(column)]
        if column % FACTORS == FACTORS - 1:
            loss += math.log(product)
            product = 1.0
    loss += math.log(product)
    if math.isnan(loss):
        correct = _correct_with_nan(ends, labels, width)
    return loss, correct


@kernel
def _correct_with_nan(ends: Logits, labels: Integers, width: int) -> int:
    """The number of right answers of a block in which logits may be NaN."""
    correct = 0
    for column in range(len(labels)):
        answer = 0
        for unit in range(1, ends.end - ends.first):
            logit = ends.outputs[uint((ends.first + unit) * width + column)]
            best = ends.outputs[uint((ends.first + answer) * width + column)]
            if logit > best or (math.isnan(logit) and not math.isnan(best)):
                answer = unit
        correct += answer == labels[column]
    return correct


@kernel
def _answers(ends: Logits, shape: Shape) -> None:
    """Write the class of each column's largest logit into ``shares``."""
    width = uint(LANES * len(shape))
    first, end = uint(ends.first), uint(ends.end)
    peak = load(ends.peaks, uint(0), shape)
    answer = splat(np.float32(0), shape)
    for back in range(uint(1), end - first + uint(1)):
        unit = end - back
        number = splat(np.float32(unit - first), shape)
        logit = load(ends.outputs, unit * width, shape)
        answer = where_equal(logit, peak, number, answer)
    store(ends.shares, uint(0), answer)


@kernel
def move_all(tensor: Tensor, rule: Rule, step: int) -> None:
    """Run one step of the optimizer on all weights, and set their gradients to 0."""
    for first in range(0, len(tensor.value), LANES):
        at = uint(first)
        g = load(tensor.gradient, at, ONE)
        store(tensor.value, at, moved_value(tensor, rule, step, at, g, ONE))
        store(tensor.gradient, at, splat(np.float32(0), ONE))


@kernel
def moved_value(
    tensor: Tensor, rule: Rule, step: int, at: np.uint64, g: Vectors, shape: Shape
) -> Vectors:
    """The new value of a vector of weights, as in torch.optim; also updates its moments."""
    value, moment = load(tensor.value, at, shape), load(tensor.moment, at, shape)
    g = fma(splat(rule.decay, shape), value, g)
    if rule.adam:
        size, scale, factor = rule.rates[step]
        moment = fma(splat(np.float32(0.1), shape), sub(g, moment), moment)
        square = mul(splat(np.float32(0.999), shape), load(tensor.square, at, shape))
        square = fma(mul(splat(np.float32(0.001), shape), g), g, square)
        store(tensor.square, at, square)
        below = fma(root(square), splat(scale, shape), splat(np.float32(1e-8), shape))
        change = div(mul(splat(size, shape), moment), below)
        value = sub(mul(splat(factor, shape), value), change)
    else:
        moment = fma(splat(rule.momentum, shape), moment, g)
        value = sub(value, mul(splat(rule.rates[step, 0], shape), moment))
    store(tensor.moment, at, moment)
    return value
