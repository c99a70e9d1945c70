"""Laws of what is measured of weights over time."""

import numpy as np
import pytest
from torch import nn

from pipeline.core.description import Classes, Description, Tokens, of_images
from pipeline.core.measures import MEASURES, Seen, refusal, take
from pipeline.core.measures.fourier_entropy import spectral_entropy
from pipeline.core.measures.mask_distance import distance
from pipeline.core.models import build, modules
from pipeline.core.models.layers import parameters

TOKENS = 7
SUMS = Description(
    inputs=Tokens(vocabulary=TOKENS, length=2), labels=Classes(number=TOKENS)
)
NETWORK = build("token-mlp", widths=(6, 4), data=SUMS)
SHAPES = {name: tensor.shape for name, tensor in parameters(NETWORK).items()}


def seen(weights, before=None, mask=None):
    everything = {name: np.ones(shape, np.bool_) for name, shape in SHAPES.items()}
    return Seen(
        network=NETWORK, weights=weights, mask=mask or everything, before=before or {}
    )


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in SHAPES.items()}


@pytest.mark.parametrize("frequency", [0, 1, 3])
def test_one_frequency_has_no_entropy(frequency):
    wave = np.cos(2 * np.pi * frequency * np.arange(TOKENS) / TOKENS + 0.7)
    weights = drawn() | {"embedding.weight": np.outer(wave, np.arange(1, 7)).astype("f4")}
    assert take("fourier-entropy", seen(weights)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("tokens", [7, 8])
def test_frequencies_that_are_all_alike_have_the_logarithm_of_their_number(tokens):
    impulse = np.zeros((tokens, 1))
    impulse[2] = 3
    assert spectral_entropy(impulse) == pytest.approx(np.log(tokens // 2 + 1))


def test_entropy_is_that_of_the_features_which_the_hidden_layer_reads():
    weights = drawn()
    turns = 2 * np.pi * np.arange(TOKENS) / TOKENS
    waves = np.stack([np.cos(turns), np.cos(2 * turns)] * 3, axis=1).astype("f4")
    reads_first = np.zeros((4, 6), "f4")
    reads_first[:, 0] = 1
    weights |= {"embedding.weight": waves, "into.weight": reads_first}
    assert take("fourier-entropy", seen(weights)) == pytest.approx(0, abs=1e-9)
    weights["into.weight"][:, 1] = 1
    assert take("fourier-entropy", seen(weights)) == pytest.approx(np.log(2), abs=1e-6)


def test_a_layer_that_reads_several_embeddings_has_features_of_each():
    network = modules.described(
        lambda: nn.Sequential(nn.Embedding(TOKENS, 3), nn.Flatten(), nn.Linear(6, TOKENS)),
        "side by side",
        SUMS,
    )
    turns = 2 * np.pi * np.arange(TOKENS) / TOKENS
    waves = np.stack([np.cos(turns), np.cos(2 * turns), np.cos(3 * turns)], axis=1)
    reads = np.zeros((TOKENS, 6))
    reads[:, 0] = reads[:, 5] = 1  # the first feature of one token, the third of the other
    weights = {"0.weight": waves.astype("f4"), "2.weight": reads.astype("f4")}
    given = Seen(network=network, weights=weights, mask={}, before={})
    assert MEASURES.load("fourier-entropy")(given) == pytest.approx(0, abs=1e-9)


def test_equal_masks_have_no_distance_and_disjoint_ones_1():
    a = np.array([True, True, False, False])
    assert (distance(a, a), distance(a, ~a), distance(a & ~a, a & ~a)) == (0, 1, 0)


def test_the_distance_is_of_the_largest_weights_under_the_mask():
    weights = drawn()
    doubled = {name: 2 * values for name, values in weights.items()}
    assert take("mask-distance", seen(weights, before=doubled)) == 0
    assert 0.5 < take("mask-distance", seen(weights, before=drawn(1))) < 0.9
    frozen = {name: np.zeros(shape, np.bool_) for name, shape in SHAPES.items()}
    frozen["into.weight"][0] = True
    half = weights | {"output.weight": -weights["output.weight"] * 9}
    assert take("mask-distance", seen(weights, before=half, mask=frozen)) == 0


def test_the_norm_is_of_all_weights_together():
    weights = {name: np.full(shape, 2, "f4") for name, shape in SHAPES.items()}
    count = sum(np.prod(shape) for shape in SHAPES.values())
    assert take("weight-norm", seen(weights)) == pytest.approx(2 * np.sqrt(count))


@pytest.mark.parametrize("name", MEASURES)
def test_a_diverged_network_is_not_finite_and_no_error(name):
    weights = drawn()
    weights["embedding.weight"][0] = np.nan
    found = take(name, seen(weights, before=drawn()))
    assert MEASURES[name].compares or not np.isfinite(found)


def test_a_network_without_embedding_is_refused():
    images = build("mlp", widths=(3,), data=of_images((1, 4, 4), classes=2))
    assert refusal("fourier-entropy", images).startswith("fourier-entropy needs a layer of")
    assert [refusal(name, NETWORK) for name in MEASURES] == [""] * len(MEASURES)
