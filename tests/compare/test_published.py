import pytest
from helpers.one_claim import book
from helpers.tracked_stores import RECIPES, SETTINGS, store

from pipeline.compare import published

READING = "{kind: reading, variant: ticket, metric: test_accuracy, at: [0.2], low: 0.9}"
DIFFERENCE = (
    "{kind: difference, variant: ticket, against: reinit, metric: test_accuracy, "
    "at: [0.5, 0.2], low: 0.0}"
)
RATIO = "{kind: ratio, variant: ticket, against: dense, at: [0.2], high: 1.0}"
LATER = "{kind: ratio, variant: ticket, against: ticket, at: [.5], against_at: .2, low: 1}"
LEAVES = (
    "{kind: leaves, variant: reinit, against: dense, metric: test_accuracy, upper: 0.4, "
    "lower: 0.1, margin: 0.002}"
)


def rows(check, number="0.98", **what):
    return published(store(**what), book(check, number))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (READING, [("reading", "test_accuracy", "ticket", None, None, 0.2, 0.98)]),
        (
            DIFFERENCE,
            [
                ("difference", "test_accuracy", "ticket", "reinit", 0.5, 0.5, 0.98),
                ("difference", "test_accuracy", "ticket", "reinit", 0.2, 0.2, 0.98),
            ],
        ),
        (RATIO, [("ratio", "early_stop_step", "ticket", "dense", 0.2, 0.2, 0.98)]),
        (LATER, [("ratio", "early_stop_step", "ticket", "ticket", 0.2, 0.5, 0.98)]),
        (LEAVES, [("leaves", "test_accuracy", "reinit", None, None, 0.98, None)]),
    ],
)
def test_claims_with_a_number_become_rows(check, expected):
    columns = ("kind", "metric", "variant", "against", "against_at", "density", "value")
    found = rows(check)
    assert [tuple(row[name] for name in columns) for row in found] == expected
    assert {(row["task"], row["source"], row["where"]) for row in found} == {
        ("main", "Somebody 2019", "Figure 1")
    }


def test_variants_are_found_by_their_settings_not_by_their_name():
    recipes = {"mine": dict(store().settings["main", "ticket"])}
    (row,) = rows(READING, variants=("mine",), recipes=recipes)
    assert row["variant"] == "mine"


def test_claims_in_words_and_about_missing_variants_give_no_row():
    assert rows(READING, number="less") == []
    assert rows(DIFFERENCE, variants=("ticket",)) == []


def test_another_protocol_or_too_few_steps_give_no_row():
    assert rows(READING, settings=SETTINGS | {"train.lr": "0.1"}) == []
    assert rows(READING, steps=9000) == []


def test_a_diverged_training_takes_no_number_away():
    def accuracy(variant, density, seed):
        return None if (density, seed) == (0.108, 3) else 0.98

    assert rows(READING, accuracy=accuracy) == rows(READING) != []


def test_a_start_at_another_step_than_the_protocols_gives_no_row():
    steps = ("dense_accuracy: 0.97", "dense_accuracy: 0.97\n    recipe: {rewind.step: 300}")
    found = book(READING, "0.98", steps)
    for step, num in (("300", 1), ("200", 0)):
        recipes = {"ticket": RECIPES["ticket"] | {"rewind.step": step}}
        here = store(variants=["ticket"], recipes=recipes)
        assert len(published(here, found)) == num


def test_the_published_claims_mark_a_run_of_lenet():
    found = published(store())
    assert {row["kind"] for row in found} >= {"reading", "difference", "ratio", "leaves"}
    assert {row["variant"] for row in found} == {"dense", "ticket", "reinit"}
