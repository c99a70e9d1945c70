"""Each start makes the right weights, checked by hand on small kernels or statistically."""

import numpy as np
import pytest

from pipeline.core import seeding, starts
from pipeline.core.description import Classes, Description, Tokens
from pipeline.core.models import build
from pipeline.core.models.init import INITS, initial_weights
from pipeline.core.models.layers import Conv, Linear, parameters
from pipeline.core.starts.drawn import VARIANCES
from pipeline.core.starts.given import Given

LINEAR = (Linear(name="fc", inputs=3, outputs=2, kind="output"),)
THETA0 = {
    "fc.weight": np.array([[1, -2, 3], [-4, 5, -6]], np.float32),
    "fc.bias": np.array([7, 8], np.float32),
}
TRAINED = {
    "fc.weight": np.array([[-1, -1, 0], [0, 2, 2]], np.float32),
    "fc.bias": np.array([9, 9], np.float32),
}
EARLY = {
    "fc.weight": np.array([[2, -2, 2], [-4, 4, -4]], np.float32),
    "fc.bias": np.array([1, 1], np.float32),
}
BEGUN = {
    "fc.weight": np.array([[2, -3, 0], [0, 6, -7]], np.float32),
    "fc.bias": np.array([7, 8], np.float32),
}
MASK = {"fc.weight": np.array([[True, True, False], [False, True, True]])}


def given(
    network=LINEAR, *, theta0=THETA0, trained=TRAINED, mask=MASK, init="glorot-normal"
):
    return Given(
        theta0=theta0,
        trained=trained,
        early=EARLY,
        begun=BEGUN if theta0 is THETA0 else theta0,
        mask=mask,
        round=2,
        network=network,
        init=init,
        rng=seeding.generator(0, "reinit", round=1),
    )


def kernel(name, **arguments):
    return starts.start_source(name, given(**arguments))["fc.weight"]


def test_theta0_is_theta0():
    assert starts.start_source("theta0", given()) is THETA0


def test_trained_is_what_the_previous_round_left_with_its_biases():
    weights = starts.start_source("trained", given())
    assert weights["fc.weight"].tolist() == [[-1, -1, 0], [0, 2, 2]]
    assert weights["fc.bias"].tolist() == [9, 9]


def test_early_is_the_dense_network_after_its_first_steps():
    assert starts.start_source("early", given()) is EARLY


@pytest.mark.parametrize("init", INITS)
def test_reinit_is_a_draw_of_the_network_from_the_stream(init):
    drawn = initial_weights(LINEAR, init, seeding.generator(0, "reinit", round=1))
    assert kernel("reinit", init=init).tobytes() == drawn["fc.weight"].tobytes()


@pytest.mark.parametrize("name", ["signed-reinit", "signed-reshuffle", "signed-constant"])
def test_signed_starts_keep_every_sign_of_theta0(name):
    kept = MASK["fc.weight"]
    assert (
        np.sign(kernel(name))[kept].tolist() == np.sign(THETA0["fc.weight"])[kept].tolist()
    )


def test_the_signs_of_training_are_kept_where_it_left_weights():
    weights = kernel("trained-sign-reinit")
    assert np.sign(weights[MASK["fc.weight"]]).tolist() == [-1, -1, 1, 1]


def test_the_signs_of_early_weights_are_kept():
    weights = kernel("early-sign-reinit")
    kept = MASK["fc.weight"]
    assert (np.sign(weights)[kept] == np.sign(EARLY["fc.weight"])[kept]).all()
    sizes = np.abs(kernel("reinit"))
    assert (np.abs(weights) == sizes).all()


def test_the_magnitudes_of_training_get_the_signs_of_a_draw():
    sizes, signs = kernel("trained-magnitudes"), np.sign(kernel("reinit"))
    assert np.abs(sizes).tolist() == np.abs(TRAINED["fc.weight"]).tolist()
    assert (np.sign(sizes) == signs)[TRAINED["fc.weight"] != 0].all()


@pytest.mark.parametrize("name", ["signed-reinit", "trained-sign-reinit"])
def test_signed_draws_have_the_magnitudes_of_reinit(name):
    assert np.abs(kernel(name)).tolist() == np.abs(kernel("reinit")).tolist()


def test_reshuffle_moves_kept_values_among_kept_places():
    weights = kernel("reshuffle")
    kept = MASK["fc.weight"]
    assert sorted(weights[kept].tolist()) == [-7, -3, 2, 6]
    assert weights[~kept].tolist() == [0, 0]


def test_signed_reshuffle_moves_kept_magnitudes_among_kept_places():
    weights = kernel("signed-reshuffle")
    assert sorted(np.abs(weights[MASK["fc.weight"]]).tolist()) == [2, 3, 6, 7]


def test_reshuffle_all_moves_pruned_values_too():
    assert sorted(kernel("reshuffle-all").ravel().tolist()) == [-6, -4, -2, 1, 3, 5]


@pytest.mark.parametrize("name", ["reshuffle", "reshuffle-all", "signed-reshuffle"])
def test_values_stay_in_their_kernel_and_all_of_them_move(name):
    network = (
        Linear(name="fc1", inputs=40, outputs=30),
        Linear(name="fc2", inputs=30, outputs=10, kind="output"),
    )
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    mask = {"fc1.weight": np.ones((30, 40), np.bool_)}
    weights = starts.start_source(name, given(network, theta0=theta0, mask=mask))
    for tensor in ("fc1.weight", "fc2.weight"):
        sizes, initial = np.abs(weights[tensor]), np.abs(theta0[tensor])
        assert np.sort(sizes.ravel()).tolist() == np.sort(initial.ravel()).tolist()
        assert (sizes != initial).mean() > 0.9


# Around their mean -.5 the squares of 1.5, 1.5, 3.5, 3.5, 5.5 and 5.5 sum to 89.5.
STD = np.float32(np.sqrt(89.5 / 6))


def test_signed_constant_is_the_deviation_under_each_sign():
    signs = np.array([[1, -1, 1], [-1, 1, -1]], np.float32)
    assert kernel("signed-constant").tolist() == (STD * signs).tolist()


def test_constant_is_the_deviation_under_as_many_signs_of_each_kind():
    assert sorted(kernel("constant").ravel().tolist()) == [-STD] * 3 + [STD] * 3


def test_the_signs_of_constant_are_at_random_places():
    network = (Linear(name="fc", inputs=100, outputs=100),)
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    found = kernel("constant", network=network, theta0=theta0, mask={})
    same = np.mean(np.sign(found) == np.sign(theta0["fc.weight"]))
    # Standard error: .005.
    assert same == pytest.approx(0.5, abs=0.02)


def test_without_a_pruned_weight_scaled_reinit_is_reinit():
    every = {"fc.weight": np.ones((2, 3), np.bool_)}
    for init in INITS:
        scaled = kernel("reinit-scaled", mask=every, init=init)
        assert scaled.tobytes() == kernel("reinit", init=init).tobytes()


def test_each_weight_is_scaled_by_the_kept_fans_of_its_two_units():
    # Kept fan-in of the rows: 2, 2; kept fan-out of the columns: 1, 2, 1.
    kaiming = kernel("reinit", init="kaiming-normal") * np.sqrt(3 / 2)
    found = kernel("reinit-scaled", init="kaiming-normal")
    np.testing.assert_allclose(found, kaiming, rtol=1e-6)

    glorot = kernel("reinit") * np.sqrt(5 / np.array([[3, 4, 3], [3, 4, 3]]))
    np.testing.assert_allclose(kernel("reinit-scaled"), glorot, rtol=1e-6)


def test_the_area_of_a_convolution_counts_in_its_kept_fans():
    network = (Conv(name="conv", inputs=2, outputs=1, bias=False),)
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    kept = np.ones((1, 2, 3, 3), np.bool_)
    kept[0, 1, :2] = False
    same = given(network, theta0=theta0, mask={"conv.weight": kept})
    plain = given(network, theta0=theta0, mask={})
    scaled = starts.start_source("reinit-scaled", same)["conv.weight"]
    drawn = starts.start_source("reinit", plain)["conv.weight"]
    # Dense: 18 in, 9 out; kept: 12 in, 9 and 3 out.
    np.testing.assert_allclose(scaled[0, 0], drawn[0, 0] * np.sqrt(27 / 21), rtol=1e-6)
    np.testing.assert_allclose(scaled[0, 1], drawn[0, 1] * np.sqrt(27 / 15), rtol=1e-6)


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        ("glorot-normal", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("kaiming-normal", lambda fan_in, _: 2 / fan_in),
    ],
)
def test_the_variance_of_scaled_reinit_is_that_of_the_kept_fans(init, variance):
    network = (Linear(name="fc", inputs=1_000, outputs=500),)
    theta0 = initial_weights(network, init, seeding.generator(0, "init"))
    kept = np.ones((500, 1_000), np.bool_)
    kept[:, 100:] = False
    weights = kernel(
        "reinit-scaled", network=network, theta0=theta0, mask={"fc.weight": kept}, init=init
    )
    # Standard error of the variance at 50,000 draws: below .7 %.
    assert weights[kept].var() == pytest.approx(variance(100, 500), rel=0.03)


def test_the_gates_of_a_cell_are_scaled_apart():
    data = Description(inputs=Tokens(vocabulary=5, length=4), labels=Classes(number=2))
    network = build("lstm", widths=(6,), data=data)
    name = next(n for n, one in parameters(network).items() if one.kind == "input")
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    kept = np.random.default_rng(1).random(theta0[name].shape) < 0.5
    same = given(network, theta0=theta0, mask={name: kept})
    scaled = starts.start_source("reinit-scaled", same)[name]
    drawn = starts.start_source("reinit", given(network, theta0=theta0, mask={}))[name]
    gates = zip(*(np.split(values, 4) for values in (kept, scaled, drawn)), strict=True)
    for part, found, plain in gates:
        fan_in, fan_out = (np.maximum(part.sum(a, keepdims=True), 1) for a in (1, 0))
        dense = part.shape[0] + part.shape[1]
        np.testing.assert_allclose(
            found, plain * np.sqrt(dense / (fan_in + fan_out)), rtol=1e-5
        )


def test_a_unit_without_connections_is_scaled_by_no_division_by_zero():
    nothing = {"fc.weight": np.zeros((2, 3), np.bool_)}
    assert np.isfinite(kernel("reinit-scaled", mask=nothing)).all()


def test_every_init_has_a_variance_to_scale():
    assert VARIANCES.keys() == INITS.keys()
