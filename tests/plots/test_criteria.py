import itertools
from dataclasses import replace

import pytest
from helpers.tracked_stores import OWN, store

from pipeline.plots.criteria import LEAST, criteria
from pipeline.plots.figure_input import FigureInput

NAMES = [f"criterion-{n:02}" for n in range(14)]


def shown(*, variants=("ticket", *NAMES), lowest=0.9):
    """The higher the number in its name, the better the criterion."""

    def accuracy(variant, density, seed):
        if variant in ("dense", "ticket"):
            return 0.98 + 0.001 * (seed % 2)
        return lowest + 0.002 * int(variant[-2:]) - 0.001 * (seed % 2)

    recipes = {name: OWN | {"rewind.to": "theta0"} for name in variants}
    return FigureInput(store=store(variants=variants, accuracy=accuracy, recipes=recipes))


def test_fifteen_variants_are_rows_from_the_best_to_the_worst():
    found = criteria(shown())
    first = found.figure.axes[0]
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names == [*NAMES, "ticket"]
    assert [row["variant"] for row in found.table[:6]] == ["ticket"] * 3 + [NAMES[-1]] * 3
    titles = [axes.get_title() for axes in found.figure.axes]
    assert titles == [f"{n} % of the weights" for n in ("41.1", "21.1", "10.8")]


def test_the_rows_of_many_variants_do_not_overlap():
    found = criteria(shown())
    found.figure.draw_without_rendering()
    labels = found.figure.axes[0].get_yticklabels()
    boxes = sorted(label.get_window_extent().y0 for label in labels)
    gaps = [b - a for a, b in itertools.pairwise(boxes)]
    assert min(gaps) > labels[0].get_window_extent().height


def test_the_table_holds_the_mean_and_range_over_seeds():
    row = criteria(shown()).table[-1]
    assert (row["variant"], row["density"], row["seeds"]) == (NAMES[0], 0.108, 8)
    assert (row["mean"], row["min"], row["max"]) == pytest.approx((0.8995, 0.899, 0.9))


@pytest.mark.parametrize(("lowest", "scale"), [(0.6, "function"), (0.91, "linear")])
def test_one_bad_criterion_does_not_squeeze_the_others(lowest, scale):
    axes = criteria(shown(lowest=lowest)).figure.axes[0]
    assert axes.get_xscale() == scale
    low, high = axes.get_xlim()
    assert low < 100 * lowest
    assert high > 98.1


def test_a_variant_without_that_density_has_an_empty_row():
    base = shown()
    rows = [
        row
        for row in base.store.rounds
        if row["variant"] != NAMES[3] or row["density"] > 0.2
    ]
    found = criteria(FigureInput(store=replace(base.store, rounds=tuple(rows))))
    means = [row["mean"] for row in found.table if row["variant"] == NAMES[3]]
    assert [mean is None for mean in means] == [False, False, True]


def test_a_variant_near_none_of_the_densities_is_left_out():
    base = shown()
    rows = [
        row | {"density": 0.95} if row["variant"] == NAMES[3] and row["round"] else row
        for row in base.store.rounds
    ]
    found = criteria(FigureInput(store=replace(base.store, rounds=tuple(rows))))
    names = [la.get_text() for la in found.figure.axes[0].get_yticklabels()]
    assert names == [*(name for name in NAMES if name != NAMES[3]), "ticket"]


def test_all_panels_have_the_axis_that_one_of_them_needs():
    def accuracy(variant, density, seed):
        return 0.98 if variant in ("dense", "ticket") or density > 0.2 else 0.6

    base = shown()
    recipes = {name: OWN | {"rewind.to": "theta0"} for name in ("ticket", *NAMES)}
    found = store(variants=("ticket", *NAMES), accuracy=accuracy, recipes=recipes)
    figure = criteria(replace(base, store=found)).figure
    assert {axes.get_xscale() for axes in figure.axes} == {"function"}


def test_a_network_without_errors_has_a_place_on_the_axis():
    def accuracy(variant, density, seed):
        return 1.0 if variant in ("dense", "ticket") else 0.6

    recipes = {name: OWN | {"rewind.to": "theta0"} for name in ("ticket", *NAMES)}
    found = store(variants=("ticket", *NAMES), accuracy=accuracy, recipes=recipes)
    axes = criteria(FigureInput(store=found)).figure.axes[0]
    low, high = axes.get_xlim()
    place = axes.transData.transform
    assert low < 60
    assert high > 100
    assert place((60, 0))[0] < place((99, 0))[0] < place((100, 0))[0] < place((high, 0))[0]
    assert 100 in axes.get_xticks()


def test_few_variants_have_no_criteria_figure():
    assert criteria(shown(variants=("ticket", *NAMES[: LEAST - 2]))) is None
    assert criteria(shown(variants=("ticket", *NAMES[: LEAST - 1]))) is not None
