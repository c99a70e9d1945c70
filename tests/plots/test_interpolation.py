from dataclasses import replace

import pytest
from helpers.tracked_analyses import CONNECTION, INSTABILITY, lines
from helpers.tracked_stores import store

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.interpolation import PANELS, interpolation


def drawn(*rows):
    return interpolation(FigureInput(store=replace(store(), lines=sum(rows, ()))))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_place_has_a_panel_with_its_pairs_and_their_mean():
    found = drawn(lines(INSTABILITY, barrier=0.1), lines(CONNECTION, barrier=0.3))
    titles = [axes.get_title() for axes in found.figure.axes]
    assert titles == [
        "copies, k = 0\n(copies of dense)",
        "two-ends, 80.0 %\n(ticket to reinit)",
    ]
    first, second, mean = found.figure.axes[0].lines
    assert max(first.get_ydata()) == pytest.approx(12)
    assert max(second.get_ydata()) == pytest.approx(13)
    assert max(mean.get_ydata()) == pytest.approx(12.5)
    assert mean.get_linewidth() > first.get_linewidth()
    assert legend(found.figure) == [
        "mean of all pairs",
        "one pair",
        "up to 2 points above the ends: stable",
    ]


def test_the_band_reaches_two_points_above_the_mean_of_the_ends():
    found = drawn(lines(INSTABILITY, barrier=0.1))
    (band,) = found.figure.axes[0].patches
    assert (band.get_y(), band.get_height()) == pytest.approx((2, 2))


def test_recalibrated_statistics_have_a_line_of_their_own():
    ways = ("interpolated", "recalibrated")
    found = drawn(lines(INSTABILITY, barrier=0.1, seeds=(0,), ways=ways))
    (_, mean, _, other) = found.figure.axes[0].lines
    assert mean.get_color() != other.get_color()
    assert mean.get_linestyle() != other.get_linestyle()
    assert legend(found.figure)[:2] == [
        "mean, interpolated statistics",
        "mean, recalibrated statistics",
    ]
    assert {row["statistics"] for row in found.table} == set(ways)


def test_the_table_holds_the_mean_and_range_over_pairs():
    found = drawn(lines(INSTABILITY, barrier=0.1))
    middle = next(row for row in found.table if row["alpha"] == 0.5)
    assert len(found.table) == 5
    reached = (middle["mean"], middle["min"], middle["max"])
    assert reached == pytest.approx((0.125, 0.12, 0.13))


def test_an_almost_flat_line_looks_flat():
    low, high = drawn(lines(INSTABILITY, barrier=0)).figure.axes[0].get_ylim()
    assert high - low >= 5


def test_points_without_an_error_are_gaps():
    gap = [row | {"error": None} for row in lines(INSTABILITY, barrier=0.1, seeds=(0,))]
    assert drawn(tuple(gap)) is None
    whole = lines(INSTABILITY, barrier=0.1, seeds=(1,))
    found = drawn((*gap, *whole))
    assert [row["min"] for row in found.table] == [row["error"] for row in whole]


def test_of_many_places_some_are_drawn_with_the_first_and_last():
    steps = range(0, 4000, 100)
    places = [lines(INSTABILITY | {"step": step}, barrier=0.1) for step in steps]
    panels = drawn(*places).figure.axes
    assert len(panels) == PANELS
    assert panels[0].get_title().startswith("copies, k = 0\n")
    assert panels[-1].get_title().startswith("copies, k = 3,900\n")


def test_without_lines_there_is_no_figure():
    assert drawn() is None
