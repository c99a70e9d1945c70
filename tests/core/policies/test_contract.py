"""Every policy keeps the promises of its record."""

import numpy as np
import pytest

from pipeline.core import cuts, masks, policies, seeding
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts import CUTS
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.metrics import METRICS
from pipeline.core.models.layers import Flatten, Linear, ReLU, parameters
from pipeline.core.policies import POLICIES, READ, RECIPE, SCHEDULES, TAKEN, of_recipe
from pipeline.core.programs import ALGORITHM, PROGRAMS, program_of
from pipeline.core.registry import UnknownNameError
from pipeline.core.starts import CHOICES, STARTS
from pipeline.core.training.mask_rules import Seen
from pipeline.engines import ENGINES

NETWORK = (
    Flatten(),
    Linear(name="fc1", inputs=12, outputs=8),
    ReLU(),
    Linear(name="fc2", inputs=8, outputs=3, kind="output"),
)
SIZES = {"fc1.weight": 96, "fc2.weight": 24}
RULED = [n for n, policy in POLICIES.items() if policy.changes and not policy.trains_scores]
SCORED = [name for name, policy in POLICIES.items() if policy.trains_scores]


def asked(rounds=1, scope="layerwise"):
    fractions = dict.fromkeys(SIZES, 0.25)
    return Asked(criterion="magnitude", fractions=fractions, scope=scope, rounds=rounds)


def drawn(purpose="init"):
    rng = seeding.generator(0, purpose)
    return {
        name: rng.standard_normal(tensor.shape).astype(np.float32)
        for name, tensor in parameters(NETWORK).items()
    }


def evidence(mask=None):
    mask = mask or masks.dense(parameters(NETWORK), SIZES)
    return Evidence(
        network=NETWORK,
        data=of_images((3, 2, 2), classes=3),
        begun=drawn(),
        trained=masks.apply(drawn("data_order"), mask),
        mask=mask,
        batches=None,
        rng=None,
    )


def test_the_schedules_are_the_policies_with_masks_of_their_own():
    assert set(SCHEDULES) == POLICIES.keys() - {TAKEN, READ}
    for name in SCHEDULES:
        assert of_recipe(name) is POLICIES[name]
    assert of_recipe(None) is POLICIES[TAKEN]


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean gradual"):
        of_recipe("gradul")


@pytest.mark.parametrize("name", POLICIES)
def test_a_mask_comes_by_exactly_one_way(name):
    policy = POLICIES[name]
    ways = [policy.cuts, policy.begins_dense, policy.reads in ("mask", "file")]
    assert ways.count(True) == 1
    assert policy.changes or not (policy.revives or policy.trains_scores)
    assert (
        policy.asks_for_counts or policy.trains_scores or policy.reads in ("mask", "file")
    )
    assert set(policy.needs) <= set(RECIPE)


@pytest.mark.parametrize("name", [n for n, policy in POLICIES.items() if policy.cuts])
def test_a_cut_looks_at_an_earlier_round(name):
    sources = [POLICIES[name].source_round(round) for round in range(1, 6)]
    assert all(0 <= s < round for round, s in enumerate(sources, start=1))
    assert sources[0] == 0, "before round 1 there is only the dense network"


@pytest.mark.parametrize(
    "name", [n for n in RULED if POLICIES[n].begins_dense and POLICIES[n].exact]
)
def test_a_rule_ends_with_exactly_what_is_asked_for(name):
    rule = policies.rule(name, asked(rounds=3), NETWORK)
    assert set(rule.counted) == set(SIZES)
    steps = rule.steps(0, 40)
    assert list(steps) == sorted(set(steps))
    assert 0 < steps[-1] <= 40
    living = rule.begin(masks.dense(parameters(NETWORK), SIZES), 0, 40)
    for step in steps:
        living.change(Seen(step=step, weights=drawn()))
    assert masks.kept(living.mask) == asked(rounds=3).counts(SIZES)
    spent = living.kept_steps(40)
    for name, kept in masks.kept(living.mask).items():
        assert 40 * kept < spent[name] < 40 * SIZES[name]


@pytest.mark.parametrize("name", RULED)
def test_a_rule_goes_on_from_its_state_bit_for_bit(name):
    rule = policies.rule(name, asked(rounds=2), NETWORK)
    mask = masks.dense(parameters(NETWORK), SIZES)
    if not POLICIES[name].begins_dense:
        mask = {n: drawn("reinit")[n] > 0 for n in mask}
    steps = rule.steps(0, 40)
    whole, first, second = (rule.begin(mask, 0, 40) for _ in range(3))
    for number, step in enumerate(steps):
        seen = Seen(
            step=step,
            weights=drawn(),
            gradients=lambda: drawn("augment"),
            draw=lambda purpose: seeding.generator(0, "mask_regrow", copy=purpose),
        )
        whole.change(seen)
        if number == 1:
            second.restore(first.state())
        (first if number < 1 else second).change(seen)
    assert whole.state().keys() == second.state().keys()
    for key, array in whole.state().items():
        assert array.tobytes() == second.state()[key].tobytes()


def test_a_policy_that_keeps_its_mask_has_no_rule():
    with pytest.raises(AssertionError, match="iterative changes no mask"):
        policies.rule("iterative", asked(), NETWORK)


# Cuts


@pytest.mark.parametrize("name", [name for name, cut in CUTS.items() if not cut.whole])
def test_a_cut_keeps_a_subset_and_leaves_its_evidence_alone(name):
    given = evidence()
    before = {n: w.tobytes() for n, w in given.trained.items()}
    found = cuts.cut(name, given, asked())
    again = cuts.cut(name, evidence(found), asked())
    assert masks.is_nested(again, found)
    assert 0 < masks.density(again) < masks.density(found) < 1
    assert {n: w.tobytes() for n, w in given.trained.items()} == before
    assert all(kept.all() for kept in given.mask.values())


@pytest.mark.parametrize("name", [name for name, cut in CUTS.items() if cut.exact])
@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_the_counts_of_an_exact_cut_follow_from_what_is_asked(name, scope):
    found = cuts.cut(name, evidence(), asked(rounds=3, scope=scope))
    kept = masks.kept(found)
    expected = asked(rounds=3, scope=scope).counts(SIZES)
    pools = kept if scope == "layerwise" else {"": sum(kept.values())}
    assert sorted(pools.values()) == sorted(expected.values())


# Programs


@pytest.mark.parametrize("program", [ALGORITHM, *PROGRAMS.values()])
def test_a_program_is_made_of_parts_that_there_are(program):
    assert program.engine is None or ENGINES[program.engine].program
    assert program.cut in CUTS
    assert program.metric in METRICS
    for to, instead in program.starts.items():
        assert to in CHOICES
        assert STARTS[instead].program


def test_entries_that_only_programs_name_are_not_offered():
    named = {
        instead for program in PROGRAMS.values() for instead in program.starts.values()
    }
    assert named == STARTS.keys() - set(CHOICES)


def test_without_compat_the_algorithm_is_what_happens():
    assert program_of(None) is ALGORITHM
    assert ALGORITHM.start("theta0") == "theta0"
    with pytest.raises(UnknownNameError, match="did you mean southampton"):
        program_of("southamton")
