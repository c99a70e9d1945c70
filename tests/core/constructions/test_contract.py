"""What holds for every construction, and the laws of each."""

import numpy as np
import pytest
import torch
from helpers.on_digits import RESNET

from pipeline.core import constructions, seeding
from pipeline.core.arrays import Weights
from pipeline.core.constructions import CONSTRUCTIONS, golden, relu
from pipeline.core.constructions.target import Target
from pipeline.core.models.forward import forward
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Flatten, Linear, Network, ReLU, parameters

NETWORK: Network = (
    Flatten(),
    Linear(name="fc1", inputs=7, outputs=5),
    ReLU(),
    Linear(name="fc2", inputs=5, outputs=4),
    ReLU(),
    Linear(name="fc3", inputs=4, outputs=3, kind="output"),
)


def target(network: Network = NETWORK, *, signed: bool = True) -> Target:
    rng = seeding.generator(0, "init")
    weights = {
        name: rng.normal(0, 0.5, tensor.shape).astype(np.float32)
        for name, tensor in parameters(network).items()
    }
    return Target(network=network, weights=weights, signed=signed)


def built(name: str, candidates: int = 12, **how: bool) -> constructions.Built:
    return constructions.build(name, target(**how), candidates, np.random.default_rng(1))


def logits(network: Network, weights: Weights, inputs: np.ndarray) -> np.ndarray:
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    return forward(network, tensors, torch.from_numpy(inputs), training=False).numpy()


INPUTS = np.random.default_rng(2).normal(size=(50, 7)).astype(np.float32)


@pytest.mark.parametrize("name", CONSTRUCTIONS)
class TestContract:
    def test_the_network_computes_its_target_more_exactly_with_more_candidates(
        self, name: str
    ) -> None:
        wanted = logits(NETWORK, target().weights, INPUTS)
        far = []
        for candidates in (6, 24):
            found = built(name, candidates)
            far.append(np.abs(logits(found.network, found.weights, INPUTS) - wanted).max())
        assert far[1] < far[0] / 20
        assert far[1] < 1e-2

    def test_the_same_stream_gives_the_same_subnetwork(self, name: str) -> None:
        a, b = built(name), built(name)
        for kernel, layer in a.layers.items():
            np.testing.assert_array_equal(layer.subsets, b.layers[kernel].subsets)

    def test_the_target_stays_as_it_was(self, name: str) -> None:
        given = target()
        before = {kernel: values.copy() for kernel, values in given.weights.items()}
        constructions.build(name, given, 5, np.random.default_rng(0))
        for kernel, values in before.items():
            np.testing.assert_array_equal(given.weights[kernel], values)

    def test_weights_are_counted_kept_no_more_often_than_drawn(self, name: str) -> None:
        for layer in built(name).layers.values():
            assert layer.subsets.shape == layer.errors.shape
            assert 0 < layer.kept < layer.drawn

    def test_a_pruned_weight_keeps_nothing(self, name: str) -> None:
        given = target()
        given.weights["fc2.weight"][...] = 0
        given.weights["fc2.bias"][...] = 0
        found = constructions.build(name, given, 8, np.random.default_rng(0))
        assert not found.layers["fc2.weight"].subsets.any()
        assert not found.layers["fc2.weight"].errors.any()

    def test_too_many_candidates_are_refused_in_one_line(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"33 candidates found; {name} takes 1 to"):
            built(name, 33)

    def test_residual_networks_are_refused_or_approximated(self, name: str) -> None:
        weights = initial_weights(RESNET, "kaiming-normal", np.random.default_rng(0))
        given = Target(network=RESNET, weights=weights, signed=True)
        if CONSTRUCTIONS[name].linear_only:
            with pytest.raises(ValueError, match="take direct or golden"):
                constructions.build(name, given, 4, np.random.default_rng(0))
        else:
            found = constructions.build(name, given, 16, np.random.default_rng(0))
            assert found.weights.keys() == weights.keys()


def test_a_row_shares_its_candidates() -> None:
    given = target()
    given.weights["fc1.weight"][:, 1] = given.weights["fc1.weight"][:, 0]
    found = constructions.build("direct", given, 9, np.random.default_rng(0))
    subsets = found.layers["fc1.weight"].subsets
    np.testing.assert_array_equal(subsets[0, :, 1], subsets[0, :, 0])


@pytest.mark.parametrize("digits", [1, 4, 12, 32])
def test_what_digits_of_the_golden_ratio_leave_is_at_most_its_power(digits: int) -> None:
    found, given = built("golden", digits), target()
    for kernel, layer in found.layers.items():
        bias = given.weights[kernel.replace("weight", "bias")]
        greatest = max(np.abs(given.weights[kernel]).max(), np.abs(bias).max())
        assert layer.errors.max() <= greatest * golden.RATIO**digits * (1 + 1e-9)


@pytest.mark.parametrize("signed", [False, True])
def test_relu_is_a_pruned_random_network_of_twice_the_depth(*, signed: bool) -> None:
    """Written out, with a mask on every random weight, it computes what is evaluated."""
    given = target(signed=signed)
    rng = np.random.default_rng(1)
    hidden = INPUTS if signed else np.abs(INPUTS)
    wanted = constructions.build("relu", given, 10, np.random.default_rng(1))
    behind = 1.0
    for number, name in enumerate(("fc1.weight", "fc2.weight", "fc3.weight")):
        kernel, bias = given.weights[name], given.weights[name.replace("weight", "bias")]
        goal = np.concatenate([kernel, bias[:, None] / behind], axis=1, dtype=np.float64)
        factor = 2 * np.abs(goal).max()
        goals = {1: goal / factor}
        if signed and number == 0:
            goals[-1] = -goals[1]
            goals[-1][:, -1] = 0
        halves, units = relu.pruned(goals, 10, rng)
        assert units == wanted.layers[name].units
        hidden = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
        outputs = np.zeros((len(hidden), len(kernel)))
        for sign, half in zip(goals, halves, strict=True):
            bits = half.subsets[..., None] >> np.arange(10, dtype=np.uint64)
            mask = (bits & np.uint64(1)).astype(bool)
            random_units = np.maximum(0, hidden[:, :, None] * (sign * half.first))
            outputs += np.einsum("bik,oik->bo", random_units, half.second * mask)
        hidden, behind = np.maximum(0, outputs), behind * factor
    assert behind == pytest.approx(wanted.scale)
    found = logits(wanted.network, wanted.weights, INPUTS if signed else np.abs(INPUTS))
    np.testing.assert_allclose(outputs * wanted.scale, found, atol=1e-4)
    assert len(wanted.network) == len(NETWORK) + 2 * signed


def test_half_of_the_units_are_useless_where_inputs_have_one_sign() -> None:
    layer = built("relu", 16, signed=False).layers["fc1.weight"]
    assert 1.6 < layer.units / (16 * 8) < 2.4
