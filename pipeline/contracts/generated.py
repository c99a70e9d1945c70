"""Small networks and numbers on which contracts are tried."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks, seeding
from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import Batch, Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    Linear,
    Network,
    ReLU,
    kernels,
)

DATA = of_images((1, 2, 2), classes=2)
INIT = "glorot-normal"
NETWORK: Network = (
    Conv(name="conv1", inputs=1, outputs=3, bias=False),
    BatchNorm(name="norm1", channels=3),
    ReLU(),
    Flatten(),
    Linear(name="fc1", inputs=12, outputs=6),
    ReLU(),
    Linear(name="fc2", inputs=6, outputs=2, kind="output"),
)
"""a convolution, a norm, a hidden layer and an output"""
NUM = 24
"""examples in each part"""


def theta0(seed: int = 0) -> Weights:
    """Initial weights."""
    return initial_weights(NETWORK, INIT, seeding.generator(seed, "init"))


def moved(weights: Weights, by: int = 0) -> Weights:
    """Other weights of the same network, as if it had been trained."""
    rng = seeding.generator(by, "data_order")
    return {
        name: values + rng.standard_normal(values.shape).astype(np.float32)
        for name, values in weights.items()
    }


def mask(seed: int = 0) -> Mask:
    """A mask that keeps about half of every kernel."""
    rng = seeding.generator(seed, "mask_sample")
    return {n: rng.random(t.shape) < 0.5 for n, t in kernels(NETWORK).items()}


def dense() -> Mask:
    """A mask that keeps everything."""
    return masks.dense(kernels(NETWORK), kernels(NETWORK))


def batches(size: int) -> Iterator[Batch]:
    """Every training example once."""
    part = dataset().train
    for at in range(0, NUM, size):
        inputs = (part.inputs[at : at + size] / np.float32(255)).astype(np.float32)
        yield Batch(inputs=inputs, labels=part.labels[at : at + size])


def dataset() -> Dataset:
    """Random images in two classes."""
    rng = seeding.generator(0, "split")
    images = rng.integers(0, 256, (NUM, *DATA.images.shape), dtype=np.uint8)
    part = Split(inputs=images, labels=np.arange(NUM, dtype=np.int64) % 2)
    return Dataset(train=part, validation=part, test=part, description=DATA)


def content(arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """The bits of arrays, to compare."""
    return {name: array.tobytes() for name, array in arrays.items()}
