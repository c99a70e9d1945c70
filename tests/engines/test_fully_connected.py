"""Compiled training of fully connected networks agrees with numpy and the reference.

What every engine promises is in test_contract.py.
"""

from dataclasses import replace

import numpy as np
import pytest
from helpers.covers import covered
from helpers.fully_connected import (
    SHAPES,
    blank_pixels,
    logits_and_activations,
    make_job,
    mostly_blank,
    narrow_and_wide,
    one_sgd_step,
    only,
)
from helpers.statistics import normalized_by

from pipeline.engines import make_engine
from pipeline.engines.sparse import engine as sparse

ENGINES = ("dense", "sparse")


@pytest.fixture(params=ENGINES)
def engine_name(request):
    return request.param


@pytest.fixture(params=["dense", "sparse tiles", "sparse blocks"])
def evaluating(request, monkeypatch):
    """The engine's name; the sparse one evaluates in one of its two ways."""
    monkeypatch.setattr(sparse, "are_few", lambda *_: request.param.endswith("tiles"))
    return request.param.split()[0]


def assert_equal_in_norm(ours, reference):
    for name, weight in reference.weights()[0].items():
        difference = np.linalg.norm(ours.weights()[0][name] - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


@pytest.mark.parametrize(
    ("engine_name", "shape", "batch_size", "density"),
    covered(ENGINES, SHAPES, [1, 5, 16, 17, 40, 64, 100], [1.0, 0.3, 0.05]),
)
def test_one_step_is_that_of_numpy(engine_name, shape, batch_size, density):
    job = make_job(shape, density, batch_size=batch_size)
    engine = make_engine(engine_name, [job])
    engine.advance(1)
    (weights,) = engine.weights()
    for name, expected in one_sgd_step(job).items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fc1.weight", "fc2.weight", "fc3.weight"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_layer_may_keep_nothing(engine_name, name, optimizer):
    job = only(name, make_job(optimizer=optimizer, lr=0.01, weight_decay=0.1))
    ours, reference = (make_engine(name, [job]) for name in (engine_name, "reference"))
    for engine in (ours, reference):
        engine.advance(20)
    for tensor, weight in reference.weights()[0].items():
        np.testing.assert_allclose(ours.weights()[0][tensor], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("density", [1.0, 0.3, 0.1])
@pytest.mark.parametrize("shape", ["odd", "three channels", "one layer"])
def test_50_steps_agree_with_the_reference(engine_name, shape, density):
    job = make_job(shape, density, optimizer="adam", lr=1e-3, batch_size=40)
    ours, reference = (make_engine(name, [job]) for name in (engine_name, "reference"))
    for engine in (ours, reference):
        engine.advance(50)
    assert_equal_in_norm(ours, reference)


@pytest.mark.parametrize(
    ("engine_name", "shape", "batch_size", "density"),
    covered(ENGINES, SHAPES, [5, 64, 100], [1.0, 0.3, 0.05]),
)
def test_one_step_on_mostly_blank_images_is_that_of_numpy(
    engine_name, shape, batch_size, density
):
    job = mostly_blank(make_job(shape, density, batch_size=batch_size))
    engine = make_engine(engine_name, [job])
    engine.advance(1)
    (weights,) = engine.weights()
    for name, expected in one_sgd_step(job).items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "lr": 1e-3},
        {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.1},
        {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-3},
        {"optimizer": "sgd", "lr": 0.01, "augment": "flip-crop"},
    ],
)
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize("batch_size", [1, 40, 100])
def test_50_steps_on_mostly_blank_images_agree_with_the_reference(
    engine_name, settings, density, batch_size
):
    job = make_job("three channels", density, batch_size=batch_size, **settings)
    job = mostly_blank(job)
    ours, reference = (make_engine(name, [job]) for name in (engine_name, "reference"))
    for engine in (ours, reference):
        engine.advance(50)
    assert_equal_in_norm(ours, reference)
    for split in ("train", "validation"):
        (found,), (expected,) = (x.evaluate(split) for x in (ours, reference))
        assert found.loss == pytest.approx(expected.loss, rel=1e-4)


@pytest.mark.parametrize("density", [0.4, 0.02])
@pytest.mark.parametrize("shape", ["three channels", "several blocks"])
def test_evaluation_is_that_of_numpy(evaluating, shape, density):
    job = make_job(shape, density)
    validation = job.data.validation
    _, activations = logits_and_activations(job, job.start, validation.images)
    logits = activations[-1]
    log_sums = np.log(np.exp(logits).sum(axis=1))
    losses = log_sums - logits[np.arange(37), validation.labels]
    (found,) = make_engine(evaluating, [job]).evaluate("validation")
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert found.accuracy == (logits.argmax(axis=1) == validation.labels).mean()


@pytest.mark.parametrize("density", [1.0, 0.4, 0.02])
@pytest.mark.parametrize("shape", ["three channels", "several blocks"])
@pytest.mark.parametrize("size", [1, 1024, 1500])
def test_evaluation_in_groups_is_that_of_numpy(evaluating, shape, density, size):
    job = narrow_and_wide(make_job(shape, density), size)
    validation = job.data.validation
    engine = make_engine(evaluating, [job])
    engine.advance(1)
    (weights,) = engine.weights()
    _, activations = logits_and_activations(job, weights, validation.images)
    logits = activations[-1]
    losses = np.log(np.exp(logits).sum(axis=1))
    losses -= logits[np.arange(size), validation.labels]
    (found,) = engine.evaluate("validation")
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert found.accuracy == (logits.argmax(axis=1) == validation.labels).mean()


@pytest.mark.parametrize("nothing_in", ["no layer", "fc1.weight", "fc2.weight"])
@pytest.mark.parametrize("first", [0, 1, 25])
def test_pixels_that_are_always_0_count_as_in_the_reference(evaluating, first, nothing_in):
    job = blank_pixels(make_job("three channels"), first)
    job = job if nothing_in == "no layer" else only(nothing_in, job)
    ours, reference = (make_engine(name, [job]) for name in (evaluating, "reference"))
    for engine in (ours, reference):
        engine.advance(3)
    (found,), (expected,) = (engine.evaluate("validation") for engine in (ours, reference))
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.accuracy == expected.accuracy


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_a_bad_weight_on_a_pixel_that_is_always_0_shows_in_the_loss(evaluating, mean):
    job = blank_pixels(make_job("odd", density=1.0), 0)
    broken = job.start["fc1.weight"].copy()
    broken.flat[0] = np.nan
    data = normalized_by(job.data, mean=(mean,))
    job = replace(job, data=data, start=job.start | {"fc1.weight": broken})
    assert np.isnan(make_engine(evaluating, [job]).evaluate("validation")[0].loss)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_a_bad_weight_on_a_pixel_that_training_never_lights_up_shows(
    evaluating, mean, split
):
    job = mostly_blank(make_job("odd", density=1.0))
    broken = job.start["fc1.weight"].copy()
    broken[0, -1] = np.nan
    start = job.start | {"fc1.weight": broken}
    job = replace(job, data=normalized_by(job.data, mean=(mean,)), start=start)
    engine = make_engine(evaluating, [job])
    assert np.isnan(engine.evaluate(split)[0].loss)
    engine.advance(1)
    assert np.isnan(engine.weights()[0]["fc3.bias"]).all()


@pytest.mark.parametrize("shape", ["odd", "three channels", "one layer", "tiny"])
@pytest.mark.parametrize("batch_size", [1, 40, 100])
def test_training_images_may_be_0_everywhere(evaluating, shape, batch_size):
    job = make_job(shape, density=1.0, batch_size=batch_size)
    blank = replace(job.data.train, inputs=0 * job.data.train.images)
    job = replace(job, data=replace(job.data, train=blank))
    ours, reference = (make_engine(name, [job]) for name in (evaluating, "reference"))
    for engine in (ours, reference):
        engine.advance(3)
    for name, weight in reference.weights()[0].items():
        np.testing.assert_allclose(ours.weights()[0][name], weight, rtol=1e-4, atol=1e-5)
    for split in ("train", "validation"):
        (found,), (expected,) = (x.evaluate(split) for x in (ours, reference))
        assert found.loss == pytest.approx(expected.loss, rel=1e-4)


def test_evaluating_changes_nothing_of_what_follows(evaluating):
    job = narrow_and_wide(mostly_blank(make_job("three channels", batch_size=40)), 300)
    watched, alone = (make_engine(evaluating, [job]) for _ in "ab")
    for _ in range(3):
        watched.advance(2)
        for split in ("train", "validation"):
            watched.evaluate(split)
    alone.advance(6)
    for name, weight in alone.weights()[0].items():
        assert np.array_equal(watched.weights()[0][name], weight)
    assert watched.evaluate("train") == alone.evaluate("train")


def test_of_equal_logits_the_first_is_the_answer(evaluating):
    job = make_job("one layer", density=0.0)
    job = replace(job, start=job.start | {"fc1.bias": np.float32([0, 2, 1, 2, 2])})
    (found,) = make_engine(evaluating, [job]).evaluate("validation")
    assert found.accuracy == (job.data.validation.labels == 1).mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["fc1.weight", "fc2.bias", "fc3.weight"])
def test_one_bad_weight_shows_in_the_loss(evaluating, name, bad):
    job = make_job(density=1.0)
    broken = job.start[name].copy()
    broken.flat[0] = bad
    engine = make_engine(evaluating, [replace(job, start=job.start | {name: broken})])
    assert not np.isfinite(engine.evaluate("validation")[0].loss)
    engine.advance(1)
    assert np.isnan(engine.evaluate("validation")[0].loss)


@pytest.mark.parametrize(("optimizer", "momentum"), [("sgd", 0.5), ("adam", 0.0)])
def test_a_batch_of_several_blocks_moves_the_weights_once(engine_name, optimizer, momentum):
    settings = {"optimizer": optimizer, "momentum": momentum, "lr": 0.01}
    job = make_job("odd", batch_size=130, **settings)
    ours, reference = (make_engine(name, [job]) for name in (engine_name, "reference"))
    for engine in (ours, reference):
        engine.advance(5)
    assert_equal_in_norm(ours, reference)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_pruned_weights_stay_0_when_all_others_diverge(engine_name, optimizer):
    decay = {"weight_decay": 1e8} if optimizer == "adamw" else {}
    job = make_job(batch_size=40, optimizer=optimizer, lr=1e30, **decay)
    engine = make_engine(engine_name, [job])
    engine.advance(5)
    (weights,) = engine.weights()
    assert all((weights[name][~kept] == 0).all() for name, kept in job.mask.items())
    assert np.isnan(engine.evaluate("validation")[0].loss)
