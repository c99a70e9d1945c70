"""The engine for control tasks keeps the contract, and its networks learn to act."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.train_settings import PLAIN

from pipeline.core import control, masks, models, seeding
from pipeline.core.analysis.evaluation import evaluator
from pipeline.core.control import Environment, Moment
from pipeline.core.description import Actions, Vectors
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Ability, Job, needed_for
from pipeline.core.training.loop import train
from pipeline.data.own.episodes import Episodes
from pipeline.data.own.read import OwnDataError, read
from pipeline.data.own.source import Source
from pipeline.engines import make_engine, resolve

pytest.importorskip("gymnasium")
POLE = Source(control=Episodes(environment="CartPole-v1", episodes=100))


@cache
def data(source=POLE):
    return read("pole", source, Path())


def make_job(**settings):
    described = data().description
    network = models.build("mlp", widths=(16,), data=described)
    tensors = parameters(network)
    mask = masks.dense(tensors, [n for n, t in tensors.items() if t.kind])
    mask["fc1.weight"][:, 0] = False  # the place of the cart
    start = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    start["fc1.weight"][:, 0] = 0
    return Job(
        network=network,
        start=start,
        mask=mask,
        data=data(),
        settings=replace(PLAIN, batch_size=8, optimizer="adam", lr=0.02, **settings),
        seed=0,
        round=0,
    )


def after(job, *steps):
    engine = make_engine("control", [job])
    for number in steps:
        engine.advance(number)
    return engine


def test_episodes_are_a_data_set_of_first_observations_and_seeds():
    described = data().description
    assert described.inputs == Vectors(num_values=4)
    assert described.labels == Actions(
        number=2, environment="CartPole-v1", returns=(0.0, 500.0)
    )
    assert data().train.labels.tolist() == list(range(80))
    assert data().test.labels.tolist() == list(range(90, 100))
    again = Environment("CartPole-v1").begin(data().test.labels)
    assert (again == data().test.inputs).all()
    assert np.abs(again).max() <= 0.05


def test_a_network_learns_to_balance_the_pole_and_keeps_its_mask():
    job = make_job()
    engine = after(job)
    (before,) = engine.evaluate("validation")
    engine.advance(12)
    (learned,) = engine.evaluate("validation")
    assert learned.accuracy > 2 * before.accuracy
    assert learned.loss == 1 - learned.accuracy
    (weights,) = engine.weights()
    assert not weights["fc1.weight"][:, 0].any()
    # What evaluates weights on lines between networks plays the same episodes.
    found = evaluator(job.network, job.data, job.data.validation)(weights)
    assert found == learned


def test_a_training_goes_on_bit_for_bit_from_its_state():
    job = make_job()
    whole, parts = after(job, 4), after(job, 1, 1)
    fresh = make_engine("control", [job])
    fresh.restore(parts.state(), 2)
    fresh.advance(2)
    for name, weight in whole.weights()[0].items():
        assert weight.tobytes() == fresh.weights()[0][name].tobytes(), name
    other = after(replace(job, copy=1), 4).weights()[0]
    assert other["fc1.weight"].tobytes() != whole.weights()[0]["fc1.weight"].tobytes()


def test_a_network_that_diverges_stops_there():
    job = make_job(evaluate_every=1)
    start = {name: weight.copy() for name, weight in job.start.items()}
    start["fc2.weight"][0, 0] = np.nan
    job = replace(job, start=start)
    (found,) = train([job], make_engine("control", [job]))
    assert found.diverged
    assert found.end.step == 0
    assert math.isnan(found.curves["validation"].loss[0])
    assert math.isnan(evaluator(job.network, job.data, job.data.validation)(start).loss)


def test_the_loss_has_the_precision_of_the_settings():
    single, double = (
        after(make_job(loss_precision=precision), 3).weights()[0]
        for precision in (None, "float64")
    )
    assert single["fc1.weight"].tobytes() != double["fc1.weight"].tobytes()
    for name, weight in single.items():
        assert weight == pytest.approx(double[name], abs=1e-3), name


def test_an_advantage_is_what_is_above_the_other_episodes():
    one = Moment(np.array([0, 1]), np.zeros((2, 1)), np.zeros(2), np.ones(2))
    two = Moment(np.array([1]), np.zeros((1, 1)), np.zeros(1), np.ones(1))
    first, second = control.advantages([one, two])
    # Returns: 1 and 1.99 at first, then 0 and 1.
    raw = np.array([1 - 1.495, 1.99 - 1.495, 1 - 0.5])
    assert [*first, *second] == pytest.approx((raw / raw.std()).tolist(), rel=1e-5)
    assert control.share([one, two], Actions(number=2, environment="", returns=(0, 2))) == (
        pytest.approx(0.75)
    )


def test_actions_are_drawn_by_their_probabilities():
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).expand(20_000, 3)
    drawn = control.sampled(logits, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=3) / 20_000
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.02)
    assert control.best(logits[:2]).tolist() == [1, 1]


def test_the_plan_chooses_the_engine_by_the_data():
    network, needs = make_job().network, needed_for(data().description)
    assert Ability.ACT in needs
    assert resolve("auto", network, 0.1, "cpu", needs) == "control"
    with pytest.raises(ValueError, match="engine reference cannot act in an environment"):
        resolve("reference", network, 1.0, "cpu", needs)
    with pytest.raises(ValueError, match="engine control acts in environments, and"):
        resolve("control", network, 1.0, "cpu")
    with pytest.raises(ValueError, match="engine control cannot change training images"):
        resolve("control", network, 1.0, "cpu", needs | {Ability.OTHER_AUGMENTATION})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environment": "Pong", "episodes": 200}, "give CartPole-v1 or Acrobot-v1"),
        ({"environment": "Acrobot-v1", "episodes": 9}, "episodes is 9; give a hundred"),
    ],
)
def test_settings_out_of_range_are_one_line(given, message):
    with pytest.raises(ValueError, match=message):
        Episodes(**given)


def test_without_gymnasium_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(OwnDataError, match=r"^datasets.x: episodes: gymnasium is not inst"):
        read("x", POLE, Path())
