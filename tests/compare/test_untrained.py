"""Figures and verdicts agree on which dense networks did not train."""

from dataclasses import replace

import pytest
from helpers import tracked_stores

from pipeline.compare import compare, untrained
from pipeline.tracking import TrackedStore

DENSE_FAILED = "the dense network did not train"


def store(*accuracies, **what) -> TrackedStore:
    """A task per accuracy that all its networks reach."""
    parts = {
        f"task-{n}": tracked_stores.store(
            variants=["ticket"], accuracy=lambda *_, reached=reached: reached, **what
        )
        for n, reached in enumerate(accuracies)
    }
    return replace(
        tracked_stores.store(),
        rounds=tuple(
            row | {"task": task} for task, part in parts.items() for row in part.rounds
        ),
        settings={
            (task, "ticket"): part.settings["main", "ticket"]
            for task, part in parts.items()
        },
    )


def test_an_untrained_task_is_named_with_the_reason():
    assert untrained(store(0.98, 0.15, None)) == {
        "task-1": "its test accuracy is 15.0%, 90% are expected",
        "task-2": "it diverged with 8 of 8 seeds",
    }


@pytest.mark.parametrize("reached", [0.98, 0.90, 0.89, 0.15, None])
def test_the_verdict_on_the_definition_is_the_same(reached):
    found = store(reached)
    (row,) = [row for row in compare([found]) if row.id == "winning-ticket"]
    assert bool(untrained(found)) == (row.verdict == DENSE_FAILED)


def test_a_dense_network_that_was_not_run_did_not_fail():
    whole = tracked_stores.store(densities=(*tracked_stores.DENSITIES, 0.036))
    found = replace(whole, rounds=tuple(row for row in whole.rounds if row["round"]))
    assert untrained(found) == {}
    rows = {row.id: row for row in compare([found])}
    for name in ("lenet-dense", "lenet-faster-at-21", "winning-ticket"):
        assert (rows[name].verdict, rows[name].note) == ("not run", "no dense network")
    assert rows["lenet-slower-below-21"].seeds == 8  # of tickets alone


def test_without_a_protocol_a_network_fails_only_by_diverging():
    other = tracked_stores.SETTINGS | {"data": "digits"}
    assert untrained(store(0.15, None, settings=other)).keys() == {"task-1"}
