"""The reference engine agrees with torch by hand, and with its own past."""

import csv
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from helpers.on_digits import dense_job, digits
from helpers.train_settings import PLAIN

from pipeline.core import masks, seeding
from pipeline.core.augmentations.flip_crop import flip_crop, flip_crop_draws
from pipeline.core.batches import BatchOrder, prepared
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    MaxPool,
    ReLU,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine
from pipeline.engines.reference import make

TRAJECTORIES = Path(__file__).parents[1] / "reference"
LENET = (
    Flatten(),
    Linear(name="fc1", inputs=64, outputs=300),
    ReLU(),
    Linear(name="fc2", inputs=300, outputs=100),
    ReLU(),
    Linear(name="fc3", inputs=100, outputs=10, kind="output"),
)
CONV = (
    Conv(name="conv1", inputs=1, outputs=8),
    ReLU(),
    Conv(name="conv2", inputs=8, outputs=8),
    ReLU(),
    MaxPool(),
    Flatten(),
    Linear(name="fc1", inputs=128, outputs=32),
    ReLU(),
    Linear(name="fc2", inputs=32, outputs=10, kind="output"),
)
ONE_LAYER = (Flatten(), Linear(name="fc1", inputs=64, outputs=10, kind="output"))
SETTINGS = replace(PLAIN, engine="reference")
MOMENTUM = {
    "optimizer": "sgd",
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 1e-3,
    "schedule": Schedule(name="milestones", milestones=(40,), gamma=0.1, warmup_steps=10),
}
"""with the rate rising to step 10 and falling at step 40"""


def make_job(network=LENET, **settings):
    """Half of all weights kept: every other one of each kernel, by position."""
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    mask = {
        name: (np.arange(theta0[name].size) % 2 == 0).reshape(tensor.shape)
        for name, tensor in parameters(network).items()
        if tensor.kind is not None
    }
    return Job(
        network=network,
        start=masks.apply(theta0, mask),
        mask=mask,
        data=digits(),
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=0,
    )


def unmoved(images, step):
    return images


def by_hand(job, make_optimizer, *, num_steps, move=unmoved):
    """The weights after a few steps of torch as its tutorials write it."""
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in job.start.items()}
    masks = {name: torch.tensor(kept) for name, kept in job.mask.items()}
    order = BatchOrder(
        len(job.data.train), job.settings.batch_size, seed=job.seed, round=job.round
    )
    optimizer = make_optimizer(list(weights.values()))
    for step in range(num_steps):
        positions = order.batch(step)
        images = job.data.train.images[positions]
        images = move(prepared(images, job.data.images), step)
        hidden = torch.tensor(images).flatten(1)
        for fc in ("fc1", "fc2", "fc3"):
            kernel = weights[f"{fc}.weight"] * masks[f"{fc}.weight"]
            hidden = hidden @ kernel.T + weights[f"{fc}.bias"]
            hidden = hidden if fc == "fc3" else hidden.relu()
        optimizer.zero_grad()
        F.cross_entropy(hidden, torch.tensor(job.data.train.labels[positions])).backward()
        optimizer.step()
    return {name: weight.detach().numpy() for name, weight in weights.items()}


def assert_agrees(job, expected, *, num_steps):
    engine = make([job])
    engine.advance(num_steps)
    (weights,) = engine.weights()
    for name, weight in expected.items():
        difference = np.linalg.norm(weights[name] - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


@pytest.mark.parametrize(
    ("settings", "make_optimizer"),
    [
        (
            {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
            lambda w: torch.optim.SGD(
                w, lr=0.1, momentum=0.9, weight_decay=1e-3, foreach=False
            ),
        ),
        (
            {"optimizer": "adam", "lr": 1e-2},
            lambda w: torch.optim.Adam(w, lr=1e-2, foreach=False),
        ),
        (
            {"optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.1},
            lambda w: torch.optim.AdamW(w, lr=1e-2, weight_decay=0.1, foreach=False),
        ),
        (
            {"optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.1, "betas": (0.5, 0.6)},
            lambda w: torch.optim.AdamW(
                w, lr=1e-2, betas=(0.5, 0.6), weight_decay=0.1, foreach=False
            ),
        ),
    ],
    ids=["sgd", "adam", "adamw", "betas"],
)
def test_three_steps_are_those_of_plain_torch(settings, make_optimizer):
    job = make_job(**settings)
    expected = by_hand(job, make_optimizer, num_steps=3)
    assert_agrees(job, expected, num_steps=3)


@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_a_confident_network_has_a_gradient_in_float64_alone(engine):
    """Logits that are 30 apart: float32 rounds the softmax to 1, float64 does not."""
    job = make_job(ONE_LAYER, optimizer="sgd", lr=1.0)
    right = {"fc1.bias": np.where(np.arange(10) == 3, 0, -30).astype(np.float32)}
    start = {"fc1.weight": np.zeros((10, 64), np.float32), **right}
    labels = np.full(len(job.data.train), 3)
    train = replace(job.data.train, labels=labels)
    job = replace(job, start=start, mask={}, data=replace(job.data, train=train))
    moved = {}
    for precision in ("float32", "float64"):
        settings = replace(job.settings, loss_precision=precision)
        made = make_engine(engine, [replace(job, settings=settings)])
        made.advance(1)
        (weights,) = made.weights()
        moved[precision] = float(weights["fc1.bias"][3])
    assert moved["float64"] == pytest.approx(9 * math.exp(-30), rel=1e-3, abs=0)
    assert moved["float32"] == 0


def test_augmented_batches_are_those_drawn_for_each_step():
    job = make_job(optimizer="sgd", lr=0.1, augment="flip-crop")

    def move(images, step):
        flips, corners = flip_crop_draws(60, seed=0, round=0, step=step)
        return flip_crop(images, flips=flips, corners=corners)

    expected = by_hand(job, lambda w: torch.optim.SGD(w, lr=0.1), num_steps=3, move=move)
    assert_agrees(job, expected, num_steps=3)


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("lenet_digits_50_steps", make_job()),
        ("conv_digits_50_steps", make_job(CONV, **MOMENTUM)),
    ],
    ids=["lenet-adam", "conv-momentum"],
)
def test_50_losses_on_digits_are_those_of_the_reference_trajectory(name, job):
    """Say why in the commit that changes one of these files. This writes them anew:

    LT_UPDATE_REFERENCE=1 pytest tests/engines/test_reference.py -k reference_trajectory
    """
    engine = make([job])
    losses = []
    for _ in range(50):
        engine.advance(1)
        losses.append(engine.evaluate("train")[0].loss)
    file = TRAJECTORIES / f"{name}.csv"
    if os.environ.get("LT_UPDATE_REFERENCE"):
        rows = [f"{step},{loss!r}\n" for step, loss in enumerate(losses, start=1)]
        file.write_text("step,loss\n" + "".join(rows))
    with file.open(newline="") as opened:
        known = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(opened)}
    assert list(known) == list(range(1, 51))
    # CPUs sum in different orders.
    assert losses == pytest.approx(list(known.values()), rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_weights_of_the_cpu():
    (expected,) = _after_10_steps(make_job())
    (weights,) = _after_10_steps(make_job(device="cuda"))
    for name, weight in expected.items():
        difference = np.linalg.norm(weights[name] - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


def _after_10_steps(job):
    engine = make([job])
    engine.advance(10)
    return engine.weights()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_torchs_compiler_is_not_imported(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes more than a second, in every stage that trains."""
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    make([dense_job("mlp", optimizer=optimizer)]).advance(1)
