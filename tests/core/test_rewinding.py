import numpy as np
import pytest

from pipeline.core import rewinding

MASK = {"fc.weight": np.array([[True, False], [False, True]])}


def source():
    return {
        "fc.weight": np.array([[0.5, -0.25], [np.nan, -0.0]], np.float32),
        "fc.bias": np.array([1.0, -1.0], np.float32),
        "norm.running_var": np.array([0.0, 2.0], np.float32),
    }


def test_a_round_starts_from_its_source_under_the_mask():
    found = rewinding.start(source(), MASK)
    assert list(found) == list(source())
    expected = np.array([[0.5, 0.0], [0.0, -0.0]], np.float32)
    assert found["fc.weight"].tobytes() == expected.tobytes()
    for name in ("fc.bias", "norm.running_var"):
        assert found[name].tobytes() == source()[name].tobytes()


def test_training_the_start_in_place_leaves_the_source_alone():
    theta0 = source()
    found = rewinding.start(theta0, MASK)
    for values in found.values():
        values[...] = 1
    assert all(theta0[name].tobytes() == source()[name].tobytes() for name in theta0)


def test_a_start_matches_its_source():
    assert rewinding.matches(rewinding.start(source(), MASK), source(), MASK)


@pytest.mark.parametrize("name", ["fc.weight", "fc.bias", "norm.running_var"])
def test_one_changed_bit_in_any_tensor_is_found(name):
    start = rewinding.start(source(), MASK)
    start[name].flat[0] = np.nextafter(start[name].flat[0], np.float32(9))
    assert not rewinding.matches(start, source(), MASK)


def test_a_pruned_weight_of_minus_zero_is_no_match():
    start = rewinding.start(source(), MASK)
    start["fc.weight"][0, 1] = -0.0
    assert not rewinding.matches(start, source(), MASK)


def test_a_missing_tensor_is_no_match():
    start = rewinding.start(source(), MASK)
    del start["fc.bias"]
    assert not rewinding.matches(start, source(), MASK)


def test_a_mask_of_another_model_is_refused():
    with pytest.raises(ValueError, match=r"the mask has 'fc9.weight', the weights have"):
        rewinding.start(source(), {"fc9.weight": np.array([True])})
