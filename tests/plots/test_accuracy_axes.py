"""Axes of accuracies end at 100 %, even if points lie close to it."""

from dataclasses import replace

import pytest
from helpers.tracked_stores import RECIPES, store

from pipeline.plots import FIGURES
from pipeline.plots.figure_input import FigureInput

COSTS = {"multiply_adds": 9, "find_multiply_adds": 5, "seconds": 2, "find_seconds": 1}


def near_100(variant, density, seed):
    return 1 - 0.0005 * seed


def shown(accuracy=near_100):
    """Five variants under each of two tasks, with learning curves."""
    one = store(variants=list(RECIPES), accuracy=accuracy, **COSTS)
    rows = tuple(row | {"task": task} for task in "ab" for row in one.rounds)
    curves = tuple(
        row | {"step": step, "loss": 0.1, "accuracy": row["test_accuracy"]}
        for row in rows
        for step in (0, 100)
    )
    return FigureInput(store=replace(one, rounds=rows, curves=curves, settings={}))


def limits(name, what):
    """Of the axes that show accuracies."""
    found = FIGURES[name].draw(what if FIGURES[name].all_tasks else what.of_task("a"))
    if name == "criteria":
        return [axes.get_xlim() for axes in found.figure.axes]
    panels = found.figure.axes[::2] if name == "validation_curves" else found.figure.axes
    return [axes.get_ylim() for axes in panels]


@pytest.mark.parametrize(
    "name",
    [
        "test_accuracy",
        "test_accuracy_early_stop",
        "validation_curves",
        "criteria",
        "protocols",
        "cost",
    ],
)
def test_the_axis_ends_at_100_percent(name):
    near = limits(name, shown())
    assert near
    assert all(low < 99.8 and high == 100 for low, high in near)
    far = limits(name, shown(lambda *where: near_100(*where) - 0.1))
    assert all(low < 89.8 and 90 < high < 91 for low, high in far)


@pytest.mark.parametrize("name", ["test_accuracy", "criteria", "protocols", "cost"])
def test_a_marker_at_the_end_of_the_axis_is_whole(name):
    what = shown(lambda *_: 1.0)
    found = FIGURES[name].draw(what if FIGURES[name].all_tasks else what.of_task("a"))
    for axes in found.figure.axes:
        marked = [x for x in axes.lines if x.get_marker() not in ("", "None", None)]
        assert marked
        assert not any(line.get_clip_on() for line in marked)


def test_where_one_network_fails_the_axis_is_logarithmic_in_the_error():
    fails = shown(lambda _, density, seed: 0.1 if density < 0.5 else 0.98 - 0.001 * seed)
    (axes,) = FIGURES["test_accuracy"].draw(fails.of_task("a")).figure.axes
    assert axes.get_ylabel().endswith("logarithmic in the error")
    to_axes = axes.transData + axes.transAxes.inverted()
    fail, best, worst = (to_axes.transform((0.5, y))[1] for y in (10, 98, 97.8))
    assert 0 < fail < 0.1
    assert best - worst > 0.02  # on a linear axis .002
    (axes,) = FIGURES["test_accuracy"].draw(shown().of_task("a")).figure.axes
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize("rounds", [1, 2, 8])
def test_no_marker_is_cut_off_where_variants_stand_side_by_side(rounds):
    given = shown().of_task("a")
    rows = tuple(row for row in given.store.rounds if row["round"] <= rounds)
    few = FigureInput(store=replace(given.store, rounds=rows))
    (axes,) = FIGURES["test_accuracy"].draw(few).figure.axes
    right, left = sorted(axes.get_xlim())
    drawn = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    at = [x for line in drawn for x in line.get_xdata()]
    assert 1.01 * right < min(at) < max(at) < left / 1.01
