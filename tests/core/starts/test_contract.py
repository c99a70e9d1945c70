"""Every start fulfills the contract of starts."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core import rewinding, seeding, starts
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import BatchNorm, Conv, Flatten, Linear, ReLU, parameters
from pipeline.core.starts.given import Given

NETWORK = (
    Conv(name="conv1", inputs=1, outputs=3, bias=False),
    BatchNorm(name="norm1", channels=3),
    ReLU(),
    Flatten(),
    Linear(name="fc1", inputs=12, outputs=4),
    Linear(name="fc2", inputs=4, outputs=2, kind="output"),
)
KERNELS = ("conv1.weight", "fc1.weight", "fc2.weight")


def make_given(
    *, mask=None, trained=None, early=None, taken=None, init="glorot-normal", draw=0
):
    """A network whose output kernel is never pruned, unless a mask is given."""
    theta0 = initial_weights(NETWORK, init, seeding.generator(0, "init"))
    if mask is None:
        rng = seeding.generator(0, "mask_sample")
        mask = {name: rng.random(theta0[name].shape) < 0.5 for name in KERNELS[:2]}
    if trained is None:
        rng = seeding.generator(0, "data_order")
        trained = {
            name: values + rng.standard_normal(values.shape).astype(np.float32)
            for name, values in theta0.items()
        }
    if early is None:
        early = {name: values + np.float32(0.5) for name, values in theta0.items()}
    if taken is None:
        taken = {name: values * np.float32(0.5) for name, values in theta0.items()}
    return Given(
        theta0=theta0,
        trained=trained,
        early=early,
        begun=theta0,
        taken=taken,
        mask=mask,
        round=2,
        network=NETWORK,
        init=init,
        rng=seeding.generator(0, "reinit", round=1, copy=draw),
    )


def content(arrays):
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


@pytest.fixture(params=starts.STARTS)
def name(request):
    return request.param


def test_every_tensor_of_the_network_is_given_as_float32(name):
    weights = starts.start_source(name, make_given())
    assert {n: w.shape for n, w in weights.items()} == {
        n: p.shape for n, p in parameters(NETWORK).items()
    }
    assert {w.dtype for w in weights.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(w).all() for w in weights.values())


def test_arguments_are_left_unchanged(name):
    given = make_given()
    before = [content(a) for a in (given.theta0, given.trained, given.mask)]
    weights = starts.start_source(name, given)
    for values in rewinding.start(weights, given.mask).values():
        values[...] = 7
    assert [content(a) for a in (given.theta0, given.trained, given.mask)] == before


def test_the_same_draw_gives_the_same_weights_and_another_others(name):
    once, again, other = (
        content(starts.start_source(name, make_given(draw=draw))) for draw in (0, 0, 1)
    )
    assert once == again
    assert (once != other) == starts.STARTS[name].draws


def test_only_a_start_that_draws_takes_from_the_stream(name):
    given = make_given()
    starts.start_source(name, given)
    drew = given.rng.random() != make_given().rng.random()
    assert drew == starts.STARTS[name].draws


def test_biases_and_norms_are_those_of_theta0_unless_training_goes_on(name):
    given = make_given()
    weights = starts.start_source(name, given)
    trained = given.trained
    goes_on = {"early": given.early, "trained": trained, "fine-tune": trained}
    goes_on |= {"taken": given.taken, "pruned": trained}
    source = goes_on.get(name, given.theta0)
    if starts.STARTS[name].program:
        pytest.skip("a program departs from the algorithm: its own test says how")
    for tensor in weights.keys() - set(KERNELS):
        assert weights[tensor].tobytes() == source[tensor].tobytes()


def test_only_a_start_that_needs_the_mask_looks_at_it(name):
    start = starts.STARTS[name]
    every = {tensor: np.ones_like(kept) for tensor, kept in make_given().mask.items()}
    found, other = (
        content(starts.start_source(name, make_given(mask=mask))) for mask in (None, every)
    )
    assert (found != other) == start.needs_mask


def test_only_a_start_that_needs_trained_weights_looks_at_them(name):
    start = starts.STARTS[name]
    turned = {tensor: -2 * values for tensor, values in make_given().trained.items()}
    found, other = (
        content(starts.start_source(name, make_given(trained=trained)))
        for trained in (None, turned)
    )
    assert (found != other) == (start.needs_trained is not None)


def test_a_missing_input_is_named(name):
    start = starts.STARTS[name]
    given = make_given(mask={}, trained={}, early={}, taken={})
    if start.needs_mask:
        with pytest.raises(ValueError, match=f"'{name}' needs the mask of the round; giv"):
            starts.start_source(name, given)
    elif start.needs_trained:
        with pytest.raises(ValueError, match=f"'{name}' needs trained weights; give them"):
            starts.start_source(name, given)
    elif start.needs_taken:
        with pytest.raises(ValueError, match="needs the start of the mask's variant; give"):
            starts.start_source(name, given)
    elif start.step == "needed":
        with pytest.raises(ValueError, match=f"'{name}' needs early weights; give them"):
            starts.start_source(name, given)
    else:
        starts.start_source(name, given)


def test_only_a_start_at_a_later_step_looks_at_early_weights(name):
    turned = {tensor: -2 * values for tensor, values in make_given().early.items()}
    found, other = (
        content(starts.start_source(name, make_given(early=early)))
        for early in (None, turned)
    )
    assert (found != other) == (starts.STARTS[name].step == "needed")


def test_an_unknown_start_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"^unknown start: theta; did you mean theta0\?"):
        starts.start_source("theta", make_given())


def test_a_start_is_imported_on_use():
    code = (
        "import sys; from pipeline.core import starts; starts.STARTS.file_of('reinit'); "
        "sys.exit('pipeline.core.starts.drawn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_half_of_a_count_is_an_array_too(monkeypatch):
    """Numpy's arithmetic makes a number of a 0-dimensional array."""
    given = make_given()
    given = replace(given, theta0=given.theta0 | {"count": np.array(2, np.float32)})
    halved = {name: values / 2 for name, values in given.theta0.items()}
    monkeypatch.setattr(type(starts.STARTS), "load", lambda *_: lambda _: halved)
    found = starts.start_source("theta0", given)["count"]
    assert isinstance(found, np.ndarray)
    assert found == 1
