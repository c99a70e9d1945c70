from dataclasses import replace

import pytest
from helpers.tracked_stores import DENSITIES, store

from pipeline.plots.cost import cost
from pipeline.plots.figure_input import FigureInput

DENSE = 1000


def with_costs(rows, *, task="main", times=1):
    """Every round costs its density and all before it."""
    ladder = (1.0, *DENSITIES)
    return tuple(
        row
        | {"task": task}
        | {"multiply_adds": times * DENSE * row["density"]}
        | {"find_multiply_adds": DENSE * sum(ladder[: row["round"]])}
        for row in rows
    )


def shown(*rows):
    return FigureInput(store=replace(store(), rounds=sum(rows, ())))


def test_a_rounds_cost_includes_the_trainings_before_it():
    found = cost(shown(with_costs(store().rounds)))
    costs = {(row["variant"], row["round"]): row["median_cost"] for row in found.table}
    assert costs["ticket", 1] == pytest.approx(1000 + 800)
    assert costs["ticket", 2] == pytest.approx(1000 + 800 + 641)
    assert len(found.figure.axes) == 1


def test_seconds_get_a_panel_if_they_are_known():
    rows = with_costs(store().rounds)
    timed = tuple(row | {"seconds": 2.0, "find_seconds": 5.0} for row in rows)
    found = cost(shown(timed))
    labels = [axes.get_xlabel() for axes in found.figure.axes]
    assert labels == [
        "Multiply-adds of the training and of those it needs",
        "Seconds of the training and of those it needs",
    ]
    assert {row["median_cost"] for row in found.table if row["cost"] == "seconds"} == {7.0}


def test_one_training_that_waited_does_not_move_the_cost():
    rows = with_costs(store(seeds=range(3)).rounds)
    timed = (
        row | {"seconds": 600.0 if row["seed"] == 1 else 2.0, "find_seconds": 5.0}
        for row in rows
    )
    found = cost(shown(tuple(timed)))
    assert {row["median_cost"] for row in found.table if row["cost"] == "seconds"} == {7.0}


def test_a_round_has_the_same_height_in_both_panels():
    rows = with_costs(store(seeds=range(3)).rounds)
    timed = tuple(
        row
        | {"test_accuracy": 0.9 + 0.01 * row["seed"], "find_seconds": 5.0}
        | {"seconds": 2.0 if row["seed"] else None}
        for row in rows
    )
    found = cost(shown(timed))
    counts = {(row["cost"], row["seeds"], row["seeds_with_cost"]) for row in found.table}
    assert counts == {("multiply_adds", 3, 3), ("seconds", 3, 2)}
    assert [row["mean"] for row in found.table] == pytest.approx([0.91] * 42)


def test_every_dense_network_is_one_marker_with_its_name():
    main = with_costs(store().rounds)
    dense = [row | {"variant": "dense"} for row in store().rounds if row["round"] == 0]
    found = cost(shown(main, with_costs(dense, task="long", times=9)))
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels == ["ticket", "reinit", "main: dense", "long"]
    long = [row for row in found.table if row["task"] == "long"]
    assert [(row["median_cost"], row["seeds"]) for row in long] == [(9000, 8)]


def test_every_setting_has_a_dense_network_of_its_own():
    of_store = with_costs(store().rounds)
    rows = tuple(
        row
        | {"variant": f"{row['variant']} (lr {rate})"}
        | {"test_accuracy": row["test_accuracy"] - rate}
        for rate in (0.1, 0.01)
        for row in of_store
    )
    found = cost(shown(rows))
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert labels[-2:] == ["dense network (lr 0.01)", "dense network (lr 0.1)"]
    means = [row["mean"] for row in found.table if row["round"] == 0]
    assert means[0] == pytest.approx(means[1] + 0.09)


def test_variants_of_several_tasks_are_named_with_their_task():
    both = [with_costs(store(variants=("ticket",)).rounds, task=name) for name in "ab"]
    labels = [t.get_text() for t in cost(shown(*both)).figure.legends[0].get_texts()]
    assert labels == ["a: ticket", "b: ticket", "a: dense", "b: dense"]


def test_all_labels_of_the_axis_are_different():
    rows = tuple(r | {"find_multiply_adds": 1000} for r in with_costs(store().rounds))
    (axes,) = cost(shown(rows)).figure.axes
    low, high = axes.get_xlim()
    assert high / low < 10
    labels = [axes.xaxis.get_major_formatter()(at) for at in axes.get_xticks()]
    assert len(set(labels)) == len(labels) > 1


def test_rounds_of_unknown_cost_are_left_out():
    rows = with_costs(store(variants=("ticket",)).rounds)
    some = tuple(r | {"find_multiply_adds": None} if r["round"] > 2 else r for r in rows)
    assert [row["round"] for row in cost(shown(some)).table] == [1, 2, 0]
    assert cost(shown(store().rounds)) is None


def test_first_and_last_rounds_say_how_many_weights_remain():
    found = cost(shown(with_costs(store().rounds)))
    axes = found.figure.axes[0]
    last = max(row["round"] for row in found.table)
    ends = {f"{100 * r['density']:.1f}" for r in found.table if r["round"] in (1, last)}
    assert ends <= {text.get_text() for text in axes.texts} | {"100.0"}
    title = found.figure.legends[0].get_title().get_text()
    assert "weights remaining (%)" in title
    assert "min–max over 8 seeds" in title


def test_labels_cover_no_other_label_and_no_marker():
    """Rounds pile up at the right, because a sparse round costs little."""
    ladder = [0.65**n for n in range(11)]
    rows = tuple(
        row
        | {"density": ladder[row["round"]]}
        | {"multiply_adds": ladder[row["round"]], "find_multiply_adds": sum(ladder[:n])}
        for row in store(variants=("ticket", "reinit")).rounds
        if (n := row["round"]) < len(ladder)
    )
    figure = cost(shown(rows)).figure
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 4
    points = [
        axes.transData.transform(point)
        for line in axes.lines
        for point in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    for number, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[number + 1 :])
        assert not any(box.contains(*point) for point in points)
        assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
    curves = [line.get_path().transformed(axes.transData) for line in axes.lines]
    crossed = [c.intersects_bbox(box, filled=False) for box in boxes for c in curves]
    assert sum(crossed) <= 4, "only the ends of the two curves may stand on a line"


def test_the_axis_is_linear_where_costs_are_close():
    close = tuple(r | {"find_multiply_adds": 1000} for r in with_costs(store().rounds))
    far = tuple(r | {"find_multiply_adds": 1000**2} for r in close if r["round"])
    assert cost(shown(close)).figure.axes[0].get_xscale() == "linear"
    assert cost(shown(close + far)).figure.axes[0].get_xscale() == "log"
