from dataclasses import replace

from helpers.tracked_stores import store

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.measures import measures

STEPS = (0, 1, 10, 100)


def tracked(names=("mask-distance", "weight-norm"), variants=("ticket", "reinit")):
    given = store(variants=variants, seeds=(0, 1), densities=(0.5,))
    points = [
        {n: row[n] for n in ("task", "variant", "seed", "round", "density")} | {"step": s}
        for row in given.rounds
        for s in STEPS
    ]
    curves = [p | {"split": "validation", "accuracy": 0.5, "loss": 1.0} for p in points]
    rows = [
        p | {"measure": name, "value": float(p["step"] + p["seed"])}
        for name in names
        for p in points
    ]
    return FigureInput(store=replace(given, curves=tuple(curves), measures=tuple(rows)))


def test_accuracy_and_each_measure_are_a_panel_per_variant():
    found = measures(tracked())
    axes = found.figure.axes
    assert [one.get_title() for one in axes if one.get_title()] == ["ticket", "reinit"]
    labels = [one.get_ylabel() for one in axes if one.get_ylabel()]
    assert labels == [
        "Validation\naccuracy (%)",
        "Norm\nof the weights",
        "Jaccard distance\nof masks",
    ]
    assert {axes_.get_xscale() for axes_ in axes} == {"symlog"}
    norm = axes[1].lines[0]
    assert (list(norm.get_xdata()), list(norm.get_ydata())) == (
        [0, 1, 10, 100],
        [0.5, 1.5, 10.5, 100.5],
    )


def test_the_table_has_mean_and_range_over_seeds():
    found = measures(tracked(variants=("ticket",)))
    (line,) = [
        row
        for row in found.table
        if (row["measure"], row["round"], row["step"]) == ("weight-norm", 1, 10)
    ]
    assert (line["mean"], line["min"], line["max"]) == (10.5, 10, 11)


def test_a_store_without_measures_has_no_such_figure():
    assert measures(tracked(names=())) is None
