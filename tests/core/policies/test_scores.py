"""Policies that train scores: their laws, and their gradients against plain autograd."""

import copy
import dataclasses
from dataclasses import replace
from math import prod, sqrt

import numpy as np
import pytest
import torch
from helpers.on_digits import MLP, SETTINGS, assert_same_bits, digits

from pipeline.core import counts, masks, policies, pruning, seeding
from pipeline.core.batches import prepared
from pipeline.core.cuts.asked import Asked
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import kernels, parameters
from pipeline.core.policies import POLICIES, biprop, signed_supermask, supermask
from pipeline.core.top_scores import TopScores
from pipeline.core.training.engine import Ability, Job
from pipeline.core.training.loop import train
from pipeline.core.training.mask_rules import first_mask
from pipeline.core.training.results import pack, unpack
from pipeline.core.training.score_passes import DRAWS, PLAIN, Passes
from pipeline.core.training.score_rules import act, moment
from pipeline.core.training.settings import Schedule
from pipeline.engines import ENGINES, make_engine, resolve
from pipeline.engines.reference.compiled_passes import COMPILED, UNIT

SCORED = [name for name, policy in POLICIES.items() if policy.trains_scores]
COUNTED = [name for name in SCORED if POLICIES[name].asks_for_counts]
STEPS = 23
SIZES = {name: prod(tensor.shape) for name, tensor in kernels(MLP).items()}
LAST = moment(STEPS, 0, STEPS, seed=0, round=1)


def asked(scope="layerwise", rounds=1, fraction=0.7):
    return Asked(
        criterion="",
        fractions=dict.fromkeys(SIZES, fraction),
        scope=scope,
        rounds=rounds,
    )


def rule_of(policy, scope="layerwise", fraction=0.7):
    wants = asked(scope, fraction=fraction) if POLICIES[policy].asks_for_counts else None
    return policies.score_rule(policy, wants, MLP)


def start():
    return initial_weights(MLP, "kaiming-normal", seeding.generator(0, "init"))


def scores_of(rule, scale=1.0):
    rng = np.random.default_rng(3)
    return {
        name: (scale * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in rule.shapes.items()
    }


def job_of(policy, scope="layerwise", begin=None, **settings):
    rule = rule_of(policy, scope)
    changes = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9} | settings
    return Job(
        network=MLP,
        start=begin or start(),
        mask=first_mask(MLP, rule),
        data=digits(),
        settings=replace(SETTINGS, steps=STEPS, evaluate_every=5, batch_size=20, **changes),
        seed=0,
        round=1,
        score_rule=rule,
    )


def trained(policy, *, scope="layerwise", begin=None, watching=None, **settings):
    job = job_of(policy, scope, begin, **settings)
    (result,) = train([job], make_engine("reference", [job]), **(watching or {}))
    return result


# What each policy promises


@pytest.mark.parametrize("policy", SCORED)
def test_weights_act_where_the_mask_keeps_them_and_are_zero_elsewhere(policy):
    rule = rule_of(policy)
    acting, mask = act(rule, start(), scores_of(rule), LAST)
    assert set(acting) == set(mask) == set(rule.counted) == set(SIZES)
    for name, kept in mask.items():
        assert (acting[name][kept] != 0).all()
        assert acting[name][~kept].tobytes() == bytes(4 * np.count_nonzero(~kept))


@pytest.mark.parametrize("policy", COUNTED)
@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_exactly_as_many_weights_act_as_are_asked_for(policy, scope):
    rule = rule_of(policy, scope)
    _, mask = act(rule, start(), scores_of(rule), LAST)
    wanted = asked(scope).counts(SIZES)
    assert counts.in_pools(masks.kept(mask), wanted) == wanted


@pytest.mark.parametrize("policy", COUNTED)
@pytest.mark.parametrize("values", [0.0, np.nan])
def test_equal_scores_and_no_numbers_keep_the_exact_count_too(policy, values):
    rule = rule_of(policy)
    scores = {n: np.full(s, values, np.float32) for n, s in rule.shapes.items()}
    _, mask = act(rule, start(), scores, LAST)
    assert masks.kept(mask) == asked().counts(SIZES)


def test_the_highest_scores_are_those_of_prune_to():
    rng = np.random.default_rng(0)
    shapes = {"a": (5, 7), "b": (40,), "c": (3, 3)}
    dense = {name: np.ones(shape, bool) for name, shape in shapes.items()}
    for wanted in ({"a": 0, "b": 40, "c": 4}, {"global": 11}, {"b": 3, "global": 20}):
        top = TopScores(shapes, wanted)
        before = {name: np.zeros(shape, bool) for name, shape in shapes.items()}
        for most in (6, 6, 10**6, 10**6):  # few integers, so that many are equal
            scores = {
                n: rng.integers(-most, most, s).astype(np.float32)
                for n, s in shapes.items()
            }
            changed = top.keep(scores, wanted)
            sizes = {name: np.abs(values) for name, values in scores.items()}
            found = pruning.prune_to(sizes, dense, wanted)
            assert top.numbers == masks.kept(found)
            for name, kept in top.mask.items():
                assert (kept == found[name]).all()
                assert (np.flatnonzero(kept != before[name]) == changed[name]).all()
                before[name] = kept.copy()


def test_scores_that_move_a_little_are_ranked_from_those_in_doubt_alone(monkeypatch):
    rng, size = np.random.default_rng(0), 4000
    top = TopScores({"a": (size,)}, {"a": 1200})
    scores = {"a": rng.standard_normal(size).astype(np.float32)}
    top.keep(scores, {"a": 1200})
    monkeypatch.setattr(pruning, "top", None)  # what ranks all of them
    drift = rng.standard_normal(size).astype(np.float32)
    for _ in range(200):
        scores["a"] += np.float32(1e-4) * drift
        top.keep(scores, {"a": 1200})
        assert (
            np.abs(scores["a"][top.mask["a"]]).min()
            > np.abs(scores["a"][~top.mask["a"]]).max()
        )
        assert np.count_nonzero(top.mask["a"]) == 1200


SPECIAL = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1.0, -1.0, 1e-40]


def floats(rng, size=999):
    found = rng.standard_normal(size).astype(np.float32)
    found[: len(SPECIAL)] = SPECIAL
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Passes)])
def test_compiled_passes_make_the_same_bits(name):
    rng = np.random.default_rng(0)
    kept, signs = rng.random(999) < 0.5, rng.integers(-1, 2, 999).astype(np.int8)
    drawn = rng.integers(0, 2**16, 999).astype(np.uint16)
    drawn[:4] = 0, 2**16 - 1, 0, 2**16 - 1
    chances = np.tanh(floats(rng))
    chances[:4] = -1, 1, 1, -1
    zero, half, one = np.float32([0, 0.5, 1])
    arguments = {
        "in_doubt": (floats(rng), half, one, kept, np.zeros(999, np.intp)),
        "times_sign": (floats(rng)[::-1].copy(), floats(rng), floats(rng)),
        "draw": (chances, drawn, signs.astype(np.float32), kept, floats(rng)),
        "times_slope": (floats(rng), floats(rng)[::-1].copy(), chances, zero, half),
        "turn": (floats(rng), floats(rng)[::-1].copy(), half, kept, floats(rng)),
        "spread": (signs, half, floats(rng)),
    }[name]
    results = []
    for passes in (PLAIN, COMPILED):
        mine = copy.deepcopy(arguments)
        number = getattr(passes, name)(*mine)
        arrays = [array for array in mine if isinstance(array, np.ndarray)]
        for array in [one for one in arrays if one.dtype == np.float32]:
            array[np.isnan(array)] = np.nan  # of one kind
            np.add(array, zero, out=array)  # no −0
        results.append((number, [array.tobytes() for array in arrays]))
    assert results[0] == results[1]


def test_compiled_passes_draw_from_as_many_values():
    assert UNIT == DRAWS


def test_chances_of_0_and_1_are_kept_to():
    drawn = np.array([0, 2**16 - 1], np.uint16)
    for certain in (False, True):
        kept, out = np.empty(2, bool), np.empty(2, np.float32)
        ends = np.full(2, 1 if certain else -1, np.float32)
        assert PLAIN.draw(ends, drawn, np.ones(2, np.float32), kept, out) == 2 * certain
        assert kept.tolist() == [certain] * 2


def test_the_density_of_a_pool_is_that_of_all_its_tensors():
    assert counts.densities({"a": 4, "b": 6}, {"global": 5}) == {"a": 0.5, "b": 0.5}


# Scales


def test_edge_popup_scales_as_for_the_smaller_fan_in():
    plain, scaled = rule_of("edge-popup"), rule_of("edge-popup-scaled")
    scores = scores_of(plain)
    first, _ = act(plain, start(), scores, LAST)
    second, _ = act(scaled, start(), scores, LAST)
    for name, count in asked().counts(SIZES).items():
        factor = sqrt(SIZES[name] / count)
        np.testing.assert_allclose(second[name], factor * first[name], rtol=1e-6)


def test_biprop_binarizes_with_the_best_of_all_sizes():
    rule = rule_of("biprop")
    acting, mask = act(rule, start(), scores_of(rule), LAST)
    for name, kept in mask.items():
        weights = start()[name][kept].astype(np.float64) * rule.scales[name]
        (size,) = np.unique(np.abs(acting[name][kept]))
        np.testing.assert_array_equal(np.sign(acting[name][kept]), np.sign(weights))

        def distance(alpha, weights=weights):
            return float(((weights - alpha * np.sign(weights)) ** 2).sum())

        assert size == pytest.approx(np.abs(weights).mean(), rel=1e-6)
        for other in (0.99 * size, 1.01 * size):
            assert distance(size) < distance(other)


def test_a_layer_that_biprop_empties_is_zero():
    sizes = biprop.Sizes(np.float32([[1, -2], [3, 4]]))
    sizes.change(np.array([1, 3]), np.array([True, True]))
    assert sizes.best(2) == 3
    sizes.change(np.array([1, 3]), np.array([False, False]))
    assert sizes.best(0) == 0


def test_the_sum_of_sizes_does_not_depend_on_who_came_and_went():
    rng = np.random.default_rng(0)
    weights = (1e-3 * rng.standard_normal(5000)).astype(np.float32)
    sizes, kept = biprop.Sizes(weights), np.zeros(5000, bool)
    for _ in range(20):
        places = np.flatnonzero(rng.random(5000) < 0.3)
        kept[places] ^= True
        sizes.change(places, kept[places])
    mean = np.abs(weights[kept].astype(np.float64)).mean()
    assert sizes.best(int(kept.sum())) == np.float32(mean)


def test_biprop_ramps_in_global_scope_from_half_on():
    rule = rule_of("biprop", "global", fraction=0.7)
    at = [rule.counts_at(moment(s, 0, 100, seed=0, round=1))["global"] for s in range(101)]
    assert at[0] == sum(SIZES.values())
    assert at == sorted(at, reverse=True)
    assert set(at[10:]) == {rule.counts["global"]}
    assert at[9] > at[10]
    assert rule.settled(0, 100) == 10
    assert not rule_of("biprop", "global", fraction=0.4).ramps
    assert not rule_of("biprop", fraction=0.7).ramps


def test_a_supermask_is_drawn_with_the_probabilities_of_its_scores():
    shape = (200, 1000)
    rule = supermask.Supermask(shapes={"w": shape}, rescaled=True)
    scores = {"w": np.full(shape, -1.5, np.float32)}
    weights = {"w": np.ones(shape, np.float32)}
    acting, mask = act(rule, weights, scores, LAST)
    density = masks.density(mask)
    assert density == pytest.approx(1 / (1 + np.exp(1.5)), abs=0.005)
    assert acting["w"].max() == pytest.approx(1 / density, rel=1e-6)
    _, other = act(rule, weights, scores, moment(STEPS - 1, 0, STEPS, seed=0, round=1))
    assert digest(other) != digest(mask)
    _, again = act(rule, weights, scores, LAST)
    assert digest(again) == digest(mask)


def test_a_signed_supermask_keeps_hides_and_turns():
    rule = signed_supermask.SignedSupermask(shapes={"w": (4,)}, bounds={"w": 1.0})
    weights = {"w": np.array([1, -2, 3, 4], np.float32)}
    scores = {"w": np.array([0.5, -0.5, 0.39, -0.39], np.float32)}
    acting, mask = act(rule, weights, scores, LAST)
    assert acting["w"].tolist() == [1, 2, 0, 0]
    assert mask["w"].tolist() == [True, True, False, False]


def test_six_of_ten_weights_of_a_signed_supermask_act_at_first():
    rule = rule_of("signed-supermask")
    scores = rule.initial(np.random.default_rng(0))
    _, mask = act(rule, start(), scores, LAST)
    assert masks.density(mask) == pytest.approx(0.6, abs=0.05)


def at(step, end=300):
    return moment(step, 0, end, seed=0, round=1)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_gem_miner_freezes_by_and_by_what_scores_lowest_and_never_thaws_it(scope):
    rule, rng = rule_of("gem-miner", scope), np.random.default_rng(0)
    scores, out = rule.initial(rng), {n: np.empty(s) for n, s in rule.shapes.items()}
    scoring, lost = (
        rule.begin(start()),
        {n: np.zeros(s, bool) for n, s in rule.shapes.items()},
    )
    for step in range(0, 301, 10):
        before = {name: values.copy() for name, values in scores.items()}
        mask = scoring.act(scores, at(step), out)
        frozen = {name: values < 0 for name, values in scores.items()}
        left = counts.in_pools({n: int((~f).sum()) for n, f in frozen.items()}, rule.counts)
        assert left == rule.counts_at(at(step))
        for name, values in before.items():
            assert (mask[name] == (~frozen[name] & ((values > 0.5) | (step == 300)))).all()
            assert (frozen[name] | ~lost[name]).all()
            new, kept = (
                np.clip(v, 0, 1)
                for v in (values[frozen[name] & ~lost[name]], values[~frozen[name]])
            )
            assert scope == "global" or new.max(initial=0) <= kept.min()
            scores[name] += rng.normal(0, 0.3, values.shape).astype(np.float32)
        lost = frozen
    assert left == rule.counts
    thirty = [rule.counts_at(at(step)) for step in range(301)]
    assert len({tuple(one.values()) for one in thirty}) == 30


# Gradients, against autograd on the written-out formulas


def straight(value, through):
    """``value`` forward, the gradient of ``through`` backward."""
    return value.detach() + through - through.detach()


def top_mask(sizes, count):
    kept = torch.zeros(sizes.numel())
    kept[torch.argsort(sizes.flatten(), descending=True)[:count]] = 1
    return kept.reshape(sizes.shape)


def plain_edge_popup(w, s, *, scale):
    sizes = s.abs()
    return w * scale * straight(top_mask(sizes, round(0.3 * w.numel())), sizes)


def plain_biprop(w, s):
    count = round(0.3 * w.numel())
    w = w / sqrt(count / w.numel())
    mask = top_mask(s.abs(), count)
    alpha = (w.abs() * mask).sum() / count
    return torch.sign(w) * straight(alpha * mask, w.abs() * s.abs())


def plain_gem_miner(w, s):
    left = top_mask(s, round(0.3 * w.numel()))
    return w * left * straight(torch.ones_like(s), s)


def plain_supermask(w, s, *, rescaled):
    chance = torch.sigmoid(s)
    raw = supermask.draws(LAST.draw(), w.numel()).astype(np.float32).reshape(w.shape)
    drawn = torch.from_numpy(raw) < torch.floor(chance * DRAWS)
    mask = straight(drawn.float(), chance)
    acting = w * mask
    return acting * (w.numel() / mask.sum()) if rescaled else acting


def plain_signed(w, s):
    bound = sqrt(6 / sum(w.shape))
    return w * straight(torch.sign(s) * (s.abs() > 0.4 * bound), s)


FORMULAS = {
    "edge-popup": lambda w, s: plain_edge_popup(w, s, scale=1.0),
    "edge-popup-scaled": lambda w, s: plain_edge_popup(
        w, s, scale=sqrt(w.numel() / round(0.3 * w.numel()))
    ),
    "biprop": plain_biprop,
    "biprop-affine": plain_biprop,
    "gem-miner": plain_gem_miner,
    "supermask": lambda w, s: plain_supermask(w, s, rescaled=False),
    "supermask-rescaled": lambda w, s: plain_supermask(w, s, rescaled=True),
    "signed-supermask": plain_signed,
}


@pytest.mark.parametrize("policy", SCORED)
def test_weights_and_gradients_are_those_of_the_written_out_formula(policy):
    first = next(iter(kernels(MLP)))
    whole = kernels(MLP)[first]
    network = tuple(layer for layer in MLP if getattr(layer, "name", "fc1") == "fc1")
    wants = None
    if POLICIES[policy].asks_for_counts:
        fractions = {first: 0.7}
        wants = Asked(criterion="", fractions=fractions, scope="layerwise", rounds=1)
    rule = policies.score_rule(policy, wants, network)
    weights, scores = {first: start()[first]}, scores_of(rule, 0.2)
    scoring = rule.begin(weights)
    out = {first: np.empty(whole.shape, np.float32)}
    scoring.act(scores, LAST, out)
    rng = np.random.default_rng(1)
    gradient = rng.standard_normal(whole.shape).astype(np.float32)

    s = torch.tensor(scores[first], requires_grad=True)
    acting = FORMULAS[policy](torch.tensor(weights[first]), s)
    acting.backward(torch.tensor(gradient))
    np.testing.assert_allclose(out[first], acting.detach().numpy(), rtol=1e-5, atol=1e-7)
    scoring.pull(first, scores[first], gradient)
    assert s.grad is not None
    np.testing.assert_allclose(gradient, s.grad.numpy(), rtol=1e-4, atol=1e-6)


# Trainings


@pytest.mark.parametrize("policy", SCORED)
def test_scores_train_and_no_weight_does(policy):
    result, job = trained(policy), job_of(policy)
    assert result.scores is not None
    assert digest(result.scores) != digest(job.first_scores())
    acting, mask = act(job.score_rule, start(), result.scores, job.moment(STEPS))
    assert digest(mask) == digest(result.mask)
    untrained = {n: w for n, w in start().items() if n not in SIZES}
    assert digest(result.weights) == digest(untrained | acting)
    for name, spent in result.kept_steps.items():
        assert 0 < spent <= STEPS * SIZES[name]
    if POLICIES[policy].asks_for_counts and job.candidates_since < STEPS:
        assert result.kept_steps == {n: STEPS * k for n, k in masks.kept(mask).items()}


@pytest.mark.parametrize("policy", SCORED)
def test_a_training_that_was_interrupted_goes_on_bit_for_bit(policy):
    seen = []

    class Stop(Exception):  # noqa: N818 - a test's own
        pass

    def watch(progress):
        if progress.step == 12:
            seen.append(pack(progress.snapshot()))
            raise Stop

    with pytest.raises(Stop):
        trained(policy, watching={"watch": watch, "interval_s": 0})
    whole = trained(policy)
    again = trained(policy, watching={"resume": unpack(seen[0])})
    assert_same_bits(whole.weights, again.weights)
    assert digest(whole.scores) == digest(again.scores)
    assert whole.kept_steps == again.kept_steps


def test_a_step_is_one_of_the_optimizer_on_the_scores():
    policy, rate, decay = "edge-popup", 0.1, 0.01
    job = job_of(policy, weight_decay=decay, momentum=0.0, schedule=Schedule())
    engine = make_engine("reference", [job])
    engine.advance(1)
    (learned,) = engine.learned()
    before = {name: torch.tensor(s) for name, s in job.first_scores().items()}
    (examples,) = job.batch_order().indices(0, 1)
    inputs = torch.tensor(
        prepared(job.data.train.inputs[examples], job.data.images)
    ).flatten(1)
    labels = torch.tensor(job.data.train.labels[examples]).long()
    for scores in before.values():
        scores.requires_grad_()
    hidden, last = inputs, list(before)[-1]
    for name, scores in before.items():
        weight = torch.tensor(job.start[name])
        hidden = hidden @ plain_edge_popup(weight, scores, scale=1.0).T
        hidden = hidden if name == last else torch.relu(hidden)
    torch.nn.functional.cross_entropy(hidden, labels).backward()
    for name, scores in before.items():
        wanted = scores - rate * (scores.grad + decay * scores)
        np.testing.assert_allclose(
            learned.scores[name], wanted.detach().numpy(), rtol=1e-4, atol=1e-6
        )


def test_decay_of_its_own_takes_a_share_of_every_score_at_each_step():
    schedule = Schedule(name="milestones", milestones=(10,), gamma=0.5)
    settings = {"lr": 1e-12, "momentum": 0.0, "schedule": schedule}
    decayed = trained("signed-supermask", weight_decay=0.1, **settings)
    first = job_of("signed-supermask").first_scores()
    left = 0.9**10 * 0.95 ** (STEPS - 10)
    for name, scores in decayed.scores.items():
        np.testing.assert_allclose(scores, left * first[name], rtol=1e-4)


def test_early_stops_are_candidates_when_the_density_is_the_final_one():
    assert job_of("edge-popup").candidates_since == 0
    assert trained("supermask").early_stop.step == STEPS
    assert job_of("biprop", "global").candidates_since == 3


def test_a_training_that_diverges_ends_with_the_exact_counts():
    begin = {name: np.float32(1e20) * weights for name, weights in start().items()}
    result = trained("edge-popup", begin=begin)
    assert result.diverged
    assert masks.kept(result.mask) == asked().counts(SIZES)


def test_only_some_engines_train_scores():
    able = [n for n, record in ENGINES.items() if Ability.TRAIN_SCORES in record.abilities]
    assert able == ["reference", "control"]
    needs = POLICIES["edge-popup"].abilities
    assert resolve("auto", MLP, 1.0, "cpu", needs) in able
    with pytest.raises(ValueError, match="dense cannot train scores in place of weights"):
        resolve("dense", MLP, 1.0, "cpu", needs)
    job = job_of("edge-popup")
    with pytest.raises(ValueError, match="trains no scores"):
        train([job], make_engine("dense", [replace(job, score_rule=None)]))


def test_biases_stay_as_they_begin():
    biases = [n for n, p in parameters(MLP).items() if p.role == "bias"]
    begin = start()
    for name in biases:
        begin[name] += np.float32(0.25)
    result = trained("biprop", begin=begin)
    assert biases
    for name in biases:
        assert (result.weights[name] == np.float32(0.25)).all()
