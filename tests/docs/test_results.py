"""benchmarks/results.py: a section per experiment; the page says what the tables hold."""

import importlib
import re
import sys
from dataclasses import replace
from types import ModuleType

import pytest
from helpers.tracked_stores import RECIPES, SETTINGS, store
from helpers.workspace import ROOT

from pipeline.tracking import shared_tables

PAGE = """before
<!-- results -->
old
<!-- /results -->
<!-- new sections come here -->
after
"""


@pytest.fixture(scope="module")
def results() -> ModuleType:
    sys.path.append(str(ROOT / "benchmarks"))  # as when the script runs
    return importlib.import_module("results")


@pytest.fixture
def written(results, tmp_path, monkeypatch):
    """Write experiments into a page, without figures; what it says then."""
    monkeypatch.setattr(results, "drawn", lambda *_: iter(()))
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")

    def write(*stores):
        results.write(stores, None, page)
        return page.read_text(encoding="utf-8")

    return write


def test_an_experiment_gets_a_section_and_keeps_what_people_wrote_in_it(written, tmp_path):
    text = written(store(seeds=range(2)))
    assert text.startswith("before\n<!-- results -->\n| experiment |")
    assert text.endswith("<!-- new sections come here -->\nafter\n")
    assert "### toy\n\n<!-- toy -->\nTest accuracy (%)" in text
    assert "old" not in text
    said = text.replace("### toy\n", "### toy\n\nSeen here.\n")
    (tmp_path / "page.md").write_text(said, encoding="utf-8")
    again = written(store(seeds=range(3)), store(experiment="other", seeds=range(1)))
    assert "### toy\n\nSeen here.\n" in again
    assert "(least–greatest) of 3 seeds" in again
    assert again.count("<!-- toy -->") == again.count("<!-- other -->") == 1


def test_variants_of_several_tasks_stand_side_by_side(written):
    one = store(variants=("ticket",), seeds=range(2))
    rows = [row | {"task": task} for task in "ab" for row in one.rounds]
    rows = [row for row in rows if (row["task"], row["round"]) != ("b", 8)]
    text = written(replace(one, rounds=tuple(rows), settings={}))
    assert "Test accuracy of `b` (%)" in text
    assert "| | `a` | `b` |" in text


def test_tasks_with_variants_of_their_own_have_figures_of_their_own(results):
    one = store(variants=("ticket",), seeds=range(2))
    both = [
        row | {"task": task, "variant": name}
        for task, name in (("a", "ticket"), ("b", "reinit"))
        for row in one.rounds
    ]
    shared = [row | {"task": task} for task in "ab" for row in one.rounds]
    assert "test_accuracy" in results._figures(replace(one, rounds=tuple(both)))
    assert "test_accuracy" not in results._figures(replace(one, rounds=tuple(shared)))


def test_seeds_that_never_generalize_are_counted_and_not_averaged(written):
    one = store(variants=("ticket",), seeds=range(3))
    rows = [row | {"delay": 2.0 * row["seed"] or None} for row in one.rounds]
    text = written(replace(one, rounds=tuple(rows)))
    assert "| `ticket` | 3.0 (2.0–4.0) 1 never |" in text


def test_seeds_with_a_collapsed_layer_are_counted(written):
    one = store(variants=("ticket",), seeds=range(3))
    rows = [row | {"collapsed_layers": 3 * (row["seed"] > 0)} for row in one.rounds]
    text = written(replace(one, rounds=tuple(rows)))
    assert ") 2 collapsed |" in text


def test_dense_networks_of_other_settings_are_trainings_of_their_own(results):
    one = store(seeds=range(2), densities=(0.8,))
    other = [
        row | {"variant": f"{row['variant']} (lr 0.1)", "test_loss": 0.2}
        for row in one.rounds
    ]
    assert len(results.results_tables.trainings(one.rounds)) == 2 * (1 + 2)
    both = results.results_tables.trainings([*one.rounds, *other])
    assert len(both) == 2 * 2 * (1 + 2)


def test_a_table_says_that_some_of_its_cells_have_fewer_seeds(written):
    one = store(seeds=range(8))
    rows = [row for row in one.rounds if row["round"] < 5 or row["seed"] < 2]
    assert "(least–greatest) of 2–8 seeds:" in written(replace(one, rounds=tuple(rows)))
    assert "(least–greatest) of 8 seeds:" in written(one)


def test_a_task_with_only_a_dense_network_stands_beside_many_variants(results):
    names = {f"own-{n}": RECIPES["ticket"] for n in range(results.LEGIBLE)}
    many = {**names, "reinit": RECIPES["reinit"]}
    one = store(variants=many, recipes=many, seeds=range(1), densities=(0.8,))
    dense = {**one.rounds[0], "task": "small", "variant": "dense"}
    behind = {**one.settings, ("small", "dense"): SETTINGS}
    both = replace(one, rounds=(*one.rounds, dense), settings=behind)
    shown = {row["variant"] for row in results._own_masks(both).rounds}
    assert shown == {*names, "dense"}


def test_hours_of_trainings_without_seconds_are_not_counted_as_none(written):
    one = store(variants=("ticket",), seeds=range(2), densities=(), seconds=36000)
    assert "| 20.0 |\n" in written(one)
    first, *rest = one.rounds
    assert "| ≥ 10.0 |\n" in written(
        replace(one, rounds=(first | {"seconds": None}, *rest))
    )
    assert "| – |\n" in written(store(seeds=range(2)))


def test_a_ticket_of_two_experiments_has_the_name_of_each(written):
    one = store(variants=("ticket",))
    recipes = {"mine": RECIPES["ticket"], "other": RECIPES["one-shot"]}
    two = store(experiment="two", variants=recipes, recipes=recipes)
    text = written(one, two)
    shown = re.findall(r"nor to lose at all: (.*)\.", text)
    assert shown == ["`ticket`", "`mine`, `other`"]


def test_the_page_says_what_the_shared_tables_hold(results):
    page = results.PAGE.read_text(encoding="utf-8")
    for one in shared_tables.read(results.TABLES):
        section = page.partition(f"<!-- {one.experiment} -->\n")[2]
        assert section.startswith("\n".join(results.results_tables.tables(one)).strip())
