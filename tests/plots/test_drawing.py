import csv
import statistics
from dataclasses import replace

import pytest
from helpers import synthetic, tracked_stores
from helpers.tracked_analyses import (
    CONNECTION,
    INSTABILITY,
    approximations,
    barriers,
    lines,
)

from pipeline.artifacts import parquet
from pipeline.plots import FIGURES, PlotError, density_curves, draw
from pipeline.plots.density_curves import early_stop_step
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.spread import extent, one_dense, variants_of
from pipeline.plots.style import looks, ticks
from pipeline.results.tables import round_results, rows
from pipeline.tracking import TrackedStore


def stored(root, **what):
    """What `read` gives, without the detour through MLflow."""
    synthetic.fabricate(root, **what)
    plan = {n: v for n, v in what.items() if n != "diverged"}
    found = round_results(root, synthetic.active(**plan))
    layers, curves = [], []
    for record, row in zip(found, rows(found), strict=True):
        place = {n: row[n] for n in ("task", "variant", "seed", "round")}
        for layer, size in record.sizes.items():
            density = record.facts["kept"][layer] / size
            layers.append(place | {"layer": layer, "density": density})
        for point in parquet.load_curves(record.folder / "curves.parquet").to_pylist():
            if (point["seed"], point["split"]) == (row["seed"], "validation"):
                loss = point["loss"] if point["loss"] == point["loss"] else None
                curves.append(place | point | {"density": row["density"], "loss": loss})
    return TrackedStore(
        experiment="toy",
        rounds=tuple(rows(found)),
        layers=tuple(layers),
        curves=tuple(curves),
    )


def test_a_task_without_variants_is_a_marker_of_the_cost_figure(tmp_path):
    store = stored(tmp_path, variants=("dense",), rounds=0)
    files = draw(replace(store, curves=()), out=tmp_path / "figures")
    assert [file.stem for file in files] == ["cost"]
    (line,) = table(tmp_path / "figures" / "cost.csv")
    assert (line["variant"], line["round"], line["seeds"]) == ("dense", "0", "2")


def table(path):
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


BASIC = (
    "test_accuracy",
    "test_accuracy_early_stop",
    "test_loss",
    "early_stop_step",
    "validation_curves",
    "layer_density",
    "cost",
)


def with_everything(root):
    """A store that has something for every figure."""
    store = stored(root, variants=("ticket", "reinit", "a", "b", "c"))
    costs = {"multiply_adds": 9, "find_multiply_adds": 5, "seconds": 2, "find_seconds": 1}
    costs["delay"] = 3
    return replace(
        store,
        rounds=tuple(
            row | costs | {"task": task} for task in ("x", "y") for row in store.rounds
        ),
        measures=tuple(
            {n: row[n] for n in ("variant", "seed", "round", "density")}
            | {"task": "x", "measure": "weight-norm", "step": 5, "value": 2.0}
            for row in store.rounds
        ),
        lines=lines(INSTABILITY | {"task": "x"}, barrier=0.1),
        barriers=barriers(CONNECTION | {"task": "x"}, barrier=0.1, overlap=0.5),
        approximations=tuple(approximations(task="x")),
    )


def test_seven_figures_and_a_table_beside_each(tmp_path):
    files = draw(stored(tmp_path), out=tmp_path / "figures")
    assert [file.name for file in files] == [f"{name}.png" for name in BASIC]
    beside = {path.name for path in (tmp_path / "figures").iterdir()}
    assert beside == {f"{n}.{kind}" for n in BASIC for kind in ("png", "csv")}


def test_every_figure_is_drawn_if_the_store_has_data_for_it(tmp_path):
    files = draw(with_everything(tmp_path), out=tmp_path / "f")
    names = {file.stem for file in files}
    assert names >= {"protocols", "cost", "interpolation-x", "criteria-x", "criteria-y"}
    assert {name.partition("-")[0] for name in names} == set(FIGURES) - {
        "validation_curves",
        "layer_density",
    }
    assert "interpolation-y" not in names
    for file in files:
        assert table(file.with_suffix(".csv"))


@pytest.mark.parametrize("name", sorted(set(FIGURES) - set(BASIC)))
def test_a_figure_without_data_is_refused_if_it_is_named(tmp_path, name):
    store = stored(tmp_path)
    with pytest.raises(PlotError) as error:
        draw(store, out=tmp_path / "f", figures=["test_accuracy", name])
    assert str(error.value) == (
        f"nothing to show in {name}: it needs {FIGURES[name].needs}, "
        "which experiment 'toy' does not have"
    )
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    "format", ["png", *(pytest.param(f, marks=pytest.mark.slow) for f in ("svg", "pdf"))]
)
def test_the_same_store_gives_the_same_bytes(tmp_path, format):
    store = stored(tmp_path)
    names = ("test_accuracy", "validation_curves")
    everything = with_everything(tmp_path / "more")
    others = set(FIGURES) - set(BASIC) - {"criteria"}
    for one, other in zip(
        draw(everything, out=tmp_path / "c", figures=others, format=format),
        draw(everything, out=tmp_path / "d", figures=others, format=format),
        strict=True,
    ):
        assert one.read_bytes() == other.read_bytes()
    first = draw(store, out=tmp_path / "a", figures=names, format=format)
    second = draw(store, out=tmp_path / "b", figures=names, format=format)
    for one, other in zip(first, second, strict=True):
        assert one.suffix == f".{format}"
        assert one.read_bytes() == other.read_bytes()


def test_the_table_holds_the_mean_and_range_over_seeds(tmp_path):
    store = stored(tmp_path)
    draw(store, out=tmp_path, figures=["test_accuracy"])
    lines = table(tmp_path / "test_accuracy.csv")
    assert len(lines) == 2 * 3
    values = [
        row["test_accuracy"]
        for row in store.rounds
        if (row["variant"], row["round"]) == ("ticket", 2)
    ]
    assert lines[2] == {
        "task": "main",
        "variant": "ticket",
        "round": "2",
        "density": str(170538 / 266200),
        "metric": "test_accuracy",
        "mean": str(statistics.fmean(values)),
        "min": str(min(values)),
        "max": str(max(values)),
        "seeds": "2",
        "censored": "0",
        "diverged": "0",
        "winning": "",
        "published": "",
    }


@pytest.mark.parametrize(
    ("steps", "kind", "mean"),
    [((100, 400), "geometric_mean", 200), ((0, 400), "mean", 200)],
)
def test_early_stop_steps_have_the_mean_that_verdicts_use_where_there_is_one(
    steps, kind, mean
):
    store = tracked_stores.store(seeds=(0, 1), step=lambda *place: steps[place[-1]])
    found = early_stop_step(FigureInput(store=store))
    (axes,) = found.figure.axes
    assert axes.get_ylabel() == f"Early-stop step (updates), {kind.replace('_', ' ')}"
    assert [row[kind] for row in found.table] == pytest.approx([mean] * 22)
    assert {(row["min"], row["max"]) for row in found.table} == {steps}
    (dense,) = [line for line in axes.lines if line.get_label() == "dense network"]
    assert list(dense.get_ydata()) == pytest.approx([mean] * 2)


def test_tables_of_tasks_that_did_not_train_have_no_winning_ticket(tmp_path):
    won = []
    for name, untrained in (("a", ()), ("b", ["main"])):
        store = tracked_stores.store(densities=(0.8, 0.64))
        draw(store, out=tmp_path / name, figures=["test_accuracy"], untrained=untrained)
        lines = table(tmp_path / name / "test_accuracy.csv")
        won.append([line["round"] for line in lines if line["winning"]])
    assert won == [["2"], []]


def test_the_table_of_layers_holds_every_round(tmp_path):
    draw(stored(tmp_path), out=tmp_path, figures=["layer_density"])
    lines = table(tmp_path / "layer_density.csv")
    assert len(lines) == 2 * 3 * 3
    last = [line for line in lines if line["layer"] == "fc3.weight"][1]
    assert (last["round"], last["mean"]) == ("1", "0.9")


def test_several_tasks_get_a_set_of_files_each(tmp_path):
    store = stored(tmp_path, tasks=("main", "wide"))
    files = draw(store, out=tmp_path / "f", figures=["early_stop_step"])
    names = [file.name for file in files]
    assert names == ["early_stop_step-main.png", "early_stop_step-wide.png"]
    assert {line["task"] for line in table(tmp_path / "f/early_stop_step-wide.csv")} == {
        "wide"
    }


def test_diverged_seeds_are_counted_not_averaged(tmp_path):
    failed = {("ticket", 1, 0), ("ticket", 2, 0), ("ticket", 2, 1)}
    store = stored(tmp_path, diverged=failed)
    draw(store, out=tmp_path / "f")
    lines = table(tmp_path / "f/test_accuracy.csv")
    assert [(line["seeds"], line["diverged"]) for line in lines[:3]] == [
        ("2", "0"),
        ("1", "1"),
        ("0", "2"),
    ]
    assert lines[2]["mean"] == ""


def test_a_single_round_and_many_variants_can_be_drawn(tmp_path):
    store = stored(tmp_path, rounds=1, seeds=(0,), variants=tuple("abcdefgh"))
    assert len(draw(store, out=tmp_path / "f")) == 8


def test_networks_without_any_weight_are_in_the_tables_alone(tmp_path):
    """A logarithmic axis has no place for them."""

    def emptied(rows):
        return tuple(row | {"density": 0.0} if row["round"] == 2 else row for row in rows)

    store = with_everything(tmp_path)
    place = CONNECTION | {"task": "x", "round": 2}
    some = (row | {"task": "x"} for row in store.layers)
    store = replace(
        store,
        rounds=emptied(store.rounds),
        layers=emptied(some),
        barriers=emptied(
            row
            for barrier in (0.1, None)
            for row in barriers(place, barrier=barrier, overlap=0.5)
        ),
    )
    ours = ("test_accuracy", "layer_density", "criteria", "error_barrier", "mask_overlap")
    draw(store, out=tmp_path / "f", figures=ours)
    for name in set(ours) - {"criteria"}:
        lines = table(tmp_path / f"f/{name}-x.csv")
        assert "0.0" in [line["density"] for line in lines if line["round"] == "2"]


def test_a_ticket_without_any_weight_has_no_star():
    store = tracked_stores.store(densities=(0.8, 0.0))
    found = density_curves.test_accuracy(FigureInput(store=store))
    assert [row["density"] for row in found.table if row["winning"]] == [0.0]
    (axes,) = found.figure.axes
    assert not [line for line in axes.lines if line.get_marker() == "*"]


def test_a_store_without_curves_or_layers_can_be_drawn(tmp_path):
    store = replace(stored(tmp_path), curves=(), layers=())
    files = draw(store, out=tmp_path)
    assert [file.stem for file in files] == [*BASIC[:4], "cost"]


def test_a_task_that_only_trains_densely_has_no_curves_over_rounds(tmp_path):
    dense = tuple(row for row in tracked_stores.store().rounds if row["round"] == 0)
    store = replace(tracked_stores.store(), rounds=dense)
    assert draw(store, out=tmp_path) == []


def test_the_mean_of_equal_numbers_is_not_rounded_outside_of_them():
    assert extent([0.1] * 3) == (0.1, 0.1, 0.1)


def test_unknown_figures_and_formats_are_refused_in_one_line(tmp_path):
    store = stored(tmp_path)
    with pytest.raises(PlotError, match="unknown figure: accuracy; did you mean "):
        draw(store, out=tmp_path / "f", figures=["accuracy"])
    with pytest.raises(PlotError, match=r"unknown format: gif \(known: png, svg, pdf\)"):
        draw(store, out=tmp_path / "f", format="gif")
    with pytest.raises(PlotError, match="'toy' holds no results; run `dvc repro`"):
        draw(replace(store, rounds=()), out=tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_ticks_have_room_for_their_labels():
    ladder = [0.8**n for n in range(11)]
    assert ticks(ladder, room=0.05) == ladder
    assert ticks(ladder, room=0.15) == [1.0, *ladder[2:9:2], ladder[-1]]
    assert ticks([1.0], room=0.1) == [1.0]


def test_well_known_variants_look_the_same_in_every_figure():
    alone = looks(["reinit"])["reinit"]
    assert looks(["ticket", "zebra", "reinit"])["reinit"] == alone
    many = looks(["ticket", *"abcdefghijklmnopqrstuvw"]).values()
    assert len({(look["color"], look["marker"]) for look in many}) == 24


def test_well_known_variants_come_first():
    names = ["abc", "reinit (lr 0.1)", "one-shot", "ticket"]
    in_order = variants_of([{"variant": name} for name in names])
    assert in_order == ["ticket", "reinit (lr 0.1)", "one-shot", "abc"]


def test_the_dense_network_is_a_reference_only_if_variants_share_it():
    one = {"round": 0, "seed": 0, "accuracy": 0.9}
    assert one_dense([one, one], "accuracy") == [one]
    assert one_dense([one, one | {"accuracy": 0.8}], "accuracy") is None
