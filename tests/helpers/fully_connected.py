"""Jobs of small fully connected networks, and what numpy makes of them in float64."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.train_settings import PLAIN
from pipeline.core import seeding
from pipeline.core.arrays import Bytes, Mask, Weights
from pipeline.core.batches import BatchOrder, Dataset, Split, prepared
from pipeline.core.description import of_images
from pipeline.core.models.layers import (
    Flatten,
    Linear,
    Network,
    ReLU,
    layers_of,
    parameters,
)
from pipeline.core.training.engine import Job

SETTINGS = replace(PLAIN, batch_size=16, optimizer="sgd", lr=0.1)
SHAPES = {  # of images and layers
    "odd": ((1, 5, 7), (19, 11, 3)),
    "three channels": ((3, 4, 5), (33, 17, 9, 4)),
    "tiny": ((1, 1, 2), (1, 2)),
    "one layer": ((2, 3, 3), (5,)),
    "several blocks": ((3, 9, 11), (12, 3)),
    "wide": ((1, 2, 3), (260, 13, 3)),
}


def network(inputs: int, widths: Sequence[int]) -> Network:
    layers: list[Flatten | Linear | ReLU] = [Flatten()]
    for number, outputs in enumerate(widths, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    return tuple(layers[:-1])


def dataset(
    image_shape: tuple[int, int, int], num_classes: int, size: int = 130
) -> Dataset:
    rng = seeding.generator(0, "score_batch")

    def split(size: int) -> Split:
        images = rng.integers(0, 256, (size, *image_shape)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, num_classes, size))

    mean, std = (100.0, 30.0, 140.0), (60.0, 50.0, 90.0)
    channels = image_shape[0]
    return Dataset(
        train=split(size),
        validation=split(37),
        test=split(3),
        description=of_images(
            image_shape, classes=num_classes, mean=mean[:channels], std=std[:channels]
        ),
    )


def make_job(shape: str = "odd", density: float = 0.4, **settings: Any) -> Job:  # noqa: ANN401
    """Random weights and masks; the first layer's third row keeps nothing."""
    image_shape, widths = SHAPES[shape]
    layers = network(int(np.prod(image_shape)), widths)
    rng = seeding.generator(0, "mask_sample")
    start: Weights = {}
    mask: Mask = {}
    for name, tensor in parameters(layers).items():
        weight = rng.standard_normal(tensor.shape).astype(np.float32)
        if tensor.kind is not None:
            mask[name] = rng.random(tensor.shape) < density
            mask[name][2:3] = False
            weight = weight / np.float32(np.sqrt(tensor.fan_in)) * mask[name]
        start[name] = weight
    return Job(
        network=layers,
        start=start,
        mask=mask,
        data=dataset(image_shape, widths[-1]),
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=1,
    )


def only(mask_name: str, job: Job) -> Job:
    """The same job with nothing kept in one layer."""
    empty = np.zeros_like(job.mask[mask_name])
    return replace(
        job,
        mask=job.mask | {mask_name: empty},
        start=job.start | {mask_name: empty.astype(np.float32)},
    )


def logits_and_activations(
    job: Job, weights: Weights, images: Bytes
) -> tuple[list[str], list[NDArray[Any]]]:
    seen = prepared(images, job.data.images)
    hidden = seen.reshape(len(images), -1).astype(np.float64)
    activations = [hidden]
    names = [layer.name for layer in layers_of(job.network) if isinstance(layer, Linear)]
    for name in names:
        hidden = hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        if name != names[-1]:
            hidden = np.maximum(hidden, 0)
        activations.append(hidden)
    return names, activations


def one_sgd_step(job: Job) -> dict[str, NDArray[Any]]:
    """Weights after one step, in float64."""
    order = BatchOrder(len(job.data.train), job.settings.batch_size, seed=0, round=1)
    batch = order.batch(0)
    names, activations = logits_and_activations(
        job, job.start, job.data.train.images[batch]
    )
    exponentials = np.exp(activations[-1] - activations[-1].max(axis=1, keepdims=True))
    gradient = exponentials / exponentials.sum(axis=1, keepdims=True)
    gradient[np.arange(len(batch)), job.data.train.labels[batch]] -= 1
    gradient /= len(batch)
    stepped = {}
    for name, hidden in zip(names[::-1], activations[-2::-1], strict=True):
        weight = job.start[f"{name}.weight"]
        kept = job.mask[f"{name}.weight"]
        stepped[f"{name}.weight"] = weight - 0.1 * (gradient.T @ hidden) * kept
        stepped[f"{name}.bias"] = job.start[f"{name}.bias"] - 0.1 * gradient.sum(axis=0)
        gradient = (gradient @ weight) * (hidden > 0)
    return stepped


def narrow_and_wide(job: Job, size: int) -> Job:
    """The same job; its validation images show between one column and all of them."""
    rng = seeding.generator(1, "score_batch")
    shape = job.data.images.shape
    images = rng.integers(1, 256, (size, *shape)).astype(np.uint8)
    width = rng.integers(1, 1 + shape[2], (size, 1, 1, 1))
    first = (shape[2] - width) // 2  # in the middle, as digits
    column = np.arange(shape[2])
    images *= (first <= column) & (column < first + width)
    split = Split(
        inputs=images, labels=rng.integers(0, job.data.description.num_classes, size)
    )
    return replace(job, data=replace(job.data, validation=split))


def blank_pixels(job: Job, first: int) -> Job:
    """The same job, its validation images 0 from that pixel on, in more than one tile."""
    split = job.data.train
    images = split.images.reshape(len(split), -1).copy()
    images[:, first:] = 0
    blank = replace(split, inputs=images.reshape(split.images.shape))
    return replace(job, data=replace(job.data, validation=blank))


def mostly_blank(job: Job) -> Job:
    """The same job; most pixels are lit in few training images, the last ones in none.

    In the validation images all are lit.
    """
    rng = seeding.generator(2, "score_batch")
    split = job.data.train
    images = split.images.reshape(len(split), -1).copy()
    num_pixels = images.shape[1]
    share = np.where(np.arange(num_pixels) % 3 == 0, 0.9, 0.01)
    share[num_pixels - num_pixels // 8 :] = 0
    images *= rng.random(images.shape) < share
    blank = replace(split, inputs=images.reshape(split.images.shape))
    return replace(job, data=replace(job.data, train=blank))
