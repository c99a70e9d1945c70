from dataclasses import replace

import pytest
from helpers.tracked_analyses import CONNECTION, INSTABILITY, barriers
from helpers.tracked_stores import store

from pipeline.plots.barriers import error_barrier, mask_overlap
from pipeline.plots.figure_input import FigureInput

ROUNDS = {1: 0.8, 5: 0.33, 15: 0.035}


def shown(*rows):
    return FigureInput(store=replace(store(), barriers=sum(rows, ())))


def at_rounds(place, barrier, **more):
    return [
        barriers(place | {"round": n, "density": d}, barrier=barrier, **more)
        for n, d in ROUNDS.items()
    ]


def at_steps(*steps, **more):
    return [barriers(INSTABILITY | {"step": step}, **more) for step in steps]


def test_dense_copies_are_drawn_against_the_step_and_variants_against_density():
    found = error_barrier(
        shown(*at_steps(0, 500, 2000, barrier=0.1), *at_rounds(CONNECTION, 0.3))
    )
    steps, densities = found.figure.axes
    assert [tick.get_text() for tick in steps.get_xticklabels()] == ["0", "500", "2,000"]
    assert steps.lines[0].get_xdata().tolist() == [0, 1, 2]
    assert densities.lines[0].get_xdata().tolist() == [0.8, 0.33, 0.035][::-1]
    assert densities.get_xlim()[0] > densities.get_xlim()[1]


def test_dense_networks_of_two_seeds_are_drawn_against_density():
    place = CONNECTION | {"analysis": "seeds", "of": "dense", "to": "other-seed"}
    place |= {"round": 0, "density": 1.0}
    found = error_barrier(
        shown(*at_steps(0, 500, barrier=0.1), barriers(place, barrier=0.8))
    )
    steps, densities = found.figure.axes
    assert [tick.get_text() for tick in steps.get_xticklabels()] == ["0", "500"]
    assert densities.lines[0].get_xdata().tolist() == [1.0]
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert "seeds (dense to another seed's)" in labels


def test_the_table_holds_the_mean_and_range_over_pairs_and_seeds():
    found = error_barrier(shown(*at_steps(0, barrier=0.1)))
    (row,) = found.table
    assert (row["mean"], row["min"], row["max"]) == pytest.approx((0.105, 0.1, 0.11))
    assert (row["step"], row["pairs"], row["metric"]) == (0, 2, "error_barrier")


@pytest.mark.parametrize(("barrier", "scale"), [(0.03, "linear"), (0.5, "symlog")])
def test_large_barriers_do_not_hide_the_threshold(barrier, scale):
    (axes,) = error_barrier(shown(*at_steps(0, barrier=barrier))).figure.axes
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[0] < 2 < axes.get_ylim()[1]


def test_recalibrated_statistics_are_hollow():
    rows = at_steps(0, 100, barrier=0.1, ways=("interpolated", "recalibrated"))
    found = error_barrier(shown(*rows))
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels == [
        "copies (copies of dense)",
        "statistics recalibrated",
        "2 points: below is stable",
        "min–max over 2 pairs and seeds",
    ]
    faces = {line.get_markerfacecolor() for line in found.figure.axes[0].lines}
    assert "white" in faces
    assert len(found.table) == 4


def test_a_diverged_pair_has_no_barrier():
    known = barriers(INSTABILITY, barrier=0.1, seeds=(0,))
    lost = barriers(INSTABILITY, barrier=None, seeds=(1,))
    found = error_barrier(shown(known, lost))
    (row,) = found.table
    assert (row["pairs"], row["diverged"], row["mean"]) == (1, 1, 0.1)
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels[-1] == "some pairs diverged"
    (cross,) = [line for line in found.figure.axes[0].lines if line.get_marker() == "x"]
    assert cross.get_ydata().tolist() == [10.0]


def test_a_place_where_all_pairs_diverged_has_a_cross_at_the_top():
    lost = at_steps(500, barrier=None)
    found = error_barrier(shown(*at_steps(0, barrier=0.1), *lost))
    assert [(row["pairs"], row["diverged"], row["mean"]) for row in found.table] == [
        (2, 0, pytest.approx(0.105)),
        (0, 2, None),
    ]
    (axes,) = found.figure.axes
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert cross.get_xdata().tolist() == [1]
    alone = error_barrier(shown(*lost))
    assert [row["diverged"] for row in alone.table] == [2]


def test_a_place_lies_at_the_mean_density_of_its_seeds():
    rows = [
        row | {"density": density}
        for row, density in zip(barriers(CONNECTION, barrier=0.1), (0.2, 0.4), strict=True)
    ]
    found = error_barrier(shown(tuple(rows)))
    assert found.figure.axes[0].lines[0].get_xdata().tolist() == pytest.approx([0.3])
    assert found.table[0]["density"] == pytest.approx(0.3)


def test_overlap_and_chance_are_drawn_against_density_once_per_pair():
    ways = ("interpolated", "recalibrated")
    rows = at_rounds(CONNECTION, 0.3, overlap=0.7, by_chance=0.5, ways=ways)
    found = mask_overlap(shown(*rows))
    assert {(row["metric"], row["mean"], row["pairs"]) for row in found.table} == {
        ("mask_overlap", 0.7, 2),
        ("mask_overlap_by_chance", 0.5, 2),
    }
    assert len(found.table) == 6


@pytest.mark.parametrize(("num_rounds", "marker"), [(1, "_"), (2, "")])
def test_what_chance_gives_is_visible_at_a_single_round_too(num_rounds, marker):
    rows = at_rounds(CONNECTION, 0.3, overlap=0.7, by_chance=0.5)[:num_rounds]
    found = mask_overlap(shown(*rows))
    by_chance = found.figure.legends[0].get_lines()[1]
    assert by_chance.get_marker() == marker
    assert any(line.get_marker() == marker for line in found.figure.axes[0].lines)


def test_equal_masks_have_no_overlap_figure():
    assert mask_overlap(shown(*at_rounds(CONNECTION, 0.3))) is None
    assert error_barrier(shown()) is None
