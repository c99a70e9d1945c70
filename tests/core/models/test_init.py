"""Initial weights have the distributions of their sources."""

import hashlib
from math import sqrt

import numpy as np
import pytest

from pipeline.core import seeding
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import INITS, initial_weights
from pipeline.core.models.layers import BatchNorm, Conv, Linear, parameters

LARGE = (Linear(name="fc1", inputs=2_000, outputs=1_000),)


def draw(network, init, seed=0):
    return initial_weights(network, init, seeding.generator(seed, "init"))


def test_glorot_has_the_variance_of_its_formula_after_truncation():
    kernel = draw(LARGE, "glorot-normal")["fc1.weight"]
    std = sqrt(2 / 3_000)
    # Standard error of the variance at 2 million draws: below .1 %.
    assert kernel.var() == pytest.approx(std**2, rel=3e-3)
    assert abs(kernel.mean()) < 4 * std / sqrt(kernel.size)


def test_glorot_is_redrawn_beyond_two_sigma_and_not_clamped():
    kernel = draw(LARGE, "glorot-normal")["fc1.weight"]
    bound = 2 * sqrt(2 / 3_000) / 0.8796256610342398
    largest = np.abs(kernel).max()
    assert 0.999 * bound < largest <= np.float32(bound)
    assert (np.abs(kernel) == largest).sum() <= 2


def test_kaiming_has_variance_two_over_fan_in_and_is_not_truncated():
    kernel = draw(LARGE, "kaiming-normal")["fc1.weight"]
    std = sqrt(2 / 2_000)
    assert kernel.var() == pytest.approx(std**2, rel=5e-3)
    assert np.abs(kernel).max() > 4 * std


def test_southampton_draws_kernels_untruncated_and_biases_with_variance_one():
    weights = draw(LARGE, "southampton")
    std = sqrt(2 / 3_000)
    assert weights["fc1.weight"].std() == pytest.approx(std, rel=3e-3)
    assert np.abs(weights["fc1.weight"]).max() > 4 * std
    bias = draw((Linear(name="fc1", inputs=1, outputs=100_000),), "southampton")["fc1.bias"]
    assert bias.std() == pytest.approx(1, rel=1e-2)
    assert abs(bias.mean()) < 4 / sqrt(100_000)


def test_southampton_leaves_norms_at_the_identity():
    weights = draw((BatchNorm(name="norm1", channels=2),), "southampton")
    assert [array.tolist() for array in weights.values()] == [
        [1, 1],
        [0, 0],
        [0, 0],
        [1, 1],
    ]


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        ("glorot-normal", 2 / (9 * 50 + 9 * 400)),
        ("kaiming-normal", 2 / (9 * 50)),
        ("southampton", 2 / (9 * 50 + 9 * 400)),
    ],
)
def test_the_area_of_a_convolution_counts_in_its_fans(init, variance):
    kernel = draw((Conv(name="conv1", inputs=50, outputs=400),), init)["conv1.weight"]
    assert kernel.shape == (400, 50, 3, 3)
    assert kernel.var() == pytest.approx(variance, rel=2e-2)


@pytest.mark.parametrize("init", INITS)
def test_every_tensor_of_a_network_is_drawn_as_float32(init):
    network = build("resnet-20", widths=None, data=of_images((3, 32, 32), classes=10))
    weights = draw(network, init)
    tensors = parameters(network)
    assert list(weights) == list(tensors)
    assert all(weights[name].shape == tensors[name].shape for name in tensors)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_biases_start_at_zero_and_norms_at_the_identity():
    network = (
        Conv(name="conv1", inputs=1, outputs=2),
        BatchNorm(name="norm1", channels=2),
    )
    weights = draw(network, "glorot-normal")
    del weights["conv1.weight"]
    assert {name: array.tolist() for name, array in weights.items()} == {
        "conv1.bias": [0, 0],
        "norm1.weight": [1, 1],
        "norm1.bias": [0, 0],
        "norm1.running_mean": [0, 0],
        "norm1.running_var": [1, 1],
    }


@pytest.mark.parametrize("init", INITS)
def test_the_same_stream_gives_the_same_weights_and_another_seed_others(init):
    once, again, other = (draw(LARGE, init, seed=seed)["fc1.weight"] for seed in (0, 0, 1))
    assert (once == again).all()
    assert (once != other).mean() > 0.99


@pytest.mark.parametrize(
    ("init", "digest"),
    [("glorot-normal", "42d61e004ea29532"), ("kaiming-normal", "67cc362ecbdd73b1")],
)
def test_theta0_of_seed_0_is_pinned(init, digest):
    network = build("mlp", widths=(30,), data=of_images((1, 8, 8), classes=10))
    content = b"".join(array.tobytes() for array in draw(network, init).values())
    assert hashlib.sha256(content).hexdigest()[:16] == digest


def test_an_unknown_init_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown init 'zeros'; the inits are \['gl"):
        draw(LARGE, "zeros")
