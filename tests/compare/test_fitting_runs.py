"""A claim is checked against the runs that fit its protocol, or against none."""

from dataclasses import replace

import pytest
from helpers.one_claim import (
    FASTER,
    LEAVES,
    WINS,
    checked,
    difference,
    shifted,
)
from helpers.tracked_stores import (
    DENSITIES,
    OWN,
    RECIPES,
    SETTINGS,
    store,
    with_barriers,
)

from pipeline.compare import compare, summary
from pipeline.compare.claims import load
from pipeline.compare.setups import fits, recipe_of
from pipeline.core.looks import Looks


def test_without_runs_every_claim_is_not_run():
    rows = compare([])
    assert len(rows) >= 25
    assert {row.verdict for row in rows} == {"not run"}
    assert all(row.measured is None and row.seeds == 0 for row in rows)
    assert summary(rows) == f"{len(rows)} not run"


def test_a_run_of_another_model_or_data_set_does_not_count():
    for name, value in (("data", "digits"), ("model.name", "conv-2")):
        row = checked(FASTER, store(settings=SETTINGS | {name: value}))
        assert (row.verdict, row.note) == ("not run", "no run of lenet-300-100 on mnist")


def test_a_claim_about_a_missing_variant_is_not_run():
    check = FASTER.replace("ticket", "one-shot")
    row = checked(check, store())
    assert (row.verdict, row.note) == ("not run", "no variant one-shot")


def test_a_claim_about_a_density_below_the_last_round_is_not_run():
    row = checked(FASTER.replace("0.211", "0.036"), store())
    assert row.verdict == "not run"
    assert row.note == "no round at density 3.6%; the nearest is 10.8%"
    emptied = store()
    last = min(row["density"] for row in emptied.rounds)
    lost = [r | {"density": 0.0} if r["density"] == last else r for r in emptied.rounds]
    row = checked(FASTER.replace("0.211", "0.036"), replace(emptied, rounds=lost))
    assert row.note == "no round at density 3.6%; the nearest is 13.5%"
    row = checked(LEAVES, store(densities=DENSITIES[:5]))
    assert (row.verdict, row.note) == ("not run", "no round at density 13.5% or below")


def test_another_learning_rate_is_not_comparable():
    row = checked(FASTER, store(settings=SETTINGS | {"train.lr": "0.1"}))
    assert (row.verdict, row.note) == (
        "not comparable",
        "train.lr is 0.1 (needed: 0.0012)",
    )
    assert row.measured is None


def test_a_run_with_a_setting_that_must_be_absent_is_not_comparable():
    row = checked(FASTER, store(settings=SETTINGS | {"compat": "southampton"}))
    assert row.note == "compat is southampton (needed: not set)"


def test_other_pruning_fractions_are_not_comparable():
    recipes = {"ticket": RECIPES["ticket"] | {"prune.fraction.fc": "0.1"}}
    row = checked(FASTER, store(variants=["ticket"], recipes=recipes))
    assert (row.verdict, row.note) == (
        "not comparable",
        "mask.fraction.fc is 0.1 (needed: 0.2)",
    )


def test_too_few_steps_are_not_comparable():
    row = checked(FASTER, store(steps=2000))
    assert (row.verdict, row.note) == (
        "not comparable",
        "steps is 2,000 (needed: 10,000 or more)",
    )


@pytest.mark.parametrize(
    ("betas", "verdict"), [("[0.5, 0.9]", "not comparable"), ("[0.9, 0.999]", "agrees")]
)
def test_betas_are_those_of_the_source_written_or_not(betas, verdict):
    rows = {r.id: r for r in compare([store(settings=SETTINGS | {"train.betas": betas})])}
    assert rows["lenet-faster-at-51"].verdict == verdict


@pytest.mark.parametrize(
    ("role", "recipe"),
    [
        ("one-shot", RECIPES["one-shot"] | {"prune.step": "100"}),
        ("late-rewind", OWN | {"rewind.to": "early", "rewind.task": "other"}),
    ],
)
def test_no_role_takes_masks_or_weights_from_elsewhere(role, recipe):
    needed = load().variants[role]
    other = recipe.keys() & {"prune.step", "rewind.task"}
    plain = {name: value for name, value in recipe.items() if name not in other}
    assert fits(dict(recipe_of(plain)), needed)
    assert not fits(dict(recipe_of(recipe)), needed)


def test_a_diverged_training_does_not_make_a_run_too_short():
    def accuracy(variant, density, seed):
        return None if (variant, seed) == ("dense", 8) else 0.98 + 0.0001 * seed

    row = checked(FASTER, store(accuracy=accuracy, seeds=range(9)))
    assert (row.verdict, row.seeds) == ("agrees", 8)


def test_censored_early_stops_are_never_averaged_into_a_ratio():
    def step(variant, density, seed):
        return 14500 if (variant, seed) == ("dense", 3) else 3000 + 100 * seed

    row = checked(FASTER, store(step=step))
    assert (row.verdict, row.measured) == ("not comparable", None)
    assert row.note == (
        "the early stop is censored in 1 of 8 trainings at density 100.0%; train longer"
    )
    assert checked(WINS, store(step=step)).verdict == "not comparable"


def test_the_reason_names_the_setting_of_the_nearest_run():
    far = store(settings=SETTINGS | {"train.lr": "0.1"}, steps=100, experiment="far")
    near = store(settings=SETTINGS | {"train.lr": "0.01"}, experiment="near")
    assert checked(FASTER, far, near).note == "train.lr is 0.01 (needed: 0.0012)"


def test_of_several_runs_the_one_that_fits_the_protocol_is_used():
    other = store(settings=SETTINGS | {"train.lr": "0.1"}, experiment="other")
    assert checked(FASTER, other, store()).verdict == "agrees"


def test_groups_of_seeds_from_several_experiments_are_pooled_once():
    first = store(seeds=range(4), experiment="first", accuracy=shifted("ticket", 0.003))
    second = store(
        seeds=range(2, 8), experiment="second", accuracy=shifted("ticket", 0.003)
    )
    row = checked(difference(), first, second)
    assert (row.verdict, row.seeds) == ("agrees", 8)


def test_several_draws_of_a_seed_are_one_seed():
    found = store(variants=["ticket", "reinit", "reinit-2"], seeds=range(3))
    row = checked(difference(against="reinit"), found)
    assert (row.verdict, row.seeds) == ("not enough seeds", 3)


def test_another_scope_is_not_pooled():
    other = {"ticket": OWN | {"rewind.to": "theta0", "prune.scope": "global"}}
    second = store(variants=["ticket"], seeds=range(8, 10), recipes=other, experiment="x")
    assert checked(FASTER, store(), second).seeds == 8


def test_variants_are_found_by_their_settings_not_by_their_name():
    recipes = {"mine": RECIPES["ticket"]}
    assert checked(FASTER, store(variants=["mine"], recipes=recipes)).verdict == "agrees"


def test_a_row_names_the_experiments_that_have_all_of_its_variants():
    check = difference(against="reinit")
    both, ticket, reinit = (
        store(variants=names, experiment=name)
        for name, names in (
            ("both", ["ticket", "reinit"]),
            ("ticket", ["ticket"]),
            ("reinit", ["reinit"]),
        )
    )
    assert checked(check, ticket, both).experiment == "both"
    assert checked(FASTER, ticket, both).experiment == "ticket, both"
    assert checked(check, ticket, reinit).experiment == "ticket, reinit"
    more = [
        store(variants=[name], seeds=range(8, 12), experiment=f"more {name}")
        for name in ("ticket", "reinit")
    ]
    row = checked(check, both, *more)
    assert (row.experiment, row.seeds) == ("both, more ticket, more reinit", 12)


def test_rounds_beyond_a_claim_do_not_mix_experiments():
    both = store(experiment="both")
    longer = store(variants=["ticket"], densities=(*DENSITIES, 0.086), experiment="longer")
    check = difference(against="reinit")
    assert checked(check, both, longer).experiment == "both"
    assert checked(check, longer, both).experiment == "both"


def test_an_experiment_that_plays_no_part_changes_nothing():
    """Neither its looks nor its dense networks count."""
    other = replace(
        store(variants=["random-mask"], accuracy=lambda *_: 0.9, experiment="other"),
        looks=Looks(at=(16,)),
    )
    for check in (difference(), difference(against="reinit"), FASTER, WINS):
        alone = checked(check, store())
        assert checked(check, store(), other) == alone
        assert checked(check, other, store()) == alone


def test_of_two_rounds_of_nearly_one_density_the_nearer_is_taken():
    check = difference(against="reinit", at="[0.211]")
    far = shifted("ticket", 0.004, at=(0.213, 1.0))
    row = checked(check, store(densities=[0.215, 0.2105], accuracy=far))
    assert (row.seeds, abs(row.measured) < 0.001) == (8, True)


def test_draws_in_several_experiments_are_pooled():
    first = store(accuracy=shifted("reinit", 0.002))
    second = store(
        variants=["ticket", "reinit-2"],
        experiment="second",
        accuracy=shifted("reinit-2", 0.004),
    )
    row = checked(difference(against="reinit"), first, second)
    assert row.measured == pytest.approx(-0.003, abs=0.0005)
    assert (row.experiment, row.seeds) == ("toy, second", 8)


def test_of_two_recipes_that_of_which_a_round_reaches_the_density_is_taken():
    longer = RECIPES["ticket"] | {"prune.scope": "global"}
    found = (
        store(),
        store(
            seeds=range(6),
            densities=(*DENSITIES, 0.036),
            recipes={"ticket": longer},
            variants=["ticket"],
        ),
    )
    assert checked(FASTER.replace("0.211", "0.036"), *found).seeds == 6
    assert checked(FASTER, *found).seeds == 8


def test_of_two_recipes_with_as_many_seeds_that_with_more_rounds_is_taken():
    recipes = {"ticket": RECIPES["ticket"] | {"prune.scope": "global"}}
    coarse = store(
        variants=["ticket"],
        densities=DENSITIES[6:],
        recipes=recipes,
        experiment="coarse",
    )
    fine = store(experiment="fine")
    assert checked(FASTER, coarse, fine).experiment == "fine"


def test_an_experiment_without_the_rounds_of_a_claim_hides_no_other():
    """More rounds, ending lower, but not those that the claim names."""
    check = difference(against="reinit", at="[0.4, 0.16]")
    fine = store(densities=(0.4, 0.25, 0.16), experiment="fine")
    sparse = {"ticket": RECIPES["ticket"] | {"prune.scope": "global"}}
    other = store(
        variants=["ticket"],
        densities=(0.316, 0.1, 0.032, 0.01),
        recipes=sparse,
        experiment="other",
    )
    assert checked(check, fine, other) == checked(check, fine)
    assert checked(check, other, fine) == checked(check, fine)


def test_both_sides_are_taken_from_one_experiment_where_it_has_them():
    """Equal settings with other results: real pairs are those of one experiment."""
    check = difference(against="reinit")
    both = store(accuracy=shifted("ticket", 0.002), experiment="both")
    one = store(variants=["ticket"], accuracy=shifted("ticket", 0.004), experiment="one")
    row = checked(check, one, both)
    assert (row.experiment, row.measured) == ("both", checked(check, both).measured)


def test_one_round_does_not_stand_for_a_wide_range():
    check = WINS.replace("[0.211]", "[0.513, 0.135]")
    row = checked(check, store(densities=[0.641, 0.17]))
    assert (row.verdict, row.note) == (
        "not run",
        "only one round between densities 51.3% and 13.5%",
    )
    assert checked(check, store(densities=[0.329, 0.17])).verdict != "not run"
    narrow = WINS.replace("[0.211]", "[0.211, 0.135]")
    assert checked(narrow, store(densities=[0.17])).verdict != "not run"


def test_of_two_lengths_that_with_more_barriers_is_taken():
    check = "{kind: barrier, variant: ticket, step: 0, at: [0.211], high: 0.02}"
    few, many = (
        with_barriers(
            store(
                seeds=range(num),
                steps=steps,
                settings=SETTINGS | {"train.steps": str(steps)},
            ),
            lambda seed, pair: 0.001 * (1 + seed + pair),
            of="ticket",
            round=7,
            density=0.211,
        )
        for num, steps in ((3, 20000), (8, 15000))
    )
    assert checked(check, few, many).seeds == 8
