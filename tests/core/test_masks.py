"""Functions on masks: apply, compare, shuffle, and measure density."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import masks
from pipeline.core.counts import fractions_per_tensor
from pipeline.core.models.layers import BatchNorm, Conv, Flatten, Linear, parameters

MASK = {
    "fc1.weight": np.array([[True, False], [True, True]]),
    "fc2.weight": np.array([[False, False, True, False]]),
}
WEIGHTS = {
    "fc1.weight": np.array([[1.0, -2.0], [-0.0, np.nan]], np.float32),
    "fc1.bias": np.array([5.0, -6.0], np.float32),
    "fc2.weight": np.array([[np.nan, np.inf, -7.0, -1.0]], np.float32),
}

sizes = st.integers(0, 20)
bits = st.lists(st.booleans(), min_size=1, max_size=40)


def as_mask(*entries):
    return {f"{i}.weight": np.array(kept, np.bool_) for i, kept in enumerate(entries)}


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_the_dense_mask_is_true_on_what_counts_and_absent_elsewhere():
    network = (
        Conv(name="conv", inputs=1, outputs=2, kernel=3),
        BatchNorm(name="norm", channels=2),
        Flatten(),
        Linear(name="fc", inputs=8, outputs=3, kind="output"),
    )
    tensors = parameters(network)
    everything = masks.dense(
        tensors, fractions_per_tensor(tensors, {"conv": 0.2, "output": 0.0})
    )
    assert {name: kept.shape for name, kept in everything.items()} == {
        "conv.weight": (2, 1, 3, 3),
        "fc.weight": (3, 8),
    }
    assert all(kept.dtype == np.bool_ and kept.all() for kept in everything.values())
    convolutions = masks.dense(
        tensors, fractions_per_tensor(tensors, {"conv": 0.2, "output": None})
    )
    assert list(convolutions) == ["conv.weight"]


def test_counts_and_densities():
    assert masks.kept(MASK) == {"fc1.weight": 3, "fc2.weight": 1}
    assert masks.density(MASK) == 0.5
    assert masks.layer_densities(MASK) == {"fc1.weight": 0.75, "fc2.weight": 0.25}


def test_a_tensor_without_a_weight_left_is_named():
    assert masks.collapsed(MASK) == []
    assert masks.collapsed(as_mask([True, False], [False, False])) == ["1.weight"]


def test_pruned_weights_become_plus_zero_even_from_nan_and_infinity():
    applied = masks.apply(WEIGHTS, MASK)
    assert applied["fc2.weight"].tobytes() == np.array([0, 0, -7, 0], np.float32).tobytes()
    assert applied["fc1.weight"][0].tobytes() == np.array([1, 0], np.float32).tobytes()


def test_kept_weights_keep_their_bits():
    applied = masks.apply(WEIGHTS, MASK)["fc1.weight"]
    assert applied.dtype == np.float32
    assert applied[1].tobytes() == WEIGHTS["fc1.weight"][1].tobytes()


def test_apply_copies_everything_and_changes_no_argument():
    before = {name: values.copy() for name, values in WEIGHTS.items()}
    applied = masks.apply(WEIGHTS, MASK)
    assert list(applied) == list(WEIGHTS)
    for values in applied.values():
        values[:] = 9
    for name, values in WEIGHTS.items():
        assert values.tobytes() == before[name].tobytes()


@pytest.mark.parametrize("use", [masks.apply, masks.revived])
def test_masks_of_another_model_are_refused(use):
    with pytest.raises(ValueError, match=r"the mask has 'fc3.weight', the weights have"):
        use(WEIGHTS, {"fc3.weight": np.array([True])})
    with pytest.raises(ValueError, match=r"'fc1.bias' is \(1,\) in the mask and \(2,\)"):
        use(WEIGHTS, {"fc1.bias": np.array([True])})


def test_revived_weights_are_found():
    assert masks.revived(WEIGHTS, MASK) == ["fc1.weight", "fc2.weight"]
    applied = masks.apply(WEIGHTS, MASK)
    assert masks.revived(applied, MASK) == []
    applied["fc1.weight"][0, 1] = -0.0
    assert masks.revived(applied, MASK) == []
    applied["fc1.weight"][0, 1] = np.nan
    assert masks.revived(applied, MASK) == ["fc1.weight"]
    applied["fc1.weight"][0, 1] = 1e-45
    assert masks.revived(applied, MASK) == ["fc1.weight"]


def test_nested_means_a_subset_in_the_same_tensors():
    old = as_mask([True, True, False, False])
    assert masks.is_nested(as_mask([True, False, False, False]), old)
    assert masks.is_nested(old, old)
    assert not masks.is_nested(as_mask([True, False, True, False]), old)
    assert not masks.is_nested({}, old)
    assert not masks.is_nested(as_mask([[True, True, False, False]]), old)
    assert not masks.is_nested(as_mask([True] * 4, [True]), old)


def test_overlap_is_common_over_any():
    a = as_mask([True, True, False, False], [True])
    b = as_mask([False, True, True, False], [True])
    assert masks.mask_overlap(a, b) == 2 / 4
    assert masks.mask_overlap(a, as_mask([False, False, True, True], [False])) == 0
    nothing = as_mask([False, False])
    assert masks.mask_overlap(nothing, nothing) == 1


def test_masks_of_different_networks_have_no_overlap():
    with pytest.raises(ValueError, match="masks of different networks"):
        masks.mask_overlap(as_mask([True]), as_mask([True, True]))


@given(bits, bits)
def test_overlap_with_itself_is_one(first, second):
    mask = as_mask(first, second)
    assert masks.mask_overlap(mask, mask) == 1


@given(bits, bits, st.integers(0, 3))
def test_a_shuffle_keeps_counts_shapes_and_its_argument(first, second, seed):
    mask = as_mask([first, first], second)
    before = {name: kept.copy() for name, kept in mask.items()}
    shuffled = masks.shuffle_layerwise(mask, np.random.default_rng(seed))
    assert masks.kept(shuffled) == masks.kept(mask)
    assert all(shuffled[name].shape == mask[name].shape for name in mask)
    assert same(mask, before)


def test_a_shuffle_changes_the_mask():
    mask = as_mask([True] * 50 + [False] * 50)
    once = masks.shuffle_layerwise(mask, np.random.default_rng(0))
    twice = masks.shuffle_layerwise(mask, np.random.default_rng(1))
    assert not same(once, mask)
    assert not same(once, twice)
    assert same(once, masks.shuffle_layerwise(mask, np.random.default_rng(0)))


def test_a_shuffle_does_not_see_the_order_of_the_dictionary():
    mask = as_mask([True] * 5 + [False] * 5, [True] * 3 + [False] * 9)
    backward = {name: mask[name] for name in reversed(mask)}
    shuffled = masks.shuffle_layerwise(mask, np.random.default_rng(0))
    again = masks.shuffle_layerwise(backward, np.random.default_rng(0))
    assert list(again) == list(backward)
    assert same(shuffled, {name: again[name] for name in shuffled})


def test_a_shuffle_reaches_every_position_equally_often():
    rng = np.random.default_rng(0)
    mask = as_mask([[True, False], [False, False]])
    hits = sum(
        masks.shuffle_layerwise(mask, rng)["0.weight"].astype(int) for _ in range(4000)
    )
    # 5 standard deviations of a binomial count around its mean of 1,000
    assert np.all(abs(hits - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75))


def test_frozen_weights_pass_as_kept_ones_do():
    mask = {"fc.weight": np.array([True, True, False, False, False])}
    weights = {"fc.weight": np.array([0.0, 1.0, 0.0, -0.0, -2.0], np.float32)}
    found = masks.connected(weights, mask)
    assert found["fc.weight"].tolist() == [True, True, False, False, True]
