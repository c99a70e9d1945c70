"""Evaluate loss and accuracy for many sets of weights of one network, on the CPU.

The code is plain torch; the caller decides the number of threads. To evaluate
LeNet-300-100 on the 10,000 test images of MNIST at 30 points takes 2.0 s of processor time
(one thread, torch 2.13, 2026-11).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.core import control
from pipeline.core.arrays import Floats, Integers, Weights
from pipeline.core.batches import Dataset, Split, prepared
from pipeline.core.description import Actions
from pipeline.core.losses import loss_and_correct
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import Network, parameters
from pipeline.core.training.engine import Evaluation

BATCH = 250
"""examples per forward pass: a wide network's activations stay below 100 MB"""


def evaluator(
    network: Network, data: Dataset, split: Split
) -> Callable[[Weights], Evaluation]:
    """Make a function that evaluates weights on a whole split, in eval mode.

    Images are normalized once and stay in memory as float32: 31 MB for the test set of
    MNIST, 123 MB for that of CIFAR-10.

    Args:
        network: the network whose weights will be given.
        data: the data set, for what its examples are.
        split: a split of ``data``.
    """
    if isinstance(data.description.labels, Actions):
        return _player(network, data.description.labels, split)
    inputs = torch.from_numpy(prepared(split.inputs, data.description.inputs)).split(BATCH)
    labels = torch.from_numpy(split.labels).split(BATCH)

    def evaluate(weights: Weights) -> Evaluation:
        tensors = _tensors(weights)
        loss, correct = 0.0, 0
        with torch.no_grad():
            for batch, some in zip(inputs, labels, strict=True):
                logits = forward(network, tensors, batch, training=False)
                found = loss_and_correct(logits, some, data.description)
                loss, correct = loss + found[0], correct + found[1]
        num = split.labels.size
        return Evaluation(loss=loss / num, accuracy=correct / num)

    return evaluate


def of_episodes(
    environment: control.Environment,
    seeds: Integers,
    logits_of: Callable[[Floats], Tensor],
    data: Actions,
) -> Evaluation:
    """Play episodes with the likeliest actions: the accuracy is the mean return.

    The loss is NaN if some logit was not finite: such a network acts, but has diverged.
    """
    is_finite = True

    def decide(seen: Floats) -> Integers:
        nonlocal is_finite
        logits = logits_of(seen)
        is_finite = is_finite and bool(logits.isfinite().all())
        return control.best(logits)

    accuracy = control.share(environment.play(seeds, decide), data)
    return Evaluation(loss=1 - accuracy if is_finite else math.nan, accuracy=accuracy)


def _player(
    network: Network, actions: Actions, split: Split
) -> Callable[[Weights], Evaluation]:
    """Make a function that plays a split's episodes with weights."""
    environment = control.Environment(actions.environment)

    def evaluate(weights: Weights) -> Evaluation:
        tensors = _tensors(weights)

        def logits_of(seen: Floats) -> Tensor:
            inputs = torch.from_numpy(seen)
            with torch.no_grad():
                return forward(network, tensors, inputs, training=False)

        return of_episodes(environment, split.labels, logits_of, actions)

    return evaluate


def recalibrator(
    network: Network, data: Dataset, batches: Integers
) -> Callable[[Weights], Weights]:
    """Make a function that computes the running statistics of weights anew.

    They become the plain average of the statistics of the given batches, as by torch's
    ``update_bn`` with momentum None: each layer sees the output of the layers before it
    in training mode. Without batch norm nothing changes.

    Interpolated statistics belong to neither network, and may alone cause a barrier
    (Jordan et al. 2023, arXiv:2211.08403). So barriers are reported both with
    interpolated and with new statistics.

    Args:
        network: the network whose weights will be given.
        data: its training examples are used, without augmentation.
        batches: positions of training examples, (num_batches, B), from
            ``BatchOrder.indices``; B as in training, which the statistics depend on.
    """
    seen = prepared(data.train.inputs[batches.ravel()], data.description.inputs)
    inputs = torch.from_numpy(seen).split(batches.shape[1])
    found = parameters(network)
    names = [name for name, tensor in found.items() if tensor.role in ("mean", "variance")]

    def recalibrate(weights: Weights) -> Weights:
        tensors = _tensors(weights)
        sums = {
            name: torch.zeros_like(tensors[name], dtype=torch.float64) for name in names
        }
        with torch.no_grad():
            for batch in inputs if names else ():
                for name in names:
                    tensors[name].zero_()
                forward(network, tensors, batch, training=True)
                # From zero, one update leaves that share of the batch's statistics.
                for name in names:
                    sums[name] += tensors[name].double() / found[name].momentum
        return weights | {name: _array(sums[name] / len(batches)) for name in names}

    return recalibrate


def _tensors(weights: Weights) -> dict[str, Tensor]:
    """Copy the arrays into tensors, so that the caller's arrays never change."""
    return {name: torch.tensor(weight) for name, weight in weights.items()}


def _array(tensor: Tensor) -> Floats:
    return tensor.numpy().astype(np.float32)
