"""A training can end early or begin late, and two copies of one start can be trained."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.on_digits import NETWORKS, assert_same_bits, dense_job, trained
from helpers.registries import LABELED

from pipeline.core import rewinding
from pipeline.core.training.loop import train
from pipeline.core.training.schedules import learning_rate
from pipeline.engines import ENGINES, make_engine

SGD = {"optimizer": "sgd", "lr": 0.05}

every_engine_and_network = pytest.mark.parametrize(
    ("engine", "network"),
    [
        (engine, name)
        for engine in LABELED
        for name, layers in NETWORKS.items()
        if ENGINES[engine].trains(layers)
    ],
)


def at_step(step, job, engine):
    """The weights of a whole training, looked at while it runs."""
    made = make_engine(engine, [job])
    seen = {}

    def watch(now):
        if now.step == step:
            seen.update(made.weights()[0])

    train([job], made, watch=watch, interval_s=0)
    return seen


@every_engine_and_network
@pytest.mark.parametrize("k", [3, 13])
def test_k_steps_are_the_first_k_steps_of_the_dense_run(engine, network, k):
    job = dense_job(network, augment="flip-crop")
    early = trained(replace(job, last_step=k), engine)
    assert early.end.step == k
    assert_same_bits(early.weights, at_step(k, job, engine))


def test_an_early_end_at_step_0_is_theta0():
    job = dense_job("mlp")
    early = trained(replace(job, last_step=0))
    assert_same_bits(early.weights, job.start)
    assert early.curves["validation"].step.tolist() == [0]


def test_an_early_end_at_the_last_step_is_the_whole_training():
    job = dense_job("mlp")
    assert_same_bits(trained(replace(job, last_step=30)).weights, trained(job).weights)


def test_an_early_end_keeps_the_schedule_of_the_whole_training():
    job = dense_job("mlp")
    early = trained(replace(job, last_step=13))
    shorter = trained(dense_job("mlp", steps=13))
    assert (early.weights["fc1.weight"] != shorter.weights["fc1.weight"]).any()


def test_an_early_end_is_evaluated_on_the_grid_and_at_its_end():
    curves = trained(replace(dense_job("mlp"), last_step=13)).curves
    assert curves["validation"].step.tolist() == [0, 10, 13]
    assert curves["test"].step.tolist()[-1] == 13


@every_engine_and_network
def test_a_late_start_without_memory_or_mask_is_the_rest_of_the_dense_run(engine, network):
    """Data order, augmentation and schedule go on at k; SGD has nothing to forget."""
    job = dense_job(network, augment="flip-crop", **SGD)
    early = trained(replace(job, last_step=13), engine)
    late = trained(replace(job, start=early.weights, first_step=13), engine)
    assert_same_bits(late.weights, trained(job, engine).weights)


@every_engine_and_network
def test_a_late_start_has_a_fresh_optimizer_at_the_rate_of_its_step(engine, network):
    """Adam's first step moves a weight by the rate, whatever its gradient."""
    job = replace(dense_job(network), round=1)
    early = trained(replace(job, last_step=20), engine).weights
    late = replace(job, start=early, first_step=20, last_step=21)
    rate = learning_rate(job.settings, 20, job.total_steps)
    kernel = next(iter(job.mask))
    moved = np.abs(trained(late, engine).weights[kernel] - early[kernel])
    assert rate < 0.5 * job.settings.lr
    assert moved.max() == pytest.approx(rate, rel=1e-3)


def test_a_late_rewound_ticket_keeps_its_mask_to_the_end():
    job = dense_job("mlp")
    mask = {
        name: np.arange(kept.size).reshape(kept.shape) % 3 == 0
        for name, kept in job.mask.items()
    }
    early = trained(replace(job, last_step=10)).weights
    start = rewinding.start(early, mask)
    ticket = trained(replace(job, start=start, mask=mask, first_step=10, round=1))
    assert ticket.curves["validation"].step.tolist() == [10, 20, 30]
    for name, kept in mask.items():
        assert not ticket.weights[name][~kept].any()
        assert (ticket.weights[name][kept] != start[name][kept]).any()


def test_two_copies_of_a_start_differ_in_their_data_order_only():
    job = replace(dense_job("mlp"), first_step=10)
    one, again, other = (trained(replace(job, copy=copy)) for copy in ("a", "a", "b"))
    assert_same_bits(one.weights, again.weights)
    assert (one.weights["fc1.weight"] != other.weights["fc1.weight"]).any()
    first = one.curves["validation"].loss[0]
    assert first == other.curves["validation"].loss[0]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"last_step": 31}, "cannot train from step 0 to step 31: .* steps 0 to 30"),
        ({"last_step": -1}, "cannot train from step 0 to step -1"),
        ({"first_step": 9, "last_step": 8}, "cannot train from step 9 to step 8"),
        ({"first_step": 31}, "cannot train from step 31 to step 30"),
    ],
)
def test_steps_beyond_the_training_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        trained(replace(dense_job("mlp"), **steps))


def test_jobs_that_end_at_different_steps_cannot_share_an_engine():
    job = dense_job("mlp")
    jobs = [job, replace(job, last_step=3)]
    with pytest.raises(ValueError, match="the jobs of one engine differ"):
        train(jobs, make_engine("batched", jobs))
