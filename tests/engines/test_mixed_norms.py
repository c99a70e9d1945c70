"""AWS: each step trains with norms between their first values and what they are."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.experiment import settings
from helpers.on_digits import digits
from helpers.train_settings import PLAIN

from pipeline.config.params import ParamsError
from pipeline.core import masks, seeding
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import BatchNorm, Conv, Flatten, Linear, ReLU, parameters
from pipeline.core.training.engine import Ability, Job
from pipeline.engines import ENGINES, resolve
from pipeline.engines.reference import make

NETWORK = (
    Conv(name="conv1", inputs=1, outputs=3, bias=False),
    BatchNorm(name="norm1", channels=3),
    ReLU(),
    Flatten(),
    Linear(name="fc1", inputs=192, outputs=10, kind="output"),
)
SCALE, SHIFT = np.float32([0.5, 2, 3]), np.float32([1, -1, 0.5])
NORMS = {"norm1.weight": SCALE, "norm1.bias": SHIFT}


def job(norms: dict[str, np.ndarray], *, mixes: bool) -> Job:
    tensors = parameters(NETWORK)
    theta0 = initial_weights(NETWORK, "kaiming-normal", seeding.generator(0, "init"))
    return Job(
        network=NETWORK,
        start=theta0 | norms,
        mask=masks.dense(tensors, [n for n, tensor in tensors.items() if tensor.kind]),
        data=digits(),
        settings=replace(PLAIN, optimizer="sgd", lr=0.5, mix_norms=mixes),
        seed=3,
        round=1,
    )


def test_a_step_is_that_of_a_network_with_mixed_norms() -> None:
    """Its gradient reaches what is trained through the share that is left of it."""
    asked = job(NORMS, mixes=True)
    share = asked.norm_share(0)
    assert 0 < share < 1
    mixed = {
        "norm1.weight": share + (1 - share) * SCALE,
        "norm1.bias": (1 - share) * SHIFT,
    }
    other = job({n: v.astype(np.float32) for n, v in mixed.items()}, mixes=False)
    found, plain = make([asked]), make([other])
    for engine in (found, plain):
        engine.advance(1)
    ((a,), (b,)) = found.weights(), plain.weights()
    for name in parameters(NETWORK):
        moved = a[name] - asked.start[name]
        wanted = b[name] - other.start[name]
        factor = 1 - share if name in NORMS else 1
        np.testing.assert_allclose(moved, factor * wanted, rtol=2e-3, atol=2e-5)
        assert np.abs(moved).max() > 0


def test_evaluations_take_norms_as_they_are() -> None:
    mixed, plain = (make([job(NORMS, mixes=mixes)]) for mixes in (True, False))
    assert mixed.evaluate("validation") == plain.evaluate("validation")


def test_every_step_and_seed_has_a_share_of_its_own() -> None:
    asked = job(NORMS, mixes=True)
    shares = [asked.norm_share(step) for step in range(200)]
    assert len(set(shares)) == 200
    assert 0.4 < np.mean(shares) < 0.6
    assert replace(asked, seed=4).norm_share(0) != shares[0]
    engine = make([asked])
    engine.advance(2)
    again = make([asked])
    again.restore(engine.state(), 2)
    for one in (engine, again):
        one.advance(1)
    ((a,), (b,)) = engine.weights(), again.weights()
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_the_reference_alone_mixes_norms() -> None:
    needs = {Ability.MIX_NORMS}
    able = [name for name, one in ENGINES.items() if Ability.MIX_NORMS in one.abilities]
    assert able == ["reference"]
    assert resolve("auto", NETWORK, 0.1, "cpu", needs) == "reference"
    with pytest.raises(ValueError, match="cannot mix norms with their first values"):
        resolve("sparse-norm", NETWORK, 0.1, "cpu", needs)
    with pytest.raises(ValueError, match=r"no engine can mix norms .* and share each"):
        resolve("auto", NETWORK, 0.1, "cpu", needs | {Ability.SHARE_BATCHES})


def test_a_network_without_norms_has_none_to_mix() -> None:
    with pytest.raises(ParamsError, match=r"train\.mix_norms: true found; its network has"):
        settings(tasks__main__train__mix_norms=True)
