import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.one_claim import checked
from helpers.tracked_stores import DENSITIES, OWN, RECIPES, SETTINGS, store

from pipeline.compare import LAYOUTS, compare, summary
from pipeline.compare.claims import load
from pipeline.tracking import read_all, track

ROOT = Path(__file__).parents[2]
KEYS = {"claim", "source", "published", "measured", "low", "high", "seeds", "verdict"}


def shifted(variant, by, *, noise=0.0002, at=(0.0, 1.0)):
    """Accuracies of the dense network, and a variant that differs from it."""

    def accuracy(name, density, seed):
        wave = noise * ((seed * 5 + round(1000 * density)) % 7 - 3)
        more = by if name == variant and at[0] <= density <= at[1] else 0.0
        return 0.98 + 0.0004 * (seed % 3) + (more + wave if name == variant else 0.0)

    return accuracy


def untrained(variant, density, seed):
    return 0.1 + 0.001 * seed


def diverged(variant, density, seed):
    return None


def difference(low="0.0", high="null", against="dense", at="[0.211]"):
    return (
        f"{{kind: difference, variant: ticket, against: {against}, "
        f"metric: test_accuracy, at: {at}, low: {low}, high: {high}}}"
    )


EQUIVALENCE = (
    "{kind: equivalence, variant: ticket, against: reinit, metric: test_accuracy, "
    "at: [0.8, 0.108], margin: 0.003}"
)
FASTER = "{kind: ratio, variant: ticket, against: dense, at: [0.211], high: 1.0}"
LEAVES = (
    "{kind: leaves, variant: reinit, against: dense, metric: test_accuracy, "
    "upper: 0.411, lower: 0.135, margin: 0.002}"
)
WINS = "{kind: winning, variant: ticket, at: [0.211]}"


# --- without runs that could tell -------------------------------------------------------


def test_with_an_empty_store_nothing_was_run():
    rows = compare([])
    assert len(rows) >= 25
    assert {row.verdict for row in rows} == {"not run"}
    assert all(row.measured is None and row.seeds == 0 for row in rows)
    assert summary(rows) == f"{len(rows)} not run"


def test_another_model_or_data_set_is_no_run_of_the_claim():
    for name, value in (("data", "digits"), ("model.name", "conv-2")):
        row = checked(FASTER, store(settings=SETTINGS | {name: value}))
        assert (row.verdict, row.note) == ("not run", "no run of lenet-300-100 on mnist")


def test_a_missing_variant_was_not_run():
    check = FASTER.replace("ticket", "one-shot")
    row = checked(check, store())
    assert (row.verdict, row.note) == ("not run", "no variant one-shot")


def test_a_density_that_was_not_reached_was_not_run():
    row = checked(FASTER.replace("0.211", "0.036"), store())
    assert row.verdict == "not run"
    assert row.note == "no round at density 3.6%; the nearest is 10.8%"
    row = checked(LEAVES, store(densities=DENSITIES[:5]))
    assert (row.verdict, row.note) == ("not run", "no round at density 13.5% or below")


# --- runs under another protocol --------------------------------------------------------


def test_another_learning_rate_is_not_comparable():
    row = checked(FASTER, store(settings=SETTINGS | {"train.lr": "0.1"}))
    assert (row.verdict, row.note) == (
        "not comparable",
        "train.lr is 0.1 (needed: 0.0012)",
    )
    assert row.measured is None


def test_a_setting_that_must_be_absent_makes_runs_not_comparable():
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


def test_censored_early_stops_are_never_averaged_into_a_ratio():
    def step(variant, density, seed):
        return 14500 if (variant, seed) == ("dense", 3) else 3000 + 100 * seed

    row = checked(FASTER, store(step=step))
    assert (row.verdict, row.measured) == ("not comparable", None)
    assert row.note == (
        "the early stop is censored in 1 of 6 trainings at density 100.0%; train longer"
    )
    assert checked(WINS, store(step=step)).verdict == "not comparable"


def test_the_reason_names_the_setting_of_the_nearest_run():
    far = store(settings=SETTINGS | {"train.lr": "0.1"}, steps=100, experiment="far")
    near = store(settings=SETTINGS | {"train.lr": "0.01"}, experiment="near")
    assert checked(FASTER, far, near).note == "train.lr is 0.01 (needed: 0.0012)"


def test_among_several_runs_the_one_of_the_protocol_is_taken():
    other = store(settings=SETTINGS | {"train.lr": "0.1"}, experiment="other")
    assert checked(FASTER, other, store()).verdict == "agrees"


# --- the dense network ------------------------------------------------------------------


def test_a_dense_network_that_did_not_train_decides_nothing():
    row = checked(EQUIVALENCE, store(accuracy=untrained))
    assert row.verdict == "the dense network did not train"
    assert row.note.startswith("its test accuracy is 10.2%, 97% are expected")
    row = checked(WINS, store(accuracy=diverged))
    assert row.verdict == "the dense network did not train"
    assert row.note.startswith("it diverged with 6 of 6 seeds")


# --- verdicts ---------------------------------------------------------------------------


def test_a_difference_that_is_shown_agrees():
    row = checked(difference(low="0.001"), store(accuracy=shifted("ticket", 0.003)))
    assert row.verdict == "agrees"
    assert row.measured == pytest.approx(0.003, abs=0.0005)
    assert row.low <= row.measured <= row.high
    assert row.seeds == 6
    assert "95 % interval +0." in row.note


def test_a_difference_the_other_way_disagrees():
    row = checked(difference(), store(accuracy=shifted("ticket", -0.003)))
    assert row.verdict == "disagrees"


def test_a_difference_beyond_its_tolerance_disagrees():
    check = difference(low="0.05", high="0.15", against="reinit")
    row = checked(check, store(accuracy=shifted("ticket", 0.005)), published="0.1")
    assert row.verdict == "disagrees"


def test_seeds_that_cannot_tell_are_told_how_many_could():
    wide = store(accuracy=shifted("ticket", 0.0005, noise=0.001))
    row = checked(difference(), wide, published="0.001")
    assert row.verdict == "not enough seeds"
    assert row.note.startswith("about ")
    assert int(row.note.split()[1]) > 6


@pytest.mark.parametrize("check", [difference(), EQUIVALENCE, FASTER, LEAVES, WINS])
def test_fewer_than_six_seeds_never_give_a_verdict(check):
    found = store(seeds=range(5), accuracy=shifted("ticket", 0.003))
    row = checked(check, found)
    assert (row.verdict, row.seeds) == ("not enough seeds", 5)
    assert row.measured is not None
    assert "needed" in row.note


def test_one_seed_is_shown_without_a_spread():
    row = checked(difference(), store(seeds=[4]))
    assert (row.verdict, row.seeds) == ("not enough seeds", 1)
    assert row.note == "about 6 or more needed"


def test_an_equivalence_needs_to_be_shown_within_its_margin():
    assert checked(EQUIVALENCE, store(accuracy=shifted("ticket", 0.0))).verdict == "agrees"
    row = checked(EQUIVALENCE, store(accuracy=shifted("ticket", 0.0, noise=0.004)))
    assert row.verdict == "not enough seeds"
    row = checked(EQUIVALENCE, store(accuracy=shifted("ticket", 0.005)))
    assert row.verdict == "disagrees"


def test_one_density_that_fails_refutes_a_claim_about_a_range():
    partly = shifted("ticket", -0.005, noise=0.0001, at=(0.2, 0.22))
    row = checked(EQUIVALENCE, store(accuracy=partly))
    assert row.verdict == "disagrees"
    assert row.measured == pytest.approx(-0.005, abs=0.001)
    assert "10 densities, the least favorable (21.1%) shown" in row.note


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
    assert (row.verdict, row.measured) == ("agrees", 0.263)
    early = shifted("reinit", -0.01, at=(0.0, 0.6))
    row = checked(LEAVES, store(accuracy=early))
    assert (row.verdict, row.measured) == ("disagrees", 0.641)
    row = checked(LEAVES, store())
    assert (row.verdict, row.measured) == ("disagrees", 0.108)
    assert "it has not left in the last round" in row.note


def test_a_reading_of_the_dense_network():
    check = "{kind: reading, variant: dense, metric: test_accuracy, at: [1.0], low: LOW}"
    assert checked(check.replace("LOW", "0.975"), store()).verdict == "agrees"
    assert checked(check.replace("LOW", "0.985"), store()).verdict == "disagrees"


def test_a_winning_ticket_wins_in_accuracy_and_speed():
    row = checked(WINS, store(accuracy=shifted("ticket", 0.002)))
    assert (row.verdict, row.measured) == ("agrees", 1.0)

    def late(variant, density, seed):
        return (5000 if variant == "dense" else 6000) + 100 * (seed % 3)

    row = checked(WINS, store(accuracy=shifted("ticket", 0.002), step=late))
    assert (row.verdict, row.measured) == ("disagrees", 0.0)


def test_diverged_seeds_are_left_out_and_counted():
    whole = shifted("ticket", 0.003)

    def accuracy(variant, density, seed):
        return None if (variant, seed) == ("ticket", 0) else whole(variant, density, seed)

    row = checked(difference(at="[0.211]"), store(accuracy=accuracy))
    assert (row.verdict, row.seeds) == ("not enough seeds", 5)
    assert "trainings diverged and are left out" in row.note


# --- runs put together ------------------------------------------------------------------


def test_groups_of_seeds_from_several_experiments_are_pooled_once():
    first = store(seeds=range(4), experiment="first", accuracy=shifted("ticket", 0.003))
    second = store(
        seeds=range(2, 6), experiment="second", accuracy=shifted("ticket", 0.003)
    )
    row = checked(difference(), first, second)
    assert (row.verdict, row.seeds) == ("agrees", 6)


def test_several_draws_of_a_seed_are_one_seed():
    found = store(variants=["ticket", "reinit", "reinit-2"], seeds=range(3))
    row = checked(difference(against="reinit"), found)
    assert (row.verdict, row.seeds) == ("not enough seeds", 3)


def test_a_nested_sample_has_a_bootstrapped_interval():
    def accuracy(variant, density, seed):
        return 0.98 + 0.001 * seed * (variant == "reinit-2")

    found = store(variants=["ticket", "reinit", "reinit-2"], accuracy=accuracy)
    row = checked(difference(against="reinit"), found)
    assert row.measured == pytest.approx(-0.00125)
    assert "95 % interval -0.2" in row.note


def test_different_data_orders_are_said():
    found = store(settings=SETTINGS | {"train.common_noise": "false"})
    assert checked(FASTER, found).note.endswith("each variant with its own data order")
    assert "data order" not in checked(FASTER, store()).note


def test_another_scope_is_not_pooled():
    other = {"ticket": OWN | {"rewind.to": "theta0", "prune.scope": "global"}}
    second = store(variants=["ticket"], seeds=range(6, 8), recipes=other, experiment="x")
    assert checked(FASTER, store(), second).seeds == 6


def test_variants_are_known_by_their_recipe_not_by_their_name():
    recipes = {"mine": RECIPES["ticket"]}
    assert checked(FASTER, store(variants=["mine"], recipes=recipes)).verdict == "agrees"


# --- the definition ---------------------------------------------------------------------


def definition(*stores):
    return [row for row in compare(stores) if row.id == "winning-ticket"]


def test_every_chain_of_tickets_gets_its_smallest_winning_density():
    falls = shifted("ticket", -0.02, at=(0.0, 0.2))
    (row,) = definition(store(accuracy=falls))
    assert row.claim == "Smallest density that is a winning ticket, toy: ticket."
    assert (row.verdict, row.measured, row.seeds) == ("agrees", 0.211, 6)
    assert "on average shown" in row.note


def test_with_three_seeds_the_definition_is_described():
    found = store(seeds=range(3), accuracy=shifted("ticket", 0.002))
    (row,) = definition(found)
    assert (row.verdict, row.measured) == ("not enough seeds", 0.108)
    assert row.note == "wins in 3 of 3 seeds (29–100 %); not enough seeds for a verdict"


def test_controls_and_fine_tuning_are_no_tickets():
    recipes = {"fine-tune": OWN | {"rewind.to": "trained"}, "reinit": RECIPES["reinit"]}
    assert definition(store(variants=list(recipes), recipes=recipes)) == []


@pytest.mark.parametrize("pruned", ["freeze-init", "freeze-init-zero-mask"])
def test_a_chain_that_freezes_pruned_weights_is_no_ticket(pruned):
    recipes = {"ticket": RECIPES["ticket"] | {"rewind.pruned": pruned}}
    found = store(variants=["ticket"], recipes=recipes)
    assert definition(found) == []
    rows = {row.id: row for row in compare([found])}
    assert rows["lenet-wins-at-21"].verdict == "not run"
    assert rows["lenet-wins-at-21"].note == "no variant ticket"


def test_what_pruned_weights_become_is_compared_by_its_claims():
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


def test_the_definition_names_the_task_where_an_experiment_has_several():
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


# --- shown ------------------------------------------------------------------------------


def test_the_json_has_a_row_per_claim_with_numbers_in_full():
    rows = json.loads(LAYOUTS["json"](compare([store()])))
    assert len(rows) == len(load().claims) + 1
    assert all(set(row) >= KEYS for row in rows)
    measured = {row["id"]: row for row in rows}["lenet-dense"]
    assert (measured["published"], measured["seeds"]) == (0.98, 6)


def test_the_markdown_table_has_a_line_per_claim():
    rows = compare([store()])
    lines = LAYOUTS["markdown"](rows).splitlines()
    assert len(lines) == len(rows) + 4
    assert all(line.count("|") == 6 for line in lines[:-2])
    assert lines[-1] == summary(rows)
    assert "| 98.00 % (97.50 % to 98.60 %) | 98.0" in lines[2]
    assert "6 seeds) | agrees: p < 0.0001 against the opposite; 95 % interval" in lines[2]


def test_the_terminal_table_is_plain_text_when_piped():
    text = LAYOUTS["table"](compare([store()]))
    assert "not enough seeds" in text
    assert "[secondary]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (difference(low="0.001", high="0.006"), "+0.10 pp to +0.60 pp"),
        (difference(), "above +0.00 pp"),
        (FASTER, "below 1.00×"),
        (EQUIVALENCE, "± 0.3 pp"),
        (LEAVES, "between 41.1 % and 13.5 %, by 0.2 pp"),
        (WINS, "margins 0.1 pp and one evaluation"),
    ],
)
def test_margins_and_tolerances_are_stated(check, words):
    assert checked(check).accepted == words


# --- the store --------------------------------------------------------------------------


def test_a_store_is_read_with_the_settings_of_its_runs(tmp_path):
    synthetic.fabricate(tmp_path, seeds=range(2), rounds=1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    track(tmp_path, "toy", uri, synthetic.active(rounds=1))
    (found,) = read_all(uri, root=tmp_path)
    assert found.settings["main", "ticket"]["train.lr"] == "0.0012"
    assert found.settings["main", "reinit"]["rewind.to"] == "reinit"
    assert found.curves == ()
    rows = {row.id: row for row in compare([found])}
    assert rows["lenet-dense"].verdict == "not comparable"
    assert rows["winning-ticket"].claim.endswith("toy: ticket.")


def test_a_missing_store_is_read_as_no_experiments(tmp_path):
    assert read_all(f"sqlite:///{tmp_path}/none.db") == []
    assert not (tmp_path / "none.db").exists()


def test_the_command_answers_without_a_store(tmp_path):
    uri = f"sqlite:///{tmp_path}/none.db"
    command = [sys.executable, "-m", "pipeline.cli", "compare", "--json", "--uri", uri]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {row["verdict"] for row in json.loads(done.stdout)} == {"not run"}


def test_an_unknown_experiment_is_refused_in_one_line(tmp_path):
    uri = f"sqlite:///{tmp_path}/none.db"
    arguments = ["compare", "--experiment", "nope", "--uri", uri]
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lt-pipeline: there is no tracked result yet: ")
    assert done.stderr.count("\n") == 1


def test_a_network_pruned_while_it_trained_is_no_ticket():
    recipes = RECIPES | {"ticket": RECIPES["ticket"] | {"prune.schedule": "gradual"}}
    rows = compare([store(variants=("ticket",), recipes=recipes)])
    assert "winning-ticket" not in {row.id for row in rows}
    assert "winning-ticket" in {row.id for row in compare([store(variants=("ticket",))])}
