from dataclasses import replace

import pytest
from helpers.tracked_analyses import approximations
from helpers.tracked_stores import store

from pipeline.plots.approximations import approximation
from pipeline.plots.figure_input import FigureInput


def drawn(found):
    return approximation(FigureInput(store=replace(store(), approximations=tuple(found))))


def test_errors_and_accuracies_are_drawn_against_candidates():
    found = drawn(approximations() + approximations("relu"))
    errors, accuracies = found.figure.axes
    assert errors.get_yscale() == "log"
    curves = [one.lines[0] for one in errors.containers]
    assert len(curves) == 2 * 3
    assert [tuple(curve.get_xdata()) for curve in curves] == [(4, 6, 8)] * 6
    assert len(accuracies.containers) == 2 * 2
    highest = accuracies.containers[1].lines[0].get_ydata()
    assert list(highest) == [98.0] * 3


def test_the_table_has_mean_and_range_over_seeds():
    found = drawn(approximations())
    (line,) = [
        row
        for row in found.table
        if (row["metric"], row["candidates"]) == ("error_median", 6)
    ]
    assert (line["mean"], line["min"], line["max"]) == pytest.approx(
        (1.5 / 64, 1 / 64, 2 / 64)
    )
    assert (line["series"], line["seeds"]) == ("direct", 2)


def test_a_sparse_target_is_a_curve_of_its_own():
    found = drawn(approximations() + approximations(of="ticket", density=0.211))
    names = {row["series"] for row in found.table}
    assert names == {"direct", "direct of ticket, 21.1 %"}


def entry(name, n, **facts):
    return approximations(candidates=(n,), approximation=name, **facts)


def series(*found):
    table = drawn(row for rows in found for row in rows).table
    return {row["series"]: row["seeds"] for row in table}


def test_entries_that_differ_in_candidates_alone_are_one_curve():
    assert series(entry("direct-4", 4), entry("direct-6", 6)) == {"direct": 2}


def test_entries_of_other_errors_or_settings_are_other_curves():
    apart = entry("loose", 4, epsilon_asked=0.1), entry("strong", 4)
    assert series(*apart) == {"direct, ε = 0.1": 2, "direct, ε = 0.01": 2}
    apart = entry("direct (lr 0.1)", 4), entry("direct (lr 0.2)", 4)
    assert series(*apart) == {"direct (lr 0.1)": 2, "direct (lr 0.2)": 2}


def test_entries_with_the_same_number_of_candidates_are_a_curve_each():
    both = series(entry("one", 4), entry("other", 4), entry("other-6", 6))
    assert both == {"direct: one": 2, "direct: other": 2, "direct: other-6": 2}


def test_a_store_without_approximations_has_no_such_figure():
    assert drawn([]) is None
