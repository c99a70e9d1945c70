"""The line between two networks; positive controls show that a barrier is found."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from helpers.on_digits import MLP, RESNET, assert_same_bits, dense_job, digits, trained

from pipeline.core.analysis.evaluation import evaluator, recalibrator
from pipeline.core.analysis.interpolation import (
    STABLE_BELOW,
    along_line,
    error_barrier,
    evenly_spaced,
    interpolate,
)
from pipeline.core.batches import BatchOrder, prepared
from pipeline.core.models.layers import BatchNorm
from pipeline.core.training.engine import Evaluation
from pipeline.engines.reference import make

SHORT = {"steps": 200, "evaluate_every": 100}


def one_weight(value):
    return {"fc1.weight": np.array([value], np.float32)}


def hill(weights):
    """Error 0 at -1 and 1, and 1 - w² between them."""
    height = 1 - float(weights["fc1.weight"][0]) ** 2
    return Evaluation(loss=10 * height, accuracy=1 - height)


def test_every_tensor_is_interpolated_running_statistics_included():
    a = {"norm.running_var": np.array([1.0, 8.0], np.float32)} | one_weight(0)
    b = {"norm.running_var": np.array([5.0, 4.0], np.float32)} | one_weight(2)
    between = interpolate(a, b, 0.25)
    assert between["norm.running_var"].tolist() == [2.0, 7.0]
    assert between["fc1.weight"].tolist() == [0.5]
    assert between["fc1.weight"].dtype == np.float32


def test_the_ends_are_the_networks_bit_for_bit():
    a, b = (dense_job("resnet", seed=seed).start for seed in (0, 1))
    assert_same_bits(interpolate(a, b, 0.0), a)
    assert_same_bits(interpolate(a, b, 1.0), b)


@pytest.mark.parametrize("alpha", evenly_spaced(30))
def test_between_equal_networks_lies_the_same_network(alpha):
    a = dense_job("mlp").start
    assert_same_bits(interpolate(a, a, alpha), a)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_minus_infinity_in_both_stays(alpha):
    mask = {"mask": np.array([0, -np.inf], np.float32)}
    between = interpolate(one_weight(0) | mask, one_weight(2) | mask, alpha)
    assert between["mask"].tolist() == [0, -np.inf]
    assert between["fc1.weight"].tolist() == [2 * alpha]


def test_networks_of_different_shapes_have_no_line():
    with pytest.raises(ValueError, match="no line between different networks"):
        interpolate(one_weight(0), {"fc1.weight": np.zeros(2, np.float32)}, 0.5)


@pytest.mark.parametrize("num_points", [2, 3, 5, 30])
def test_the_points_are_evenly_spaced_and_mirrored_exactly(num_points):
    alphas = evenly_spaced(num_points)
    assert alphas == pytest.approx(np.linspace(0, 1, num_points), abs=1e-15)
    assert (1 - alphas == alphas[::-1]).all()


def test_a_line_shows_error_and_loss_at_each_point():
    line = along_line(one_weight(-1), one_weight(1), hill, num_points=5)
    assert line.alpha.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert line.error.tolist() == [0, 0.75, 1, 0.75, 0]
    assert line.loss.tolist() == [0, 7.5, 10, 7.5, 0]


def test_a_line_has_30_points_as_in_the_paper():
    assert len(along_line(one_weight(-1), one_weight(1), hill).alpha) == 30


def test_the_barrier_is_the_highest_error_minus_the_mean_of_the_ends():
    assert error_barrier(np.array([0.25, 0.75, 0.5, 0.5])) == 0.375


def test_the_barrier_of_a_monotone_line_is_half_the_difference_of_its_ends():
    assert error_barrier(np.array([0.0, 0.25, 0.5])) == 0.25


def test_a_valley_between_equal_ends_is_no_barrier():
    assert error_barrier(np.array([0.5, 0.25, 0.5])) == 0


def test_a_diverged_network_has_no_error_and_no_barrier():
    line = along_line(one_weight(math.nan), one_weight(1), hill, num_points=3)
    assert np.isnan(line.error).all()
    assert math.isnan(error_barrier(line.error))


def test_the_barrier_between_equal_networks_is_0():
    a = dense_job("mlp").start
    line = along_line(a, a, evaluator(MLP, digits(), digits().test))
    assert error_barrier(line.error) == 0
    assert error_barrier(line.loss) == 0


def test_the_way_back_shows_the_same_line():
    a, b = (dense_job("mlp", seed=seed).start for seed in (0, 1))
    evaluate = evaluator(MLP, digits(), digits().test)
    there, back = along_line(a, b, evaluate), along_line(b, a, evaluate)
    assert there.error.tolist() == back.error.tolist()[::-1]
    assert there.loss.tolist() == back.loss.tolist()[::-1]
    assert error_barrier(there.error) == error_barrier(back.error)


@pytest.mark.parametrize("network", ["mlp", "resnet"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_evaluation_agrees_with_that_of_the_reference_engine(network, split):
    job = dense_job(network)
    engine = make([job])
    engine.advance(5)
    evaluate = evaluator(job.network, digits(), getattr(digits(), split))
    (expected,) = engine.evaluate(split)
    found = evaluate(engine.weights()[0])
    assert found.accuracy == expected.accuracy
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)


def barrier(network, a, b):
    evaluate = evaluator(network, digits(), digits().test)
    return error_barrier(along_line(a, b, evaluate).error)


def copies(job):
    """Two trainings of one start that differ in their data order only."""
    return [trained(replace(job, copy=copy)).weights for copy in ("a", "b")]


def test_two_initializations_are_separated_by_a_barrier():
    a, b = (trained(dense_job("mlp", seed=seed, **SHORT)).weights for seed in (0, 1))
    assert barrier(MLP, a, b) > 5 * STABLE_BELOW


def test_copies_of_a_late_start_are_not():
    """The rate falls: else the ends differ, and half of that counts as barrier."""
    job = dense_job("mlp", **SHORT)
    early = trained(replace(job, last_step=150)).weights
    a, b = copies(replace(job, start=early, first_step=150))
    assert (a["fc1.weight"] != b["fc1.weight"]).any()
    assert abs(barrier(MLP, a, b)) < STABLE_BELOW / 4


@cache
def resnet_pair():
    """Two initializations of a network with batch norm."""
    settings = SHORT | {"steps": 120, "lr": 0.01}
    return [trained(dense_job("resnet", seed=seed, **settings)).weights for seed in (0, 1)]


def training_batches(num_batches):
    order = BatchOrder(1000, 50, seed=0, round=0, copy="recalibration")
    return order.indices(0, num_batches)


def test_a_batch_norm_network_has_a_barrier_with_either_statistics():
    a, b = resnet_pair()
    evaluate = evaluator(RESNET, digits(), digits().test)
    recalibrate = recalibrator(RESNET, digits(), training_batches(5))
    interpolated = along_line(a, b, evaluate, num_points=5)
    recalibrated = along_line(a, b, lambda w: evaluate(recalibrate(w)), num_points=5)
    assert error_barrier(interpolated.error) > 5 * STABLE_BELOW
    assert error_barrier(recalibrated.error) > 5 * STABLE_BELOW
    assert error_barrier(recalibrated.error) < error_barrier(interpolated.error)


def test_recalibrated_statistics_are_the_average_of_those_of_the_batches():
    """Checked at the first norm, by torch's own module with a cumulative average."""
    job = dense_job("resnet")
    batches = training_batches(4)
    found = recalibrator(RESNET, digits(), batches)(job.start)
    norm = torch.nn.BatchNorm2d(8, momentum=None)
    kernel = torch.tensor(job.start["conv.weight"])
    for examples in batches:
        images = digits().train.images[examples]
        images = prepared(images, digits().images)
        norm(torch.nn.functional.conv2d(torch.tensor(images), kernel, padding=1))
    mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
    assert found["norm.running_mean"] == pytest.approx(mean, abs=1e-5)
    assert found["norm.running_var"] == pytest.approx(variance, rel=1e-5)


def test_recalibration_changes_running_statistics_only():
    a, _ = resnet_pair()
    before = {name: weight.copy() for name, weight in a.items()}
    found = recalibrator(RESNET, digits(), training_batches(2))(a)
    assert_same_bits(a, before)
    assert list(found) == list(a)
    running = {name for name in a if "running" in name}
    assert {name for name in a if (found[name] != a[name]).any()} == running


def test_recalibration_does_not_look_at_the_statistics_there_were():
    a, _ = resnet_pair()
    names = [
        f"{layer.name}.running_var" for layer in RESNET if isinstance(layer, BatchNorm)
    ]
    recalibrate = recalibrator(RESNET, digits(), training_batches(2))
    assert_same_bits(recalibrate(a | {name: 9 * a[name] for name in names}), recalibrate(a))


def test_without_batch_norm_recalibration_changes_nothing():
    start = dense_job("mlp").start
    assert_same_bits(recalibrator(MLP, digits(), training_batches(2))(start), start)
