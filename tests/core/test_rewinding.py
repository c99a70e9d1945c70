"""Rewinding puts the right weights under the mask, also for frozen weights."""

from typing import get_args, get_type_hints

import numpy as np
import pytest

from pipeline.config import rewind
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


def test_a_mask_of_another_model_is_refused():
    with pytest.raises(ValueError, match=r"the mask has 'fc9.weight', the weights have"):
        rewinding.start(source(), {"fc9.weight": np.array([True])})


THETA0 = np.array([[0.5, -0.25, 0.125, -1.0], [0.5, -0.25, 0.125, 0.0]], np.float32)
KEPT = np.array([[True] * 4, [False] * 4])
TRAINED = np.array([[0.25, -0.5, -0.125, 3.0], [-0.25, 0.5, 0.125, 0.0]], np.float32)
"""toward zero, away from it, nowhere (with another sign), away; toward, away, nowhere"""


def frozen(action, kernel=THETA0, trained=TRAINED, theta0=THETA0):
    bias = np.array([1.0], np.float32)
    return rewinding.frozen_start(
        action,
        {"fc.weight": kernel, "fc.bias": bias},
        {"fc.weight": KEPT},
        theta0={"fc.weight": theta0, "fc.bias": bias},
        trained={} if trained is None else {"fc.weight": trained, "fc.bias": -bias},
    )["fc.weight"].tolist()


def test_frozen_weights_stay_at_their_values_in_theta0():
    fresh = np.full_like(THETA0, 9.0)
    assert frozen("freeze-init", trained=None) == THETA0.tolist()
    assert frozen("freeze-init", fresh, trained=None) == [[9.0] * 4, THETA0[1].tolist()]


def test_pruned_weights_that_moved_toward_zero_become_zero():
    assert frozen("freeze-init-zero-mask") == [
        [0.5, -0.25, 0.125, -1.0],
        [0.0, -0.25, 0.125, 0.0],
    ]


def test_kept_weights_that_moved_toward_zero_begin_at_zero_too():
    assert frozen("freeze-init-zero-all") == [
        [0.0, -0.25, 0.125, -1.0],
        [0.0, -0.25, 0.125, 0.0],
    ]


@pytest.mark.parametrize("action", sorted(rewinding.LOOK_AT_TRAINED))
def test_a_pruned_weight_keeps_the_value_it_got_when_pruned(action):
    first = frozen(action)
    later = np.array([TRAINED[0], first[1]], np.float32)
    assert frozen(action, trained=later) == first


@pytest.mark.parametrize("action", sorted(rewinding.LOOK_AT_TRAINED))
def test_a_weight_that_was_lost_has_not_moved_toward_zero(action):
    assert frozen(action, trained=np.full_like(THETA0, np.nan)) == THETA0.tolist()


@pytest.mark.parametrize("action", rewinding.ACTIONS)
def test_no_action_touches_its_arguments_or_what_has_no_mask(action):
    arrays = [THETA0.copy(), TRAINED.copy()]
    weights = {"fc.weight": arrays[0], "fc.bias": np.array([1.0], np.float32)}
    trained = {"fc.weight": arrays[1], "fc.bias": np.array([5.0], np.float32)}
    found = rewinding.frozen_start(
        action, weights, {"fc.weight": KEPT}, theta0=weights, trained=trained
    )
    assert found["fc.bias"].tolist() == [1.0]
    assert found["fc.weight"].dtype == np.float32
    for values in found.values():
        values[...] = 7
    assert arrays[0].tobytes() == THETA0.tobytes()
    assert arrays[1].tobytes() == TRAINED.tobytes()


def test_without_an_action_pruned_weights_are_plus_zero():
    assert frozen("zero") == [[0.5, -0.25, 0.125, -1.0], [0.0] * 4]


def test_every_action_can_be_written_in_params_yaml():
    assert get_args(get_type_hints(rewind.Rewind)["pruned"]) == rewinding.ACTIONS
