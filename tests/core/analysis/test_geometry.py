"""Distances, sign changes, overlap by chance, and dead units, with answers by hand."""

import numpy as np
import pytest
from helpers.on_digits import MLP, RESNET

from pipeline.core import masks, seeding
from pipeline.core.analysis.collapse import collapse_warnings, dead_units
from pipeline.core.analysis.geometry import (
    distances,
    overlap_by_chance,
    sign_change_fraction,
    sign_changes,
    total_distance,
)
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    parameters,
)


def weights(**tensors):
    return {f"{n}.weight": np.array(values, np.float32) for n, values in tensors.items()}


def mask(**tensors):
    return {f"{n}.weight": np.array(values, np.bool_) for n, values in tensors.items()}


def everything(network):
    tensors = parameters(network)
    return masks.dense(tensors, [name for name, tensor in tensors.items() if tensor.kind])


KEPT = mask(fc1=[1, 1, 1, 0], fc2=[1, 0])
THETA0 = weights(fc1=[1, -1, 0, 5], fc2=[2, 2])
TRAINED = weights(fc1=[4, 3, 0, -9], fc2=[14, -2])


def test_the_distance_is_over_kept_weights_only():
    found = distances(THETA0, TRAINED, KEPT)
    assert found == {"fc1.weight": 5.0, "fc2.weight": 12.0}
    assert total_distance(found) == 13.0


def test_a_network_has_not_moved_from_itself():
    assert distances(THETA0, THETA0, KEPT) == {"fc1.weight": 0.0, "fc2.weight": 0.0}


def test_the_way_there_is_as_long_as_the_way_back():
    assert distances(THETA0, TRAINED, KEPT) == distances(TRAINED, THETA0, KEPT)


def test_biases_count_neither_as_distance_nor_as_signs():
    bias = {"fc1.bias": np.array([7.0], np.float32)}
    moved = {"fc1.bias": np.array([-7.0], np.float32)}
    assert list(distances(THETA0 | bias, TRAINED | moved, KEPT)) == list(KEPT)
    assert list(sign_changes(THETA0 | bias, TRAINED | moved, KEPT)) == list(KEPT)


def test_only_signs_of_kept_weights_are_compared():
    assert sign_changes(THETA0, TRAINED, KEPT) == {"fc1.weight": 1, "fc2.weight": 0}
    assert sign_change_fraction(THETA0, TRAINED, KEPT) == 0.25


def test_a_weight_that_leaves_0_has_changed_its_sign():
    before, after = weights(fc1=[0, 0, 3]), weights(fc1=[1, -0.0, 0])
    assert sign_changes(before, after, mask(fc1=[1, 1, 1])) == {"fc1.weight": 2}


def test_no_sign_has_changed_where_nothing_is_kept():
    nothing = mask(fc1=[0, 0, 0, 0], fc2=[0, 0])
    assert sign_change_fraction(THETA0, TRAINED, nothing) == 0
    assert total_distance(distances(THETA0, TRAINED, nothing)) == 0


def test_the_overlap_by_chance_sums_the_layers():
    kept_a, kept_b = {"fc1": 50, "fc2": 10}, {"fc1": 50, "fc2": 5}
    # fc1: 25 in both, 75 in either; fc2: 5 in both, 10 in either
    sizes = {"fc1": 100, "fc2": 10}
    assert overlap_by_chance(kept_a, kept_b, sizes) == 30 / 85


def test_full_masks_overlap_by_chance_as_fully_as_they_do():
    assert overlap_by_chance({"fc1": 9}, {"fc1": 9}, {"fc1": 9}) == 1
    assert overlap_by_chance({"fc1": 0}, {"fc1": 0}, {"fc1": 9}) == 1


def test_shuffled_masks_overlap_as_expected_by_chance():
    rng = seeding.generator(0, "mask_shuffle")
    sizes = {"fc1.weight": 20000, "fc2.weight": 5000}
    a = {name: np.arange(size) < 0.3 * size for name, size in sizes.items()}
    b = {name: np.arange(size) < 0.6 * size for name, size in sizes.items()}
    found = masks.mask_overlap(a, masks.shuffle_layerwise(b, rng))
    expected = overlap_by_chance(masks.kept(a), masks.kept(b), sizes)
    assert found == pytest.approx(expected, rel=0.02)


FC = (
    Flatten(),
    Linear(name="fc1", inputs=2, outputs=3),
    ReLU(),
    Linear(name="fc2", inputs=3, outputs=2, kind="output"),
)


def test_a_unit_without_outgoing_weights_is_dead():
    cut = mask(fc1=np.ones((3, 2)), fc2=[[1, 0, 0], [1, 0, 1]])
    assert dead_units(FC, cut) == {"fc1.weight": 1, "fc2.weight": 0}


def test_a_unit_without_incoming_weights_is_a_constant_and_stays():
    cut = mask(fc1=[[0, 0], [1, 1], [1, 1]], fc2=np.ones((2, 3)))
    assert dead_units(FC, cut) == {"fc1.weight": 0, "fc2.weight": 0}


@pytest.mark.parametrize("network", [MLP, RESNET])
def test_the_dense_network_has_no_dead_units(network):
    found = dead_units(network, everything(network))
    assert list(found) == [n for n, tensor in parameters(network).items() if tensor.kind]
    assert set(found.values()) == {0}


def test_a_kernel_that_is_not_masked_reads_everything():
    cut = mask(fc1=np.ones((3, 2)))
    assert dead_units(FC, cut) == {"fc1.weight": 0, "fc2.weight": 0}


def test_all_units_before_a_collapsed_layer_are_dead():
    cut = mask(fc1=np.ones((3, 2)), fc2=np.zeros((2, 3)))
    assert dead_units(FC, cut) == {"fc1.weight": 3, "fc2.weight": 0}


def test_a_channel_is_read_if_any_of_its_pixels_is():
    network = (
        Conv(name="conv1", inputs=1, outputs=2),
        ReLU(),
        Conv(name="conv2", inputs=2, outputs=3),
        ReLU(),
        MaxPool(),
        Flatten(),
        Linear(name="fc1", inputs=3 * 4, outputs=2, kind="output"),
    )
    cut = everything(network)
    cut["conv2.weight"][:, 1] = False
    cut["conv2.weight"][2, 1, 0, 2] = True  # one pixel of one filter reads channel 1
    cut["fc1.weight"][:, :8] = False
    cut["fc1.weight"][1, 6] = True  # the third pixel of channel 1
    assert dead_units(network, cut) == {
        "conv1.weight": 0,
        "conv2.weight": 1,
        "fc1.weight": 0,
    }


def test_a_channel_lives_through_an_identity_shortcut():
    network = (
        Conv(name="conv", inputs=1, outputs=2),
        Residual(body=(Conv(name="body", inputs=2, outputs=2),)),
        Flatten(),
        Linear(name="fc", inputs=2 * 9, outputs=2, kind="output"),
    )
    cut = everything(network)
    cut["body.weight"][:] = False
    assert dead_units(network, cut)["conv.weight"] == 0
    cut["fc.weight"][:, 9:] = False  # channel 1 of the sum is read no more
    assert dead_units(network, cut) == {
        "conv.weight": 1,
        "body.weight": 1,
        "fc.weight": 0,
    }


def test_a_channel_lives_through_a_shortcut_with_weights():
    cut = everything(RESNET)
    cut["body.conv1.weight"][:] = False
    assert dead_units(RESNET, cut)["conv.weight"] == 0
    cut["shortcut.conv.weight"][:, :3] = False
    assert dead_units(RESNET, cut)["conv.weight"] == 3
    assert dead_units(RESNET, cut)["shortcut.conv.weight"] == 0


def test_a_collapsed_layer_is_a_warning_with_its_name_and_size():
    cut = everything(MLP)
    cut["fc2.weight"][:] = False
    assert collapse_warnings(cut) == [
        "fc2.weight keeps none of its 800 weights: nothing passes; prune it less"
    ]


def test_one_weight_left_is_no_collapse():
    cut = everything(MLP)
    cut["fc2.weight"][:] = False
    cut["fc2.weight"][0, 0] = True
    assert collapse_warnings(cut) == []
