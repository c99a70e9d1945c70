"""RigL and SET move a constant number of weights, as their papers say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.on_digits import MLP, SETTINGS, assert_same_bits, digits

from pipeline.core import masks, policies, seeding
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import kernels
from pipeline.core.policies import POLICIES, regrowing
from pipeline.core.policies.regrowing import rigl, share_dropped, steps
from pipeline.core.training.engine import Ability, Job
from pipeline.core.training.loop import train
from pipeline.core.training.mask_rules import Seen
from pipeline.core.training.results import pack, unpack
from pipeline.engines import ENGINES, make_engine, resolve

MOVING = [name for name, policy in POLICIES.items() if policy.revives]
ABLE = [name for name, record in ENGINES.items() if Ability.REGROW in record.abilities]
STEPS = 23


def rule_of(policy):
    sizes = {name: math.prod(tensor.shape) for name, tensor in kernels(MLP).items()}
    fractions = dict.fromkeys(sizes, 0.8)
    asked = Asked(criterion="random", fractions=fractions, scope="layerwise", rounds=1)
    return policies.rule(policy, asked, MLP)


def job_of(policy=None, density=0.2, seed=0, **settings):
    rng = np.random.default_rng(7)
    mask = {name: rng.random(t.shape) < density for name, t in kernels(MLP).items()}
    start = initial_weights(MLP, "kaiming-normal", seeding.generator(seed, "init"))
    return Job(
        network=MLP,
        start=masks.apply(start, mask),
        mask=mask,
        data=digits(),
        settings=replace(
            SETTINGS, steps=STEPS, evaluate_every=5, batch_size=20, **settings
        ),
        seed=seed,
        round=2,
        rule=rule_of(policy) if policy else None,
    )


def trained(engine, job, **watching):
    (result,) = train([job], make_engine(engine, [job]), **watching)
    return result


# The schedule


def test_masks_move_on_a_grid_until_three_quarters_of_the_training():
    assert steps(0, 50_000)[:2] == (100, 200)
    assert steps(0, 50_000)[-1] == 37_500
    assert steps(0, 1) == (0,)


def test_the_share_falls_along_a_cosine_and_sums_to_the_papers_churn():
    assert share_dropped(0, 0, 1000) == pytest.approx(0.3)
    assert share_dropped(375, 0, 1000) == pytest.approx(0.15)
    assert share_dropped(750, 0, 1000) == pytest.approx(0, abs=1e-12)
    shares = [share_dropped(100 * i, 0, 66_800) for i in range(502)]
    assert sum(shares) == pytest.approx(75.2, abs=0.2)


# A change of the mask


def test_rigl_grows_where_the_dense_gradient_peaks():
    mask = {"w": np.array([[True, False, False, False]])}
    weights = {"w": np.array([[0.5, 0, 0, 0]], np.float32)}
    gradients = {"w": np.array([[0.1, 0.2, -9.0, 1.0]], np.float32)}
    found = regrowing.Moving(mask, 0, 1_000, rigl.largest_gradients)
    moved = found._moved(
        Seen(step=1, weights=weights, gradients=lambda: gradients), "w", 1.0
    )
    assert moved.tolist() == [[False, False, True, False]]


def test_a_weight_that_is_dropped_can_stay():
    mask = {"w": np.array([True, True, False])}
    weights = {"w": np.array([0.1, 2.0, 0.0], np.float32)}
    gradients = {"w": np.array([5.0, 0.0, 1.0], np.float32)}
    found = regrowing.Moving(mask, 0, 1_000, rigl.largest_gradients)
    seen = Seen(step=1, weights=weights, gradients=lambda: gradients)
    assert found._moved(seen, "w", 0.5).tolist() == [True, True, False]


@pytest.mark.parametrize("density", [0.6, 0.9, 1.0])
def test_as_many_weights_go_whatever_the_density(density):
    """Those that were dropped may come back: so few others are no limit."""
    rng = np.random.default_rng(0)
    mask = np.arange(1_000) < 1_000 * density
    weights = np.where(mask, rng.normal(size=1_000), 0).astype(np.float32)
    slopes = rng.normal(size=1_000).astype(np.float32)
    kept = sorted(np.flatnonzero(mask), key=lambda at: abs(weights[at]))
    num = int(0.3 * len(kept))
    free = sorted(set(range(1_000)) - set(kept[num:]), key=lambda at: -abs(slopes[at]))
    expected = {*kept[num:], *free[:num]}

    found = regrowing.Moving({"w": mask}, 0, 1_000, rigl.largest_gradients)
    seen = Seen(step=1, weights={"w": weights}, gradients=lambda: {"w": slopes})
    assert set(np.flatnonzero(found._moved(seen, "w", 0.3))) == expected


def test_the_smallest_weights_go_and_the_later_of_equal_ones():
    weights = np.array([0.5, -0.1, 0.5, np.nan, 0.1], np.float32)
    found = regrowing.smallest(weights, np.arange(5), 3)
    assert found.tolist() == [3, 4, 1]


@pytest.mark.parametrize("policy", MOVING)
@pytest.mark.parametrize("engine", ABLE)
def test_counts_stay_per_tensor_and_weights_do_move(policy, engine):
    job = job_of(policy)
    result = trained(engine, job)
    assert masks.kept(result.mask) == masks.kept(job.mask)
    assert any((result.mask[name] != job.mask[name]).any() for name in job.mask)
    assert masks.revived(result.weights, result.mask) == []
    assert result.kept_steps == {n: STEPS * k for n, k in masks.kept(job.mask).items()}


@pytest.mark.parametrize("policy", MOVING)
def test_seeds_and_policies_move_apart_and_a_run_repeats(policy):
    found = [trained("reference", job_of(policy, seed=seed)) for seed in (0, 0, 1)]
    assert_same_bits(found[0].weights, found[1].weights)
    assert any((found[0].mask[n] != found[2].mask[n]).any() for n in found[0].mask)


def test_a_training_too_short_for_a_change_keeps_its_mask():
    job = job_of("rigl")
    schedule = replace(job.settings.schedule, warmup_steps=0)
    job = replace(job, settings=replace(job.settings, steps=1, schedule=schedule))
    result = trained("reference", job)
    assert all((result.mask[name] == job.mask[name]).all() for name in job.mask)
    plain = trained("reference", replace(job, rule=None))
    assert_same_bits(result.weights, plain.weights)


# Engines


@pytest.mark.parametrize("engine", ABLE)
def test_gradients_are_those_of_the_dense_network_with_zeros(engine):
    """A dense engine at the same weights has the same gradients for pruned weights."""
    job = job_of()
    whole = replace(job, mask={n: np.ones_like(k) for n, k in job.mask.items()})
    sparse, dense = make_engine(engine, [job]), make_engine("reference", [whole])
    (found,), (expected,) = sparse.gradients(), dense.gradients()
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-6)
        assert np.abs(found[name][~job.mask[name]]).max() > 0


@pytest.mark.parametrize("engine", ABLE)
def test_asking_for_gradients_changes_nothing(engine):
    job = job_of()
    asked, not_asked = (make_engine(engine, [job]) for _ in range(2))
    for made in (asked, not_asked):
        made.advance(3)
        if made is asked:
            made.gradients()
        made.advance(3)
    assert_same_bits(asked.weights()[0], not_asked.weights()[0])


@pytest.mark.parametrize("engine", ABLE)
@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}, {"optimizer": "adam", "lr": 2e-3}],
    ids=["momentum", "adam"],
)
def test_a_weight_comes_back_as_0_and_the_others_stay(engine, settings):
    job = job_of(**settings)
    other = {name: np.roll(kept, 3) for name, kept in job.mask.items()}
    made = make_engine(engine, [job])
    made.advance(5)
    before = made.weights()[0]
    made.restrict([other])
    after = made.weights()[0]
    for name, values in before.items():
        np.testing.assert_array_equal(
            after[name], np.where(other[name], values, 0) if name in other else values
        )
    made.advance(5)
    assert masks.revived(made.weights()[0], other) == []
    came = other["fc1.weight"] & ~job.mask["fc1.weight"]
    assert np.abs(made.weights()[0]["fc1.weight"][came]).max() > 0


@pytest.mark.parametrize("policy", MOVING)
@pytest.mark.parametrize("engine", [name for name in ABLE if name != "reference"])
def test_engines_agree_with_the_reference(policy, engine):
    job = job_of(policy, optimizer="adam", lr=2e-3)
    ours, theirs = trained(engine, job), trained("reference", job)
    for name, kept in theirs.mask.items():
        assert (ours.mask[name] == kept).mean() > 0.99, name
    for name, weight in theirs.weights.items():
        difference = np.linalg.norm(ours.weights[name] - weight)
        assert difference <= 0.02 * np.linalg.norm(weight), name


@pytest.mark.parametrize("policy", MOVING)
@pytest.mark.parametrize("engine", ABLE)
@pytest.mark.parametrize("stop", [2, 8, 17, 20])
def test_a_training_goes_on_from_any_step_bit_for_bit(policy, engine, stop):
    job = job_of(policy, optimizer="adam", lr=2e-3)
    whole = trained(engine, job)
    kept = []

    def watch(progress):
        if progress.step == stop:
            kept.append(unpack(pack(progress.snapshot())))

    trained(engine, job, watch=watch, interval_s=0)
    (result,) = train([job], make_engine(engine, [job]), resume=kept[0])
    assert_same_bits(result.weights, whole.weights)
    assert all((result.mask[n] == whole.mask[n]).all() for n in whole.mask)


def test_an_engine_that_cannot_regrow_is_refused_or_passed_over():
    assert resolve("auto", MLP, 0.2, "cpu", {Ability.REGROW}) == "sparse"
    assert resolve("auto", MLP, 0.9, "cpu", {Ability.REGROW}) == "reference"
    with pytest.raises(ValueError, match="engine dense cannot bring pruned weights back"):
        resolve("dense", MLP, 0.2, "cpu", {Ability.REGROW})
    job = job_of("rigl")
    with pytest.raises(ValueError, match="has no gradients of pruned weights"):
        train([job], make_engine("dense", [job]))
