"""Two small networks on scikit-learn's digits, for tests that need real training."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from helpers.train_settings import PLAIN
from pipeline.core import masks, seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    Network,
    ReLU,
    Residual,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.core.training.loop import train
from pipeline.core.training.results import Trained
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine

MLP = (
    Flatten(),
    Linear(name="fc1", inputs=64, outputs=40),
    ReLU(),
    Linear(name="fc2", inputs=40, outputs=20),
    ReLU(),
    Linear(name="fc3", inputs=20, outputs=10, kind="output"),
)


def small_resnet(first: int, second: int, *, classes: int) -> Network:
    """One convolution, one down-sampling residual block, and batch norms."""
    return (
        Conv(name="conv", inputs=1, outputs=first, bias=False),
        BatchNorm(name="norm", channels=first),
        ReLU(),
        Residual(
            body=(
                Conv(name="body.conv1", inputs=first, outputs=second, stride=2, bias=False),
                BatchNorm(name="body.norm1", channels=second),
                ReLU(),
                Conv(name="body.conv2", inputs=second, outputs=second, bias=False),
                BatchNorm(name="body.norm2", channels=second),
            ),
            shortcut=(
                Conv(
                    name="shortcut.conv",
                    inputs=first,
                    outputs=second,
                    kernel=1,
                    stride=2,
                    bias=False,
                    kind="shortcut",
                ),
                BatchNorm(name="shortcut.norm", channels=second),
            ),
        ),
        GlobalAveragePool(),
        Linear(name="fc", inputs=second, outputs=classes, kind="output"),
    )


RESNET = small_resnet(8, 16, classes=10)
NETWORKS = {"mlp": MLP, "resnet": RESNET}
WARM_COSINE = Schedule(name="cosine", milestones=(), gamma=1.0, warmup_steps=5)
SETTINGS = replace(PLAIN, steps=30, batch_size=50, lr=3e-3, schedule=WARM_COSINE)


@cache
def digits() -> Dataset:
    """1,797 images of 8 × 8 pixels, values 0 to 16."""
    found = load_digits()
    images = found.images.astype(np.uint8)[:, None]
    labels = found.target.astype(np.int64)

    def part(first: int, last: int) -> Split:
        return Split(inputs=images[first:last], labels=labels[first:last])

    return Dataset(
        train=part(0, 1000),
        validation=part(1000, 1100),
        test=part(1100, 1797),
        description=of_images(
            (1, 8, 8),
            classes=10,
            mean=(4.88,),
            std=(6.02,),
        ),
    )


def dense_job(network: str, *, seed: int = 0, **settings: Any) -> Job:  # noqa: ANN401
    """A dense network's training from its θ₀."""
    layers = NETWORKS[network]
    tensors = parameters(layers)
    return Job(
        network=layers,
        start=initial_weights(layers, "kaiming-normal", seeding.generator(seed, "init")),
        mask=masks.dense(tensors, [n for n, t in tensors.items() if t.kind]),
        data=digits(),
        settings=replace(SETTINGS, **settings),
        seed=seed,
        round=0,
    )


def trained(job: Job, engine: str = "reference") -> Trained:
    """What training the job alone gives."""
    (result,) = train([job], make_engine(engine, [job]))
    return result


def assert_same_bits(
    one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]
) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name
