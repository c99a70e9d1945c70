"""Gradual pruning prunes at the right steps to the right counts."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from helpers.on_digits import MLP, RESNET, SETTINGS, assert_same_bits, digits
from helpers.registries import LABELED

from pipeline.core import masks, seeding
from pipeline.core.batches import Split
from pipeline.core.counts import kept_counts
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Conv, Flatten, Linear, MaxPool, ReLU, parameters
from pipeline.core.policies.gradual import (
    MOST_PRUNINGS,
    Gradual,
    Pruning,
    counts_at,
    pruning_steps,
)
from pipeline.core.training.engine import Ability, Job
from pipeline.core.training.loop import train
from pipeline.core.training.mask_rules import Seen
from pipeline.core.training.results import pack, unpack
from pipeline.engines import ENGINES, make_engine, resolve

CONV = (
    Conv(name="conv1", inputs=1, outputs=3),
    ReLU(),
    Conv(name="conv2", inputs=3, outputs=4),
    ReLU(),
    MaxPool(),
    Flatten(),
    Linear(name="fc1", inputs=64, outputs=6),
    ReLU(),
    Linear(name="fc2", inputs=6, outputs=10, kind="output"),
)
NETWORKS = {"mlp": MLP, "conv": CONV, "resnet": RESNET}
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "lr": 0.05},
    "momentum": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "adam": {"optimizer": "adam", "lr": 2e-3},
}
STEPS = 23
every_engine_and_network = pytest.mark.parametrize(
    ("engine", "network"),
    [
        (engine, name)
        for engine, record in ENGINES.items()
        if Ability.CHANGE_MASK in record.abilities and engine in LABELED
        for name, network in NETWORKS.items()
        if record.trains(network)
    ],
)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def target_of(network, scope="layerwise", rounds=3):
    sizes = {
        name: int(np.prod(t.shape)) for name, t in parameters(network).items() if t.kind
    }
    return kept_counts(sizes, dict.fromkeys(sizes, 0.4), scope, rounds)[rounds]


@cache
def few_digits():
    """Enough of them to tell whether anything is trained."""
    whole = digits()

    def first(split, size):
        return Split(inputs=split.images[:size], labels=split.labels[:size])

    return replace(
        whole,
        train=first(whole.train, 130),
        validation=first(whole.validation, 30),
        test=first(whole.test, 40),
    )


def dense_job(network="mlp", **settings):
    layers = NETWORKS[network]
    tensors = parameters(layers)
    return Job(
        network=layers,
        start=initial_weights(layers, "kaiming-normal", seeding.generator(0, "init")),
        mask=masks.dense(tensors, [n for n, t in tensors.items() if t.kind]),
        data=few_digits(),
        settings=replace(
            SETTINGS, steps=STEPS, evaluate_every=5, batch_size=20, **settings
        ),
        seed=0,
        round=2,
    )


def smaller_mask(network):
    rng = seeding.generator(0, "mask_sample")
    mask = dense_job(network).mask
    return {name: rng.random(kept.shape) < 0.4 for name, kept in mask.items()}


def gradual_job(network="mlp", scope="layerwise", **settings):
    job = dense_job(network, **settings)
    gradual = Gradual(counted=tuple(job.mask), target=target_of(job.network, scope))
    return replace(job, rule=gradual)


def trained(engine, job, **watching):
    (result,) = train([job], make_engine(engine, [job]), **watching)
    return result


# The schedule


def test_pruning_fills_the_middle_half_of_a_training():
    steps = pruning_steps(0, 1000)
    assert len(steps) == MOST_PRUNINGS
    assert (steps[0], steps[-1]) == (255, 750)
    assert {b - a for a, b in pairwise(steps)} == {5}
    assert pruning_steps(40, 1040) == tuple(step + 40 for step in steps)


@pytest.mark.parametrize("num_steps", range(1, 400, 7))
def test_pruning_ends_before_the_training_does_and_happens_once_a_step(num_steps):
    steps = pruning_steps(0, num_steps)
    assert 0 <= steps[0] <= steps[-1] < num_steps
    assert all(a < b for a, b in pairwise(steps))


def test_the_counts_fall_by_the_cubic_of_zhu_and_gupta():
    sizes, target = {"a": 1000, "b": 10}, {"a": 200, "b": 10}
    counts = [counts_at(sizes, target, i, 8)["a"] for i in range(1, 9)]
    # s_t = s_f - s_f (1 - t/8)^3 with s_f = .8, by hand
    assert counts == [736, 538, 395, 300, 242, 212, 202, 200]
    assert counts_at(sizes, target, 1, 8)["b"] == 10


def test_half_a_weight_is_rounded_to_even():
    assert counts_at({"a": 4}, {"a": 0}, 1, 2) == {"a": 0}  # 0.5
    assert counts_at({"a": 12}, {"a": 0}, 1, 2) == {"a": 2}  # 1.5


def test_the_smallest_weights_are_pruned_and_the_last_of_equal_ones():
    pruning = Pruning({"a": 2}, {"a": np.ones(4, bool)}, 0, (5,))
    weights = {"a": np.array([0.5, -2.0, 0.5, 0.5], np.float32)}
    pruning.change(Seen(step=5, weights=weights))
    assert pruning.mask["a"].tolist() == [True, True, False, False]


def test_steps_are_counted_with_the_weights_they_had():
    pruning = Pruning({"a": 1}, {"a": np.ones(4, bool)}, 2, (5, 7))
    weights = {"a": np.array([1, 2, 3, 4], np.float32)}
    pruning.change(Seen(step=5, weights=weights))
    assert masks.kept(pruning.mask) == {"a": 1}
    assert pruning.kept_steps(5) == {"a": 3 * 4}
    pruning.change(Seen(step=7, weights=weights))
    assert pruning.kept_steps(9) == {"a": 3 * 4 + 4 * 1}


# Engines


@every_engine_and_network
@every_optimizer
def test_restricting_sets_weights_and_their_memory_to_0(engine, network, optimizer):
    job = dense_job(network, **OPTIMIZERS[optimizer])
    smaller = smaller_mask(network)
    made = make_engine(engine, [job])
    made.advance(5)
    before = made.state()
    made.restrict([smaller])
    for path, array in made.state().items():
        kept = smaller.get(path.split("/", maxsplit=1)[1])
        if kept is None or array.shape != kept.shape:
            np.testing.assert_array_equal(array, before[path])
        else:
            np.testing.assert_array_equal(array, np.where(kept, before[path], 0))
    made.advance(5)
    assert masks.revived(made.weights()[0], smaller) == []


@every_engine_and_network
def test_a_restricted_engine_agrees_with_the_reference(engine, network):
    job, smaller = dense_job(network), smaller_mask(network)
    ours, theirs = make_engine(engine, [job]), make_engine("reference", [job])
    for made in (ours, theirs):
        made.advance(10)
        made.restrict([smaller])
        made.advance(10)
    for name, weight in theirs.weights()[0].items():
        difference = np.linalg.norm(ours.weights()[0][name] - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


# Trainings


@every_engine_and_network
@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_a_training_ends_with_the_counts_it_was_given(engine, network, scope):
    job = gradual_job(network, scope)
    result = trained(engine, job)
    kept = masks.kept(result.mask)
    pools = job.rule.target
    assert (kept if scope == "layerwise" else {"global": sum(kept.values())}) == pools
    assert masks.revived(result.weights, result.mask) == []


def test_masks_are_nested_and_exact_at_every_step():
    job = gradual_job()
    seen = {}

    def watch(now):
        lane = now.snapshot().lanes[0]
        seen[now.step] = {n: lane.living[f"mask/{n}"] for n in job.mask}

    trained("reference", job, watch=watch, interval_s=0)
    sizes = masks.kept(job.mask)
    steps = pruning_steps(0, STEPS)
    for step, mask in seen.items():
        done = sum(pruning <= step for pruning in steps)
        expected = counts_at(sizes, job.rule.target, done, len(steps))
        assert masks.kept(mask) == expected
        assert masks.is_nested(mask, seen.get(step - 1, job.mask))
    assert len(seen) == STEPS


@every_engine_and_network
@every_optimizer
@pytest.mark.parametrize("step", [3, 8, 17])
def test_a_training_goes_on_from_any_step_bit_for_bit(engine, network, optimizer, step):
    job = gradual_job(network, "global", **OPTIMIZERS[optimizer])
    kept = []
    whole = trained(
        engine,
        job,
        watch=lambda now: kept.append(pack(now.snapshot())) if now.step == step else None,
        interval_s=0,
    )
    resumed = trained(engine, job, resume=unpack(kept[0]))
    for one, other in (
        (whole, resumed),
        (whole, trained(engine, job, interval_s=1000)),
    ):
        assert_same_bits(one.weights, other.weights)
        assert_same_bits(one.mask, other.mask)
        assert one.early_stop == other.early_stop
        assert one.kept_steps == other.kept_steps


def test_a_training_without_pruning_has_a_mask_that_stays():
    job = gradual_job()
    result = trained("reference", replace(job, rule=None))
    assert result.kept_steps is None
    assert_same_bits(result.mask, job.mask)


def test_the_early_stop_is_sought_where_the_mask_is_final():
    job = gradual_job(optimizer="sgd", lr=1e-30, test_cadence="improved")
    result = trained("reference", job)  # nothing learns: only pruning changes the loss
    final = pruning_steps(0, STEPS)[-1]
    assert final == 17
    assert result.early_stop.step == 20  # the first evaluation at the final mask
    assert result.curves["test"].step.tolist() == [20, 23]
    curve = result.curves["validation"]
    assert curve.step.tolist() == [0, 5, 10, 15, 20, 23]


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_the_shortest_trainings_are_pruned_to_the_target_too(num_steps):
    job = gradual_job()
    constant = replace(job.settings.schedule, name="constant", warmup_steps=0)
    settings = replace(job.settings, schedule=constant, steps=num_steps, evaluate_every=1)
    result = trained("reference", replace(job, settings=settings))
    assert masks.kept(result.mask) == job.rule.target
    assert result.early_stop.step >= pruning_steps(0, num_steps)[-1]


@pytest.mark.parametrize("step", [0, 10])
def test_a_network_that_diverges_is_pruned_to_the_target_where_it_stops(step):
    job = gradual_job()
    weights = {n: w * np.float32(np.nan) for n, w in job.start.items()}
    if step:
        job, weights = gradual_job(optimizer="sgd", lr=1e30), job.start
    result = trained("reference", replace(job, start=weights))
    assert result.diverged
    assert result.end.step < pruning_steps(0, STEPS)[-1]
    assert result.early_stop.step == result.end.step
    assert masks.kept(result.mask) == job.rule.target
    assert masks.revived(result.weights, result.mask) == []


@pytest.mark.parametrize("engine", ["batched"])
def test_an_engine_that_keeps_its_masks_refuses_before_it_trains(engine):
    with pytest.raises(ValueError, match="cannot change masks while it trains; give train"):
        trained(engine, gradual_job())


def test_auto_chooses_an_engine_that_can_prune():
    for name, network in NETWORKS.items():
        for device in ("cpu", "cuda"):
            found = resolve("auto", network, 1.0, device, {Ability.CHANGE_MASK})
            assert Ability.CHANGE_MASK in ENGINES[found].abilities
            assert device == "cpu" or found == "reference"
            assert ENGINES[found].trains(network), name
    with pytest.raises(ValueError, match="engine sparse cannot change its mask while it"):
        resolve("sparse", NETWORKS["mlp"], 1.0, "cpu", {Ability.CHANGE_MASK})
