"""A compacted network computes what the whole one computes, with fewer units."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import models
from pipeline.core.arrays import Weights
from pipeline.core.description import of_images
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layers,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    Sign,
    layers_of,
    parameters,
)
from pipeline.core.models.plain import as_values, from_values, plain
from pipeline.inspect.exports.compaction import compacted

CONVS: Layers = (
    Conv(name="conv1", inputs=1, outputs=6),
    ReLU(),
    Conv(name="conv2", inputs=6, outputs=5, kernel=1),
    ReLU(),
    MaxPool(),
    Flatten(),
    Linear(name="fc1", inputs=5 * 16, outputs=7),
    ReLU(),
    Linear(name="fc2", inputs=7, outputs=3, kind="output"),
)


def resnet() -> Layers:
    body: Layers = (
        Conv(name="block.conv1", inputs=4, outputs=4, stride=2, bias=False),
        BatchNorm(name="block.norm1", channels=4),
        ReLU(),
        Conv(name="block.conv2", inputs=4, outputs=6, bias=False),
        BatchNorm(name="block.norm2", channels=6),
    )
    shortcut: Layers = (
        Conv(name="block.short", inputs=4, outputs=6, kernel=1, stride=2, bias=False),
        BatchNorm(name="block.short_norm", channels=6),
    )
    return (
        Conv(name="conv", inputs=1, outputs=4, bias=False),
        BatchNorm(name="norm", channels=4),
        ReLU(),
        Residual(body=body, shortcut=shortcut),
        GlobalAveragePool(),
        Linear(name="fc", inputs=6, outputs=3, kind="output"),
    )


NETWORKS: dict[str, Callable[[], Layers]] = {
    "mlp": lambda: layers_of(
        models.build("mlp", widths=(9, 8), data=of_images((1, 8, 8), classes=3))
    ),
    "conv": lambda: CONVS,
    "resnet": resnet,
}


def drawn(layers: Layers, rng: np.random.Generator, density: float) -> Weights:
    """Weights of which a share is left, and values for all else."""
    found: Weights = {}
    for name, tensor in parameters(layers).items():
        values = rng.standard_normal(tensor.shape).astype(np.float32)
        if tensor.kind:
            values[rng.random(tensor.shape) > density] = 0
        found[name] = np.abs(values) + 0.5 if tensor.role == "variance" else values
    return {name: value.astype(np.float32) for name, value in found.items()}


def outputs(layers: Layers, weights: Weights) -> torch.Tensor:
    images = torch.from_numpy(
        np.random.default_rng(5).standard_normal((4, 1, 8, 8)).astype(np.float32)
    )
    tensors = {name: torch.tensor(weight) for name, weight in weights.items()}
    found = forward(layers, tensors, images, training=False)
    assert torch.allclose(plain(layers, weights)(images), found, atol=1e-5)
    return found


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0]))
def test_it_computes_the_same(name: str, seed: int, density: float) -> None:
    layers = NETWORKS[name]()
    weights = drawn(layers, np.random.default_rng(seed), density)
    smaller, fewer = compacted(layers, weights)
    assert {n: w.shape for n, w in fewer.items()} == {
        n: t.shape for n, t in parameters(smaller).items()
    }
    wanted = outputs(layers, weights)
    scale = float(wanted.detach().abs().max())
    assert torch.allclose(outputs(smaller, fewer), wanted, atol=1e-5 * max(scale, 1))
    assert from_values(as_values(smaller)) == smaller


@pytest.mark.parametrize("model", ["binary-lenet-300-100", "binary-conv-2"])
def test_networks_of_binary_units_compute_the_same(model: str) -> None:
    layers = layers_of(
        models.build(model, widths=None, data=of_images((1, 8, 8), classes=3))
    )
    weights = drawn(layers, np.random.default_rng(0), 0.02)
    smaller, fewer = compacted(layers, weights)
    assert sum(sizes(smaller)) < sum(sizes(layers))
    assert torch.allclose(outputs(smaller, fewer), outputs(layers, weights), atol=1e-4)
    assert from_values(as_values(smaller)) == smaller


def test_a_constant_sign_moves_on_unless_rounding_could_turn_it() -> None:
    layers: Layers = (
        Flatten(),
        Linear(name="a", inputs=64, outputs=3),
        BatchNorm(name="norm", channels=3),
        Sign(),
        Linear(name="b", inputs=3, outputs=2),
    )
    weights = drawn(layers, np.random.default_rng(0), 1.0)
    weights["a.weight"][:2] = 0
    weights["norm.running_mean"][:2] = weights["a.bias"][:2]
    weights["norm.bias"][:2] = [-0.5, 1e-6]
    smaller, fewer = compacted(layers, weights)
    assert sizes(smaller) == [2, 2]
    moved = weights["b.bias"] - weights["b.weight"][:, 0]
    np.testing.assert_allclose(fewer["b.bias"], moved, atol=1e-6)


def sizes(layers: Layers) -> list[int]:
    return [one.outputs for one in layers if isinstance(one, Linear | Conv)]


def test_dead_units_go_and_their_biases_move_on() -> None:
    layers = NETWORKS["mlp"]()
    weights = drawn(layers, np.random.default_rng(0), 1.0)
    weights["fc1.weight"][2] = 0  # gives relu(bias) whatever comes
    weights["fc1.bias"][2] = 3
    weights["fc2.weight"][:, 5] = 0  # is read by nobody
    weights["fc2.weight"][1] = 0  # gives relu(bias), and so does fc3 behind it
    smaller, fewer = compacted(layers, weights)
    assert sizes(smaller) == [7, 7, 3]
    moved = weights["fc2.bias"] + 3 * weights["fc2.weight"][:, 2]
    np.testing.assert_allclose(fewer["fc2.bias"], np.delete(moved, 1), atol=1e-6)


def test_a_constant_channel_stays_before_a_padded_convolution_unless_it_is_0() -> None:
    layers: Layers = (
        Conv(name="a", inputs=1, outputs=3),
        ReLU(),
        Conv(name="b", inputs=3, outputs=2),
        GlobalAveragePool(),
    )
    weights = drawn(layers, np.random.default_rng(0), 1.0)
    weights["a.weight"][0] = 0
    weights["a.weight"][1] = 0
    weights["a.bias"][:2] = [1, -1]
    smaller, fewer = compacted(layers, weights)
    assert sizes(smaller) == [2, 2]
    assert torch.allclose(outputs(smaller, fewer), outputs(layers, weights), atol=1e-5)


def test_inside_a_residual_block_channels_go_and_at_its_ends_they_stay() -> None:
    layers = resnet()
    weights = drawn(layers, np.random.default_rng(0), 1.0)
    weights["block.conv2.weight"][:, 3] = 0
    weights["fc.weight"][:, 0] = 0
    smaller, _ = compacted(layers, weights)
    block = next(one for one in smaller if isinstance(one, Residual))
    assert sizes(block.body) == [3, 6]
    assert [one.channels for one in block.body if isinstance(one, BatchNorm)] == [3, 6]
    assert sizes(smaller) == [4, 3]


def test_a_network_without_connections_keeps_one_unit_per_layer() -> None:
    layers = NETWORKS["mlp"]()
    weights = drawn(layers, np.random.default_rng(0), 0.0)
    smaller, fewer = compacted(layers, weights)
    assert sizes(smaller) == [1, 1, 3]
    assert torch.allclose(outputs(smaller, fewer), outputs(layers, weights))
