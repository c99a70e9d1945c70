from dataclasses import replace

from helpers.tracked_stores import store

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.protocols import protocols


def of_tasks(**variants):
    parts = [
        tuple(row | {"task": task} for row in store(variants=names).rounds)
        for task, names in variants.items()
    ]
    return FigureInput(store=replace(store(), rounds=sum(parts, ()), settings={}))


def test_tasks_with_the_same_variants_are_drawn_side_by_side():
    both = ("ticket", "reinit")
    found = protocols(of_tasks(correct=both, script=both))
    left, right = found.figure.axes
    assert (left.get_title(), right.get_title()) == ("correct", "script")
    assert {row["task"] for row in found.table} == {"correct", "script"}
    labels = [text.get_text() for text in found.figure.legends[0].get_texts()]
    shown = "min–max over 8 seeds"
    assert labels == ["ticket", "reinit", "dense network", "dense, min–max", shown]


def test_a_task_that_fails_does_not_flatten_the_others():
    good = store().rounds
    bad = [row | {"task": "bad", "test_accuracy": 0.1 * row["density"]} for row in good]
    tracked = replace(store(), rounds=(*good, *bad), settings={})
    left, right = axes = protocols(FigureInput(store=tracked)).figure.axes
    assert min(left.get_ylim()) > 90 > 20 > max(right.get_ylim())
    assert all(one.yaxis.get_tick_params()["labelleft"] for one in axes)
    assert [one.get_ylabel() for one in axes] == ["Test accuracy (%)", ""]


def test_a_panel_says_that_it_is_logarithmic_in_the_error():
    good = store().rounds
    bad = [
        row | {"task": "bad"} | ({"test_accuracy": 0.2} if row["round"] > 5 else {})
        for row in good
    ]
    tracked = replace(store(), rounds=(*good, *bad), settings={})
    left, right = protocols(FigureInput(store=tracked)).figure.axes
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "function")
    assert (left.get_title(), right.get_title()) == (
        "main",
        "bad\nlogarithmic in the error",
    )


def test_a_task_that_shares_no_variant_is_left_out():
    found = protocols(of_tasks(a=("ticket",), b=("ticket", "reinit"), c=("one-shot",)))
    assert [axes.get_title() for axes in found.figure.axes] == ["a", "b"]


def test_a_single_task_has_no_protocols_figure():
    assert protocols(of_tasks(a=("ticket",))) is None
    assert protocols(of_tasks(a=("ticket",), b=("reinit",))) is None
