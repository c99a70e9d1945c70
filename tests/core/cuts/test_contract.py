"""Every cut of a dense mask: counts, scopes, passes and paths."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.initial import theta0

from pipeline.core import criteria, cuts, masks
from pipeline.core.batches import Batch
from pipeline.core.criteria import CRITERIA
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.layers import kernels, parameters

AT_INIT = [name for name, record in CRITERIA.items() if not record.needs_trained]
SHAPES = {"mlp": (1, 6, 6), "conv-2": (1, 4, 4), "resnet-8": (1, 4, 4)}


def network_of(model):
    widths = (20, 12) if model == "mlp" else None
    return build(model, widths=widths, data=of_images(SHAPES[model], classes=5))


def evidence(model="mlp"):
    network = network_of(model)

    def batches(size):
        draws = np.random.default_rng(1)
        for _ in range(max(1, 200 // size)):
            images = draws.standard_normal((size, *SHAPES[model])).astype(np.float32)
            yield Batch(images, np.arange(size) % 5)

    return Evidence(
        network=network,
        data=of_images(SHAPES[model], classes=5),
        begun=theta0(network, 0.2, seed=0),
        trained={},
        mask=masks.dense(parameters(network), kernels(network)),
        batches=batches,
        rng=np.random.default_rng(2),
    )


def cut(criterion, density, model="mlp", scope="global"):
    given = evidence(model)
    kinds = {tensor.kind for tensor in kernels(given.network).values()}
    fractions = dict.fromkeys(kinds, 1 - density)
    asked = Asked.of_recipe(given.network, criterion, fractions, scope, rounds=1)
    found = cuts.cut(criteria.cut_of(criterion, "ranked"), given, asked)
    return found, asked.counts({name: kept.size for name, kept in given.mask.items()})


@pytest.mark.parametrize("density", [0.9, 0.3, 0.05])
@pytest.mark.parametrize("criterion", [n for n in AT_INIT if not CRITERIA[n].cut])
def test_counts_are_exact_before_any_training(criterion, density):
    mask, counts = cut(criterion, density)
    assert sum(masks.kept(mask).values()) == sum(counts.values())


@pytest.mark.parametrize("scope", ["er", "erk"])
def test_each_tensor_gets_its_share(scope):
    mask, counts = cut("random", 0.2, model="conv-2", scope=scope)
    assert masks.kept(mask) == counts


def test_the_same_evidence_gives_the_same_mask():
    for criterion in AT_INIT:
        first, second = (cut(criterion, 0.3)[0] for _ in range(2))
        assert all(np.array_equal(first[name], second[name]) for name in first), criterion


@pytest.mark.parametrize("criterion", ["snip", "snip-iterative", "grasp", "snip-official"])
def test_weights_behind_inputs_that_are_always_0_stay_by_chance(criterion):
    """Their gradients are 0. By position the first units would keep all, the last none."""
    given = evidence()

    def blank(size):
        for batch in given.batches(size):
            batch.inputs[:, :, 1:] = 0  # 30 of 36 pixels
            yield batch

    fractions = dict.fromkeys(("fc", "output"), 0.4)
    asked = Asked.of_recipe(given.network, criterion, fractions, "layerwise", rounds=1)
    cut = cuts.cut("ranked", replace(given, batches=blank), asked)
    per_unit = cut["fc1.weight"][:, 6:].sum(axis=1)
    assert 0 < per_unit.min() < per_unit.max() < 30


def test_synflow_keeps_every_layer_where_one_pass_would_not():
    """Layer collapse: at this density the scores of one pass empty a layer."""
    many, counts = cut("synflow", 0.004, model="conv-2")
    assert min(masks.kept(many).values()) > 0
    scores = criteria.score("synflow", evidence("conv-2"))
    ranked = np.sort(np.concatenate([values.ravel() for values in scores.values()]))
    least = ranked[-sum(counts.values())]
    assert min((values >= least).sum() for values in scores.values()) == 0


@pytest.mark.parametrize("density", [0.95, 0.4, 0.05, 0.01])
@pytest.mark.parametrize("model", SHAPES)
def test_walks_overshoot_by_less_than_a_path(model, density):
    mask, counts = cut("phew", density, model=model)
    kept, asked = sum(masks.kept(mask).values()), sum(counts.values())
    assert asked <= kept < asked + len(mask)


@pytest.mark.parametrize("density", [0.4, 0.02])
def test_every_weight_that_walks_keep_lies_on_a_path(density):
    """Each unit between two layers has kept weights on both sides, or on none."""
    mask, _ = cut("phew", density)
    one, two, three = mask.values()
    for before, after in ((one, two), (two, three)):
        np.testing.assert_array_equal(before.any(axis=1), after.any(axis=0))


def test_every_channel_that_walks_keep_lies_on_a_path():
    mask, _ = cut("phew", 0.01, model="conv-2")
    conv1, conv2, fc1 = (mask[f"{name}.weight"] for name in ("conv1", "conv2", "fc1"))
    reached = conv1.any(axis=(1, 2, 3))
    np.testing.assert_array_equal(reached, conv2.any(axis=(0, 2, 3)))
    positions = fc1.any(axis=0).reshape(len(conv2), -1).any(axis=1)
    np.testing.assert_array_equal(conv2.any(axis=(1, 2, 3)), positions)


def test_walks_prefer_large_weights():
    mask, _ = cut("phew", 0.3)
    weights = np.abs(evidence().begun["fc1.weight"])
    assert weights[mask["fc1.weight"]].mean() > 1.2 * weights.mean()


def test_walks_need_a_dense_network():
    given = evidence()
    given.mask["fc1.weight"][0, 0] = False
    asked = Asked.of_recipe(given.network, "phew", {"fc": 0.5, "output": 0.5}, "global", 1)
    with pytest.raises(ValueError, match=r"^paths are drawn in a dense network"):
        cuts.cut("paths", given, asked)
