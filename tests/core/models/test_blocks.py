"""Blocks of networks that differ in depth stand for each other as the source has it."""

import numpy as np
import pytest

from pipeline.core import models, seeding, transforms
from pipeline.core.description import of_images
from pipeline.core.models import blocks
from pipeline.core.models.blocks import Blocks
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.transforms.given import Given

DATA = of_images((3, 32, 32), classes=10)


def network(name, widths=None):
    return models.build(name, widths=widths, data=DATA)


def mlp(depth):
    """``depth`` hidden layers of 30, one of 10, an output."""
    return network("mlp", (30,) * depth + (10,))


def standing(source, target, order="appending", **by_name):
    return blocks.sources(source, target, Blocks(order=order, by_name=by_name))


def numbers(source, target, order, first, last):
    """Of the blocks first … last: the numbers of those that stand for them."""
    found = standing(network(source), network(target), order)
    return [int(found[f"block{n}"].removeprefix("block")) for n in range(first, last + 1)]


def test_a_deeper_residual_network_repeats_blocks_behind_or_beside_each_other():
    assert numbers("resnet-20", "resnet-32", "appending", 1, 5) == [1, 2, 3, 2, 3]
    assert numbers("resnet-20", "resnet-32", "interpolating", 1, 5) == [1, 2, 2, 3, 3]
    assert numbers("resnet-20", "resnet-32", "appending", 6, 10) == [4, 5, 6, 5, 6]
    assert numbers("resnet-14", "resnet-20", "appending", 4, 6) == [3, 4, 4]


def test_a_shallower_residual_network_drops_blocks_but_no_first_one():
    assert numbers("resnet-32", "resnet-14", "appending", 1, 4) == [1, 2, 6, 7]
    assert numbers("resnet-56", "resnet-20", "interpolating", 1, 3) == [1, 2, 6]


def test_vgg_repeats_convolutions_within_a_stage_with_their_norms():
    found = standing(network("vgg-16"), network("vgg-19"), "interpolating")
    assert found == {
        **{f"conv{n}": f"conv{n}" for n in range(1, 7)},
        "conv7": "conv6",
        "conv8": "conv7",
        "conv9": "conv8",
        "conv10": "conv9",
        "conv11": "conv9",
        "conv12": "conv10",
        "conv13": "conv11",
        "conv14": "conv12",
        "conv15": "conv12",
        "conv16": "conv13",
        "fc": "fc",
    }
    tensors = blocks.tensors(network("vgg-16"), network("vgg-19"), Blocks())
    assert tensors["norm8.running_mean"] == "norm6.running_mean"


@pytest.mark.parametrize("order", ["appending", "interpolating"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (mlp(2), mlp(4)),
        (mlp(4), mlp(2)),
        *[
            (network(a), network(b))
            for a, b in (("resnet-14", "resnet-44"), ("resnet-56", "resnet-20"))
        ],
    ],
)
def test_every_tensor_has_one_that_fits_and_shares_nothing(source, target, order):
    weights = initial_weights(source, "kaiming-normal", seeding.generator(0, "init"))
    found = blocks.carried(weights, source, target, Blocks(order=order))
    shapes = {name: one.shape for name, one in parameters(target).items()}
    assert {name: values.shape for name, values in found.items()} == shapes
    owned = [*found.values(), *weights.values()]
    addresses = {values.__array_interface__["data"][0] for values in owned}
    assert len(addresses) == len(owned)


def test_names_take_the_place_of_the_order():
    assert standing(mlp(3), mlp(4), fc4="fc3") == {
        "fc1": "fc1",
        "fc2": "fc2",
        "fc3": "fc3",
        "fc4": "fc3",
        "fc5": "fc4",
        "fc6": "fc5",
    }


@pytest.mark.parametrize(
    ("source", "target", "by_name", "said"),
    [
        (mlp(2), mlp(3), {"fc9": "fc2"}, "unknown block of the network: fc9"),
        (mlp(2), mlp(3), {"fc3": "f2"}, "unknown block of the source: f2"),
        (mlp(2), mlp(3), {"fc3": "fc3"}, "fc3 of the source has the shapes [10, 30], and"),
        (mlp(2), network("resnet-14"), {}, "the source has 3 stages and the network 5"),
        (network("vgg-11"), network("vgg-16"), {}, "conv1 of the source has the shapes"),
    ],
)
def test_what_does_not_fit_is_one_line(source, target, by_name, said):
    with pytest.raises(ValueError, match=r"block|stages|shapes") as caught:
        standing(source, target, **by_name)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_an_elastic_mask_is_that_of_each_block():
    source, target = mlp(2), mlp(3)
    rng = seeding.generator(0, "mask_sample")
    shapes = parameters(source)
    mask = {
        f"fc{n}.weight": rng.random(shapes[f"fc{n}.weight"].shape) < 0.3 for n in (1, 2, 3)
    }
    given = Given(mask=mask, source=source, network=target, rng=rng)
    found = transforms.transform("elastic", given)
    for name, other in (("fc1", "fc1"), ("fc2", "fc2"), ("fc3", "fc2"), ("fc4", "fc3")):
        assert np.array_equal(found[f"{name}.weight"], mask[f"{other}.weight"])
    assert "fc5.weight" not in found, "no mask where the source has none"
