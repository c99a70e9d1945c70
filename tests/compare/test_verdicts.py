"""Claims get the verdict that their runs allow, and so does the definition."""

import re
from dataclasses import replace

import pytest
from helpers.one_claim import (
    EQUIVALENCE,
    FASTER,
    LEAVES,
    WINS,
    book,
    checked,
    difference,
    diverged,
    shifted,
    untrained,
)
from helpers.tracked_stores import DENSITIES, OWN, RECIPES, SETTINGS, store

from pipeline.compare import compare
from pipeline.core.looks import DEFAULT, Looks


def test_a_dense_network_that_did_not_train_gives_no_other_verdict():
    row = checked(EQUIVALENCE, store(accuracy=untrained))
    assert row.verdict == "the dense network did not train"
    assert row.note.startswith("its test accuracy is 10.4%, 97% are expected")
    row = checked(WINS, store(accuracy=diverged))
    assert row.verdict == "the dense network did not train"
    assert row.note.startswith("it diverged with 8 of 8 seeds")


def test_a_difference_that_is_shown_agrees():
    row = checked(difference(low="0.001"), store(accuracy=shifted("ticket", 0.003)))
    assert row.verdict == "agrees"
    assert row.measured == pytest.approx(0.003, abs=0.0005)
    assert row.low <= row.measured <= row.high
    assert row.seeds == 8
    assert "interval of the test +0." in row.note
    assert row.note.startswith("one-sided p = 0.0039 by sign flips (t: 0.0001 or less), ")
    assert "look 1 of 3 at 8 seeds, level 0.0258, against lying outside the" in row.note


def test_a_difference_the_other_way_disagrees():
    row = checked(difference(), store(accuracy=shifted("ticket", -0.003)))
    assert row.verdict == "disagrees"


def test_a_difference_beyond_its_tolerance_disagrees():
    check = difference(low="0.05", high="0.15", against="reinit")
    row = checked(check, store(accuracy=shifted("ticket", 0.005)), published="0.1")
    assert row.verdict == "disagrees"


def test_too_few_seeds_are_answered_with_the_number_needed():
    wide = store(accuracy=shifted("ticket", 0.0005, noise=0.001))
    row = checked(difference(), wide, published="0.001")
    assert row.verdict == "not enough seeds"
    # The published value lies well inside the range, the interval does not exclude it, and
    # eight seeds tell the spread badly.
    found = re.match(
        r"about (\d+) to (\d+) needed \(the declared looks end at 12\), if the published "
        r"value is the true one",
        row.note,
    )
    low, high = map(int, found.groups())
    assert 8 < low < high > DEFAULT.at[-1]


def test_where_the_interval_excludes_the_published_value_the_observed_one_is_priced():
    near = shifted("ticket", 0.0012, noise=0.0003)
    check = difference(low="0.001", high="0.006")
    row = checked(check, store(accuracy=near), published="0.003")
    assert row.verdict == "not enough seeds"
    assert "if the observed value is the true one" in row.note


@pytest.mark.parametrize("check", [difference(), EQUIVALENCE, FASTER, LEAVES, WINS])
def test_before_the_first_look_there_is_never_a_verdict(check):
    found = store(seeds=range(7), accuracy=shifted("ticket", 0.003))
    row = checked(check, found)
    assert (row.verdict, row.seeds, row.judged) == ("not enough seeds", 7, False)
    assert row.measured is not None
    assert row.note.startswith("the first look is at 8 seeds; about ")


def test_seeds_beyond_a_look_wait_for_the_next_one():
    row = checked(difference(), store(seeds=range(9), accuracy=shifted("ticket", 0.003)))
    assert (row.verdict, row.seeds) == ("agrees", 8)


def test_looks_are_those_of_the_experiment_and_open_ended_where_experiments_differ():
    more = shifted("ticket", 0.003)
    first = replace(store(accuracy=more, seeds=range(6)), looks=Looks(at=(6,)))
    assert "look 1 of 1 at 6 seeds, level 0.05" in checked(difference(), first).note
    second = store(accuracy=more, seeds=range(6, 9), experiment="other")
    row = checked(difference(), first, second)
    assert (row.verdict, row.seeds) == ("agrees", 9)
    assert "by 1 / e-value" in row.note
    assert "9 seeds, open-ended: valid however many are added" in row.note


def test_a_claim_can_agree_while_its_published_number_is_excluded():
    """The band agrees, the number does not: 5.4 points with .5, published 10."""
    check = difference(low="0.05", high="0.15", against="reinit")
    found = store(accuracy=shifted("ticket", 0.054, noise=0.0003))
    row = checked(check, found, published="0.1")
    assert row.verdict == "agrees"
    assert "the published +10.00 pp itself lies outside the interval" in row.note
    inside = checked(check, store(accuracy=shifted("ticket", 0.1)), published="0.1")
    assert "itself" not in inside.note


def test_students_t_that_does_not_show_it_is_a_warning_of_skewed_values():
    def accuracy(variant, density, seed):
        gain = 0.03 if seed == 0 else 0.0001
        return 0.98 + (gain if variant == "ticket" else 0.0)

    row = checked(difference(), store(accuracy=accuracy))
    assert row.verdict == "agrees"
    assert "which does not show it: skewed, look at the runs" in row.note


def test_one_seed_is_shown_without_a_spread():
    row = checked(difference(), store(seeds=[4]))
    assert (row.verdict, row.seeds) == ("not enough seeds", 1)
    assert row.note == "the first look is at 8 seeds; 8 or more needed"


def test_an_equivalence_needs_to_be_shown_within_its_margin():
    assert checked(EQUIVALENCE, store(accuracy=shifted("ticket", 0.0))).verdict == "agrees"
    row = checked(EQUIVALENCE, store(accuracy=shifted("ticket", 0.0, noise=0.004)))
    assert row.verdict == "not enough seeds"
    many = store(accuracy=shifted("ticket", 0.005), seeds=range(10))
    row = checked(EQUIVALENCE, many)
    assert row.verdict == "disagrees"
    assert ", corrected for 20 tests, against lying in the accepted range" in row.note


def test_one_density_outside_the_bounds_refutes_a_claim_about_a_range():
    partly = shifted("ticket", -0.005, noise=0.0001, at=(0.2, 0.22))
    row = checked(EQUIVALENCE, store(accuracy=partly))
    assert row.verdict == "not enough seeds"
    assert row.note.startswith("about 10 needed, if the observed value is the true one")
    row = checked(EQUIVALENCE, store(accuracy=partly, seeds=range(10)))
    assert row.verdict == "disagrees"
    assert row.measured == pytest.approx(-0.005, abs=0.001)
    assert "10 densities from 80.0% to 10.8%, the least favorable (21.1%) shown" in row.note


def test_a_ratio_is_the_geometric_mean_over_seeds():
    def step(variant, density, seed):
        return 4000 if variant == "dense" else 1000 * 4 ** (seed % 2)

    row = checked(FASTER, store(step=step), published="0.5")
    assert row.measured == pytest.approx(0.5)
    assert (row.low, row.high) == pytest.approx((0.25, 1.0))


def test_a_ratio_may_compare_two_densities():
    def step(variant, density, seed):
        return round(10000 * density) + seed

    check = FASTER.replace("against: dense", "against: ticket, against_at: 0.8")
    row = checked(check, store(step=step))
    assert row.measured == pytest.approx(0.211 / 0.8, abs=0.001)
    assert row.verdict == "agrees"


def test_the_density_at_which_a_curve_leaves():
    falls = shifted("reinit", -0.01, at=(0.0, 0.25))
    row = checked(LEAVES, store(accuracy=falls), published="0.211")
    assert (row.verdict, row.measured) == ("agrees", 0.211)
    early = shifted("reinit", -0.01, at=(0.0, 0.6))
    row = checked(LEAVES, store(accuracy=early))
    assert (row.verdict, row.measured) == ("disagrees", 0.513)
    row = checked(LEAVES, store())
    assert (row.verdict, row.measured) == ("disagrees", 0.108)
    assert "it has not left by the last round" in row.note
    row = checked(LEAVES, store(densities=[0.1]))
    assert (row.verdict, row.note) == ("not run", "no round at density 41.1% or above")


def test_a_reading_of_the_dense_network():
    check = "{kind: reading, variant: dense, metric: test_accuracy, at: [1.0], low: LOW}"
    assert checked(check.replace("LOW", "0.975"), store()).verdict == "agrees"
    assert checked(check.replace("LOW", "0.985"), store()).verdict == "disagrees"


def test_a_winning_ticket_wins_in_accuracy_and_speed():
    row = checked(WINS, store(accuracy=shifted("ticket", 0.002)))
    assert (row.verdict, row.measured) == ("agrees", 1.0)
    assert row.note.startswith("not inferior on average, within the margins: one-sided p")
    assert "wins in 8 of 8 seeds" in row.note

    def late(variant, density, seed):
        return (5000 if variant == "dense" else 6000) + 100 * (seed % 3)

    row = checked(WINS, store(accuracy=shifted("ticket", 0.002), step=late))
    assert (row.verdict, row.measured) == ("disagrees", 0.0)


def test_diverged_seeds_are_left_out_and_counted():
    whole = shifted("ticket", 0.003)

    def accuracy(variant, density, seed):
        return None if (variant, seed) == ("ticket", 0) else whole(variant, density, seed)

    row = checked(difference(at="[0.211]"), store(accuracy=accuracy))
    assert (row.verdict, row.seeds) == ("agrees", 7)
    assert "p = 0.0078" in row.note
    assert row.note.endswith(
        "seeds with a failed run, left out and counted apart: ticket 1 of 8 (0 to 53 %), "
        "dense 0 of 8 (0 to 37 %)"
    )


def test_a_run_that_lost_a_class_is_counted_apart():
    whole = shifted("ticket", 0.003)

    def accuracy(variant, density, seed):
        lost = 0.1 if (variant, seed) == ("ticket", 3) else 0.0
        return whole(variant, density, seed) - lost

    row = checked(difference(at="[0.211]"), store(accuracy=accuracy))
    assert (row.verdict, row.seeds) == ("agrees", 7)
    assert "left out and counted apart: ticket 1 of 8" in row.note


def test_where_many_runs_are_low_none_counts_as_failed():
    def accuracy(variant, density, seed):
        return 0.98 - (0.1 if variant == "ticket" and seed % 2 else 0.0)

    row = checked(difference(at="[0.211]"), store(accuracy=accuracy))
    assert (row.verdict, row.seeds) == ("not enough seeds", 8)
    assert "failed" not in row.note


def test_failures_are_counted_where_the_other_side_has_nearly_the_same_density():
    def accuracy(variant, density, seed):
        return 0.88 if (variant, seed) == ("reinit", 3) else 0.98 + 0.0001 * seed

    first = store(variants=["ticket"], densities=[0.1], accuracy=accuracy)
    other = store(variants=["reinit"], densities=[0.1003], accuracy=accuracy)
    row = checked(difference(against="reinit", at="[0.1]"), first, other)
    assert row.seeds == 7
    assert "reinit 1 of 8" in row.note


def test_failures_are_counted_among_the_seeds_that_are_compared():
    def accuracy(variant, density, seed):
        return 0.88 if (variant, seed) == ("reinit", 0) else 0.98 + 0.0001 * seed

    first = store(variants=["ticket"], seeds=range(4, 12), accuracy=accuracy)
    other = store(variants=["reinit"], accuracy=accuracy, seeds=range(12), experiment="x")
    row = checked(difference(against="reinit"), first, other)
    assert (row.seeds, "failed" in row.note) == (8, False)


def test_the_seeds_that_are_needed_are_more_than_those_that_were_run():
    wave = shifted("ticket", 0.0005, noise=0.0002)

    def accuracy(variant, density, seed):
        failed = (variant, seed) == ("ticket", 2)
        return 0.5 if failed else wave(variant, density, seed)

    row = checked(difference(low="0.0003"), store(accuracy=accuracy))
    assert (row.verdict, row.seeds) == ("not enough seeds", 7)
    assert int(re.match(r"about (\d+)", row.note).group(1)) > 8


def test_more_densities_need_more_seeds():
    def accuracy(variant, density, seed):
        return 0.98 + (variant == "ticket") * (0.0005 + 0.001 * (seed % 4 - 1.5))

    one, ten = (
        checked(difference(at=at), store(accuracy=accuracy))
        for at in ("[0.211]", "[0.8, 0.108]")
    )
    assert one.measured == ten.measured
    one, ten = (int(re.match(r"about (\d+) to", row.note).group(1)) for row in (one, ten))
    assert ten > one


def test_where_a_low_accuracy_is_an_outcome_no_run_is_counted_apart():
    def accuracy(variant, density, seed):
        return 0.88 if (variant, seed) == ("ticket", 3) else 0.98 + 0.0001 * seed

    apart = "dense_accuracy: 0.97"
    found = book(
        difference(at="[0.211]"), "more", (apart, f"{apart}\n    failures_apart: false")
    )
    row = compare([store(accuracy=accuracy)], found)[0]
    assert (row.seeds, "failed" in row.note) == (8, False)


def test_tickets_that_no_seed_has_at_all_densities_are_not_run():
    def accuracy(variant, density, seed):
        lost = variant == "ticket" and seed == (density == 0.211)
        return None if lost else 0.98 + 0.0001 * seed

    check = WINS.replace("[0.211]", "[0.263, 0.211]")
    row = checked(check, store(accuracy=accuracy, seeds=range(2), densities=[0.263, 0.211]))
    assert (row.verdict, row.note) == (
        "not run",
        "no seed that all sides have in common at all densities",
    )


@pytest.mark.parametrize(
    ("wins", "verdict"),
    [(8, "agrees"), (5, "agrees"), (4, "not enough seeds"), (0, "disagrees")],
)
def test_a_ticket_wins_if_it_is_not_inferior_and_wins_in_more_than_half(wins, verdict):
    row = checked(WINS, store(accuracy=winning_in(range(wins))))
    assert (row.verdict, row.measured) == (verdict, wins / 8)
    said = {
        "agrees": "; that most seeds win is counted, not tested",
        "not enough seeds": "; but wins in at most half of the seeds",
        "disagrees": "one-sided p = 0.012 by the binomial, look 1 of 3 at 8 seeds",
    }
    assert said[verdict] in row.note
    on_average = row.note.startswith("not inferior on average, within the margins: one-s")
    assert on_average == (verdict != "disagrees")


def winning_in(seeds):
    def accuracy(variant, density, seed):
        return 0.98 + (variant == "ticket") * (0.0005 if seed in seeds else -0.0005)

    return accuracy


def test_wins_of_later_seeds_count_while_there_is_no_majority():
    half = store(accuracy=winning_in((0, 1, 2, 3, 8, 9)), seeds=range(10))
    row = checked(WINS, half)
    assert (row.verdict, row.seeds, row.measured) == ("agrees", 10, 0.6)
    assert "look 2 of 3 at 10 seeds" in row.note


def test_a_censored_seed_beyond_the_look_cancels_no_verdict():
    def step(variant, density, seed):
        return 14500 if (variant, seed) == ("dense", 8) else 3000 + 100 * (seed % 4)

    slow = {"accuracy": shifted("ticket", 0.002), "step": step}
    faster = FASTER.replace("high: 1.0", "high: 1.1")
    for check in (faster, WINS):
        row = checked(check, store(seeds=range(9), **slow))
        assert (row.verdict, row.seeds) == ("agrees", 8)
        row = checked(check, store(seeds=range(10), **slow))
        assert (row.verdict, row.seeds, "repeat" in row.note) == ("agrees", 8, False)
    row = checked(FASTER, store(seeds=range(10), **slow))
    assert (row.verdict, row.note) == (
        "not comparable",
        "the early stop is censored in 1 of 10 trainings at density 100.0%; train longer",
    )
    for num in (9, 10, 12):
        few = definition(store(seeds=range(num), densities=(0.8, 0.641), **slow))
        assert [(row.verdict, row.seeds) for row in few] == [("agrees", 8)]
        for check in (faster, WINS):
            open_ended = replace(store(seeds=range(num), **slow), looks=Looks(at=()))
            assert checked(check, open_ended).verdict == "agrees"


def test_a_diverged_ticket_takes_part_in_a_look():
    whole = shifted("ticket", 0.002)

    def accuracy(variant, density, seed):
        return None if (variant, seed) == ("ticket", 0) else whole(variant, density, seed)

    row = checked(WINS, store(accuracy=accuracy))
    assert (row.verdict, row.seeds, row.measured) == ("agrees", 8, 7 / 8)
    assert "tickets that diverged, which do not win: 1" in row.note
    (row,) = definition(store(accuracy=accuracy, densities=(0.8, 0.641)))
    assert row.verdict == "agrees"
    assert "wins in 7 of 8 seeds" in row.note


def test_half_of_the_tickets_diverged_and_that_is_no_majority():
    whole = shifted("ticket", 0.002)

    def accuracy(variant, density, seed):
        return None if variant == "ticket" and seed < 6 else whole(variant, density, seed)

    for looks in (DEFAULT, Looks(at=())):
        found = replace(store(seeds=range(12), accuracy=accuracy), looks=looks)
        row = checked(WINS, found)
        assert (row.verdict, row.measured) == ("not enough seeds", 0.5)


def test_repetitions_are_averaged_first_and_seeds_counted():
    def accuracy(variant, density, seed):
        return 0.98 + 0.001 * seed * (variant == "reinit-2")

    found = store(variants=["ticket", "reinit", "reinit-2"], accuracy=accuracy)
    row = checked(difference(against="reinit"), found)
    assert row.measured == pytest.approx(-0.00175)
    assert row.seeds == 8
    assert "interval of the test -0.2" in row.note


def test_the_note_says_that_variants_had_different_data_orders():
    found = store(settings=SETTINGS | {"train.common_noise": "false"})
    assert checked(FASTER, found).note.endswith("each variant with its own data order")
    assert "data order" not in checked(FASTER, store()).note


def definition(*stores):
    return [row for row in compare(stores) if row.id == "winning-ticket"]


def test_every_variant_of_tickets_gets_its_smallest_winning_density():
    falls = shifted("ticket", -0.02, at=(0.0, 0.2))
    (row,) = definition(store(accuracy=falls, seeds=range(10)))
    assert row.claim == "Smallest density that is a winning ticket, toy: ticket."
    assert (row.verdict, row.seeds) == ("agrees", 10)
    assert row.measured == pytest.approx(0.211)
    assert "not inferior on average" in row.note


def test_few_seeds_are_described_but_get_no_verdict_on_the_definition():
    found = store(seeds=range(4), accuracy=shifted("ticket", 0.002))
    (row,) = definition(found)
    assert (row.verdict, row.measured) == ("not enough seeds", 0.108)
    assert row.note == (
        "wins in 4 of 4 seeds (40–100 %); not enough seeds for a verdict, which needs 8"
    )
    three = store(seeds=range(3), accuracy=shifted("ticket", 0.002))
    assert definition(three)[0].measured is None


def test_controls_and_fine_tuning_are_no_tickets():
    recipes = {"fine-tune": OWN | {"rewind.to": "trained"}, "reinit": RECIPES["reinit"]}
    assert definition(store(variants=list(recipes), recipes=recipes)) == []


@pytest.mark.parametrize("pruned", ["freeze-init", "freeze-init-zero-mask"])
def test_a_variant_that_freezes_pruned_weights_is_no_ticket(pruned):
    recipes = {"ticket": RECIPES["ticket"] | {"rewind.pruned": pruned}}
    found = store(variants=["ticket"], recipes=recipes)
    assert definition(found) == []
    rows = {row.id: row for row in compare([found])}
    assert rows["lenet-wins-at-21"].verdict == "not run"
    assert rows["lenet-wins-at-21"].note == "no variant ticket"


def test_claims_about_the_values_of_pruned_weights_are_compared():
    frozen = {
        name: RECIPES["ticket"] | {"rewind.pruned": name}
        for name in ("freeze-init", "freeze-init-zero-mask")
    }
    recipes = {"ticket": RECIPES["ticket"]} | frozen
    found = store(
        variants=list(recipes),
        recipes=recipes,
        densities=(*DENSITIES, 0.07),
        accuracy=shifted("ticket", 0.004),
    )
    rows = {row.id: row for row in compare([found])}
    assert rows["zhou-zero-above-freeze-init"].verdict == "agrees"
    assert rows["zhou-freeze-what-grew"].verdict == "disagrees"


def test_tickets_that_lose_everywhere_disagree_with_the_definition():
    (row,) = definition(store(accuracy=shifted("ticket", -0.02)))
    assert (row.verdict, row.measured) == ("disagrees", None)


def test_no_ticket_wins_against_a_network_that_did_not_train():
    (row,) = definition(store(accuracy=untrained))
    assert row.verdict == "the dense network did not train"


def test_the_definition_names_the_task_if_an_experiment_has_several():
    one = store(variants=["ticket"])
    other = {**one.settings["main", "ticket"], "train.lr": "0.01"}
    rows = tuple(row | {"task": "fast"} for row in one.rounds)
    two = replace(
        one,
        rounds=(*one.rounds, *rows),
        settings={**one.settings, ("fast", "ticket"): other},
    )
    found = [row.claim.split(", ")[1] for row in definition(two)]
    assert found == ["toy: main/ticket.", "toy: fast/ticket."]


def test_a_network_pruned_while_it_trained_is_no_ticket():
    recipes = RECIPES | {"ticket": RECIPES["ticket"] | {"prune.schedule": "gradual"}}
    rows = compare([store(variants=("ticket",), recipes=recipes)])
    assert "winning-ticket" not in {row.id for row in rows}
    assert "winning-ticket" in {row.id for row in compare([store(variants=("ticket",))])}
