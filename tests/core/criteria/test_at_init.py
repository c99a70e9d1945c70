"""Criteria at initialization: laws of their papers, and answers of plain autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from helpers.initial import theta0
from torch import nn

from pipeline.core import criteria, masks
from pipeline.core.batches import Batch
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.gradients.examples import balanced
from pipeline.core.description import of_images
from pipeline.core.models import modules
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    ReLU,
    Residual,
    kernels,
    parameters,
)

NETWORK = (
    Flatten(),
    Linear(name="fc1", inputs=12, outputs=8),
    ReLU(),
    Linear(name="fc2", inputs=8, outputs=3, kind="output"),
)
BLOCK = Residual(
    body=(
        Conv(name="a", inputs=4, outputs=6, bias=False),
        BatchNorm(name="norm", channels=6),
        ReLU(),
        Conv(name="b", inputs=6, outputs=6, bias=False),
    ),
    shortcut=(Conv(name="s", inputs=4, outputs=6, kernel=1, bias=False, kind="shortcut"),),
)
RESIDUAL = (
    Conv(name="first", inputs=3, outputs=4),
    BatchNorm(name="n", channels=4),
    ReLU(),
    BLOCK,
    GlobalAveragePool(),
    Linear(name="out", inputs=6, outputs=3, kind="output"),
)
SHAPES = {NETWORK: (3, 2, 2), RESIDUAL: (3, 4, 4)}
CLASSES = 3


def evidence(network=NETWORK, mask=None):
    return Evidence(
        network=network,
        data=of_images(SHAPES[network], classes=CLASSES),
        begun=theta0(network, 0.5, seed=3),
        trained={},
        mask=mask or masks.dense(parameters(network), kernels(network)),
        batches=lambda size: batches(size, SHAPES[network]),
        rng=np.random.default_rng(4),
    )


def batches(size, shape):
    images = np.random.default_rng(5).standard_normal((60, *shape)).astype(np.float32)
    labels = np.arange(60) % CLASSES
    for first in range(0, 60 - size + 1, size):
        yield Batch(images[first : first + size], labels[first : first + size])


def loss_of(weights, temperature=1.0, batch=None):
    """The loss of the first ten examples of every class, or of a batch, by hand."""
    batch = batch or next(batches(30, SHAPES[NETWORK]))
    hidden = torch.from_numpy(batch.inputs).flatten(1)
    hidden = torch.relu(hidden @ weights["fc1.weight"].T + weights["fc1.bias"])
    logits = hidden @ weights["fc2.weight"].T + weights["fc2.bias"]
    return F.cross_entropy(logits / temperature, torch.from_numpy(batch.labels))


def test_snip_is_what_removing_a_weight_changes_to_first_order():
    """The slope of the loss along one entry of the mask, by finite differences."""
    given = evidence()
    scores = criteria.score("snip", given)
    weights = {n: torch.tensor(w, dtype=torch.float64) for n, w in given.begun.items()}

    def slope(name, at, step=1e-6):
        ends = []
        for sign in (-1, 1):
            moved = {n: w.clone() for n, w in weights.items()}
            moved[name][at] *= 1 + sign * step
            ends.append(_double_loss(moved))
        return abs(ends[1] - ends[0]) / (2 * step)

    for name, at in (("fc1.weight", (2, 7)), ("fc2.weight", (1, 3))):
        assert scores[name][at] == pytest.approx(slope(name, at), rel=1e-4)


def _double_loss(weights):
    batch = next(batches(30, SHAPES[NETWORK]))
    hidden = torch.from_numpy(batch.inputs).double().flatten(1)
    hidden = torch.relu(hidden @ weights["fc1.weight"].T + weights["fc1.bias"])
    logits = hidden @ weights["fc2.weight"].T + weights["fc2.bias"]
    return F.cross_entropy(logits, torch.from_numpy(batch.labels)).item()


def test_the_official_snip_scores_another_draw_and_examples_at_random():
    """Its scores are those of snip on θ₀ in another order, and on the first 100 read."""
    given, seen = evidence(), []

    def watched(size):
        for batch in batches(size, SHAPES[NETWORK]):
            seen.append(len(batch.labels))
            yield batch

    scores = criteria.score("snip-official", replace(given, batches=watched))
    assert sum(seen) == 60, "there are no more"
    rng, moved = np.random.default_rng(4), dict(given.begun)
    for name in ("fc1.weight", "fc2.weight"):
        values = given.begun[name]
        moved[name] = rng.permutation(values.ravel()).reshape(values.shape)
        assert (moved[name] != values).any()
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in moved.items()}
    batch = next(batches(60, SHAPES[NETWORK]))
    loss_of(weights, batch=batch).backward()
    for name, found in scores.items():
        wanted = np.abs(moved[name] * weights[name].grad.numpy())
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)


def test_grasp_is_the_product_with_the_whole_hessian():
    given = evidence()
    names = list(given.mask)
    weights = {n: torch.tensor(w) for n, w in given.begun.items()}
    flat = torch.cat([weights[n].ravel() for n in names])
    sizes = [weights[n].numel() for n in names]

    def loss(values):
        parts = zip(names, values.split(sizes), strict=True)
        changed = {n: part.view(weights[n].shape) for n, part in parts}
        return loss_of(weights | changed, temperature=200.0)

    gradient = torch.autograd.functional.jacobian(loss, flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    expected = flat * (hessian @ gradient)
    scores = criteria.score("grasp", given)
    found = np.concatenate([scores[n].ravel() for n in names])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("network", [NETWORK, RESIDUAL], ids=["mlp", "residual"])
def test_synflow_is_conserved_from_layer_to_layer(network):
    """Theorem 1: the scores of every cut through the network sum to the same flow."""
    scores = criteria.score("synflow", evidence(network))
    total = {name: float(values.sum()) for name, values in scores.items()}
    if network is NETWORK:
        assert total["fc1.weight"] == pytest.approx(total["fc2.weight"], rel=1e-12)
    else:
        into, out = total["first.weight"], total["out.weight"]
        assert into == pytest.approx(out, rel=1e-12)
        assert total["b.weight"] + total["s.weight"] == pytest.approx(out, rel=1e-4)
        assert total["a.weight"] == pytest.approx(total["b.weight"], rel=1e-4)


def test_synflow_looks_at_no_data_and_no_sign():
    given = evidence()
    turned = {name: -weights for name, weights in given.begun.items()}
    plain = criteria.score("synflow", given)
    other = criteria.score("synflow", replace(given, begun=turned))
    for name, values in plain.items():
        np.testing.assert_array_equal(values, other[name])


@pytest.mark.parametrize("name", ["snip", "snip-official", "grasp", "synflow"])
def test_the_inversion_ranks_the_other_way_round(name):
    plain, inverted = (criteria.score(n, evidence()) for n in (name, f"{name}-inverted"))
    for tensor, values in plain.items():
        np.testing.assert_array_equal(values, -inverted[tensor])


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_pruned_weights_act_as_zeros(name):
    full = evidence()
    mask = {n: np.random.default_rng(6).random(k.shape) < 0.5 for n, k in full.mask.items()}
    scores = criteria.score(name, evidence(mask=mask))
    cut = {n: np.where(mask[n], w, 0) if n in mask else w for n, w in full.begun.items()}
    zeros = criteria.score(name, replace(full, begun=cut))
    for tensor, values in scores.items():
        np.testing.assert_allclose(values, np.where(mask[tensor], zeros[tensor], 0))


class Dropping(nn.Sequential):
    """A network that draws in training."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 3))


@pytest.mark.parametrize("name", ["snip", "snip-official", "grasp"])
def test_a_network_that_draws_draws_from_the_stream_it_is_given(name):
    network = modules.described(Dropping, "dropping", of_images((3, 2, 2), classes=CLASSES))
    SHAPES[network] = (3, 2, 2)

    def scores(seed):
        given = replace(evidence(network), rng=np.random.default_rng(seed))
        return criteria.score(name, given)["1.weight"]

    np.testing.assert_array_equal(scores(1), scores(1))
    assert (scores(1) != scores(2)).any()
    if not criteria.CRITERIA[name].draws:
        with pytest.raises(ValueError, match="network draws random numbers; give a random"):
            criteria.score(name, replace(evidence(network), rng=None))


def test_a_class_with_few_examples_gives_all_it_has():
    def few(_size):
        labels = np.array([0] * 30 + [1] * 2 + [2] * 20)
        images = np.arange(52, dtype=np.float32)[:, None, None, None]
        yield Batch(np.broadcast_to(images, (52, 3, 2, 2)).copy(), labels)

    images, labels = balanced(replace(evidence(), batches=few))
    assert labels.bincount().tolist() == [10, 2, 10]
    assert images[:, 0, 0, 0].tolist() == [*range(10), 30, 31, *range(32, 42)]
