"""Permuted units compute the same function, and matching finds the permutation back."""

import numpy as np
import pytest
import torch

from pipeline.core import masks, models
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.matching import orders
from pipeline.core.models.forward import forward
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import kernels, parameters
from pipeline.core.models.units import permuted, places

DATA = of_images((1, 8, 8), classes=3, mean=(127.0,), std=(74.0,))
NETWORKS = {
    "lenet-300-100": models.build("lenet-300-100", widths=None, data=DATA),
    "mlp": models.build("mlp", widths=(12, 9, 5), data=DATA),
    "conv-2": models.build("conv-2", widths=None, data=DATA),
    "resnet-8": models.build("resnet-8", widths=None, data=DATA),
}


def trained(network):
    """Weights whose units differ, in norms and biases too, and are active."""
    rng = np.random.default_rng(1)
    found = initial_weights(network, "kaiming-normal", rng)
    for name, tensor in parameters(network).items():
        if tensor.role != "kernel":
            found[name] = found[name] + rng.uniform(0.5, 1.5, tensor.shape).astype(
                np.float32
            )
    return found


def shuffled(network):
    rng = np.random.default_rng(2)
    return [rng.permutation(units.number) for units in places(network).units]


def logits(network, weights):
    images = torch.from_numpy(
        np.random.default_rng(3).standard_normal((20, 1, 8, 8)).astype(np.float32)
    )
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    return forward(network, tensors, images, training=False).numpy()


def examples(number=60):
    images = np.random.default_rng(4).integers(0, 256, (number, 1, 8, 8), dtype=np.uint8)
    part = Split(inputs=images, labels=np.arange(number) % 3)
    return Dataset(train=part, validation=part, test=part, description=DATA)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_permuted_units_computes_the_same(name):
    network = NETWORKS[name]
    weights = trained(network)
    moved = permuted(network, weights, shuffled(network))
    assert all((moved[n] != weights[n]).any() for n in kernels(network))
    np.testing.assert_allclose(
        logits(network, moved), logits(network, weights), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["mlp", "resnet-8"])
def test_a_known_permutation_is_found_back_exactly(name):
    network = NETWORKS[name]
    weights = trained(network)
    known = shuffled(network)
    theirs = permuted(network, weights, known)
    found = orders(network, weights, theirs, examples())
    assert all((f == np.argsort(k)).all() for f, k in zip(found, known, strict=True))
    back = permuted(network, theirs, found)
    assert {n: a.tobytes() for n, a in back.items()} == {
        n: a.tobytes() for n, a in weights.items()
    }


def test_the_direction_is_that_of_the_source_to_the_reference():
    """Matched units of a noisy copy lie nearer than they lay before."""
    network = NETWORKS["mlp"]
    weights = trained(network)
    rng = np.random.default_rng(5)
    noisy = {n: w + rng.normal(0, 0.02, w.shape).astype("f4") for n, w in weights.items()}
    theirs = permuted(network, noisy, shuffled(network))
    found = permuted(network, theirs, orders(network, weights, theirs, examples()))
    assert {n: a.tobytes() for n, a in found.items()} == {
        n: a.tobytes() for n, a in noisy.items()
    }


def test_a_unit_that_never_answers_stands_where_nothing_else_fits():
    network = NETWORKS["mlp"]
    weights = trained(network)
    weights["fc2.weight"][4] = 0
    weights["fc2.bias"][4] = 0
    known = shuffled(network)
    theirs = permuted(network, weights, known)
    found = orders(network, weights, theirs, examples())
    assert (found[1] == np.argsort(known[1])).all()


def test_networks_that_diverged_have_an_order_all_the_same():
    network = NETWORKS["mlp"]
    lost = {n: np.full_like(w, np.nan) for n, w in trained(network).items()}
    found = orders(network, lost, lost, examples())
    assert [sorted(one) for one in found] == [[*range(n)] for n in (12, 9, 5)]


def test_permuted_masks_keep_their_counts_and_fit_permuted_weights():
    network = NETWORKS["conv-2"]
    weights, rng = trained(network), np.random.default_rng(6)
    mask = {n: rng.random(t.shape) < 0.3 for n, t in kernels(network).items()}
    known = shuffled(network)
    moved = permuted(network, mask, known)
    assert masks.kept(moved) == masks.kept(mask)
    assert {n: a.dtype for n, a in moved.items()} == dict.fromkeys(mask, np.bool_)
    sparse = masks.apply(permuted(network, weights, known), moved)
    np.testing.assert_allclose(
        logits(network, sparse), logits(network, masks.apply(weights, mask)), atol=1e-5
    )
