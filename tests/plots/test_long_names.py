"""Legends and titles have room for the names that the program makes itself."""

from dataclasses import replace

import pytest
from helpers.tracked_analyses import CONNECTION, barriers
from helpers.tracked_stores import OWN, RECIPES, store

from pipeline.plots import FIGURES
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import wrapped_title

LONG = [f"ticket (lr {lr}, steps {n})" for lr in ("0.0012", "0.1") for n in (1500, 15000)]


def given(names):
    recipes = dict.fromkeys(names, OWN | {"rewind.to": "theta0"})
    one = store(variants=names, recipes=RECIPES | recipes)
    rows = tuple(row | {"task": task} for task in "ab" for row in one.rounds)
    place = CONNECTION | {"task": "a"}
    analyses = [{"analysis": name, "of": name, "to": names[0]} for name in names]
    known = [barriers(place | one, barrier=0.1, overlap=0.5) for one in analyses]
    return FigureInput(store=replace(one, rounds=rows, barriers=sum(known, ())))


def drawn(name, names):
    what = given(names)
    figure = (
        FIGURES[name].draw(what if FIGURES[name].all_tasks else what.of_task("a")).figure
    )
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(
    "name",
    ["test_accuracy", "early_stop_step", "protocols", "error_barrier", "mask_overlap"],
)
def test_no_legend_is_wider_than_its_figure(name):
    figure = drawn(name, LONG)
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    (axes, *_) = figure.axes
    assert axes.get_window_extent().height > 0.4 * figure.bbox.height


def test_short_names_stand_side_by_side_and_rows_of_long_ones_need_height():
    short, long = (drawn("test_accuracy", names) for names in ("abcd", LONG))
    boxes = [figure.axes[0].get_window_extent().height for figure in (short, long)]
    assert boxes[1] == pytest.approx(boxes[0], rel=0.05)
    assert short.get_figheight() < long.get_figheight()


def test_titles_of_panels_are_wrapped():
    title = wrapped_title(f"{LONG[0]}, and a name of the user's beside it\n(ends)")
    assert all(len(line) <= 32 for line in title.split("\n"))
    assert title.endswith("\n(ends)")
