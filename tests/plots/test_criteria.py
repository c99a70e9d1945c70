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


def diverging(name, *, below, seeds=range(8)):
    """A store of which one variant diverges, the best one elsewhere."""

    def accuracy(variant, density, seed):
        if variant == name and density < below and seed in seeds:
            return None
        return 0.99 if variant == name else 0.98 - 0.1 * (1 - density)

    names = ("ticket", *NAMES[:5])
    recipes = {name: OWN | {"rewind.to": "theta0"} for name in names}
    return FigureInput(store=store(variants=names, accuracy=accuracy, recipes=recipes))


def rows_of(found):
    return [label.get_text() for label in found.figure.axes[0].get_yticklabels()]


def crosses(found):
    return [
        sum(line.get_marker() == "x" for line in axes.lines) for axes in found.figure.axes
    ]


def test_a_variant_that_lacks_a_panel_is_below_those_that_have_all():
    found = criteria(diverging(NAMES[2], below=0.4))
    assert rows_of(found)[0] == NAMES[2]
    assert rows_of(criteria(diverging(NAMES[2], below=0)))[-1] == NAMES[2]


@pytest.mark.parametrize("seeds", [(0,), range(8)])
def test_diverged_seeds_have_a_cross(seeds):
    found = criteria(diverging(NAMES[2], below=0.4, seeds=seeds))
    assert crosses(found) == [0, 1, 1]
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels[-1] == "some seeds diverged"


def test_a_variant_that_diverges_everywhere_has_a_row():
    found = criteria(diverging(NAMES[2], below=0.9))
    assert rows_of(found)[0] == NAMES[2]
    assert crosses(found) == [1, 1, 1]


def test_the_dense_network_stands_for_no_variant():
    base = shown()
    rows = [
        row | {"density": 1 - 0.01 * row["round"]}
        for row in base.store.rounds
        if row["round"] < 9 and (row["round"] < 1 or row["variant"] != NAMES[3])
    ]
    rows += [
        row | {"density": 0.5}
        for row in base.store.rounds
        if row["variant"] == NAMES[3] and row["round"] == 1
    ]
    found = criteria(FigureInput(store=replace(base.store, rounds=tuple(rows))))
    assert NAMES[3] not in rows_of(found)


def test_the_panels_are_densities_that_most_variants_have():
    base = shown()
    rows = [r for r in base.store.rounds if r["variant"] != "ticket" or r["round"] < 2]
    found = criteria(FigureInput(store=replace(base.store, rounds=tuple(rows))))
    titles = [axes.get_title() for axes in found.figure.axes]
    assert titles == [f"{n} % of the weights" for n in ("41.1", "21.1", "10.8")]


def test_a_dense_network_without_a_range_has_no_band():
    def one(count):
        rows = [row for row in shown().store.rounds if row["seed"] < count]
        return criteria(FigureInput(store=replace(shown().store, rounds=tuple(rows))))

    for count, names in ((1, ["dense network"]), (2, ["dense network", "dense, min–max"])):
        legend = one(count).figure.legends[0]
        assert [text.get_text() for text in legend.get_texts()] == names


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
