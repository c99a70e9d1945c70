"""A folder of Parquet files is judged like the store that it was written from."""

from dataclasses import replace

import pytest
from helpers.tracked_stores import store, with_barriers

from pipeline.compare import compare
from pipeline.core.looks import Looks
from pipeline.tracking import TrackingError, shared_tables

STORES = [
    with_barriers(store(variants=("ticket",)), lambda seed, pair: 0.001 * (seed + pair)),
    store(experiment="other", seeds=range(3)),
]


def test_a_folder_gives_the_verdicts_of_its_store(tmp_path):
    shared_tables.write(STORES, tmp_path / "made")
    assert {path.name for path in (tmp_path / "made").iterdir()} == set(shared_tables.FILES)
    found = shared_tables.read(tmp_path / "made")
    assert [one.experiment for one in found] == ["other", "toy"]
    assert compare(found) == compare(sorted(STORES, key=lambda one: one.experiment))


def test_a_column_that_only_one_experiment_has_is_read_back_in_that_one(tmp_path):
    plain, fitted = store(seeds=range(2)), store(experiment="fitted", seeds=range(2))
    fits = {"fitted_step": 10, "generalized_step": None, "delay": None}
    fitted = replace(fitted, rounds=tuple(row | fits for row in fitted.rounds))
    approximated = replace(plain, approximations=({"task": "main", "epsilon": 0.01},))
    shared_tables.write([approximated, fitted], tmp_path)
    found = shared_tables.read(tmp_path)
    assert [one.rounds for one in found] == [fitted.rounds, plain.rounds]
    assert [one.approximations for one in found] == [(), approximated.approximations]


def test_delays_that_no_seed_has_are_read_back_where_they_were_asked_for(tmp_path):
    never = dict.fromkeys(("fitted_step", "generalized_step", "delay"))
    plain, asked = store(seeds=range(2)), store(seeds=range(2))
    rows = [row | never | {"task": "asked"} for row in asked.rounds]
    settings = {
        ("asked", variant): {**found, "train.evaluate_train": "true"}
        for (_, variant), found in asked.settings.items()
    }
    both = replace(
        plain, rounds=(*rows, *plain.rounds), settings={**plain.settings, **settings}
    )
    shared_tables.write([both], tmp_path)
    assert shared_tables.read(tmp_path)[0] == both


def test_looks_and_one_experiment_are_read_back(tmp_path):
    open_ended = store(seeds=range(2))
    shared_tables.write([open_ended], tmp_path)
    assert shared_tables.read(tmp_path, "toy")[0].looks == Looks(at=(8, 10, 12))
    with pytest.raises(TrackingError, match="no experiment 'nope' in "):
        shared_tables.read(tmp_path, "nope")


def test_a_folder_without_tables_is_refused_in_one_line(tmp_path):
    with pytest.raises(TrackingError, match="no table of results") as caught:
        shared_tables.read(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
