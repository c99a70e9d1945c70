"""Figures of error barriers and mask overlap, one number per pair of networks.

A barrier is the highest error on the line between two networks minus the mean error of
its ends. Frankle et al. 2020 call a start stable if the barrier is below 2 points.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.core.analysis.interpolation import STABLE_BELOW
from pipeline.plots.analyses import (
    INTERPOLATED,
    PERCENT,
    THRESHOLD,
    PlaceKey,
    analyses_of,
    by_place,
    by_step,
    label,
)
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import legend_above
from pipeline.plots.spread import extent, range_over
from pipeline.plots.style import (
    DENSE_COLOR,
    DIVERGED,
    Drawn,
    diverged_entry,
    looks,
    new_figure,
    weights_axis,
)
from pipeline.results.tables import Row

WIDE = 15
"""a barrier above this many points makes the axis logarithmic above the threshold, which
would vanish on a linear one"""
DODGE = 0.09
"""shift between series, in units of the evenly spaced axis"""

CHANCE: Mapping[str, Any] = {"linestyle": (0, (3, 2)), "marker": "", "linewidth": 1.1}

ToX = Callable[[Sequence[Row]], float | None]
"""the rows of a place -> where it is drawn on the x axis; None = it has no place there"""


def error_barrier(given: FigureInput) -> Drawn | None:
    """Error barriers against the step where dense copies part, and against density.

    A pair whose line is not finite has no barrier: it diverged.
    """
    every = given.store.barriers
    dense = [row for row in every if by_step(row)]
    sparse = [row for row in every if not by_step(row) and row["density"] is not None]
    sides = [side for side in (dense, sparse) if side]
    if not sides:
        return None
    figure = new_figure(8.2 if len(sides) > 1 else 5.4, 3.9)
    style = looks(analyses_of(every))
    table: list[Row] = []
    first: Axes | None = None
    for position, rows in enumerate(sides):
        axes = figure.add_subplot(1, len(sides), position + 1, sharey=first)
        to_x = _steps_axis(axes, rows) if rows is dense else _density_axis(axes, rows)
        table += _draw_barriers(axes, rows, style, to_x)
        axes.axhline(PERCENT * STABLE_BELOW, zorder=1.5, **THRESHOLD)
        if first is None:
            first = axes
            axes.set_ylabel("Error barrier (points)")
        else:
            axes.tick_params(labelleft=False)
    if first is not None:
        reached = (row["error_barrier"] for row in every)
        _barrier_axis(first, [PERCENT * one for one in reached if one is not None])
    handles = [*_series_legend(every, style), *_bars_legend(table)]
    if any(row["diverged"] for row in table):
        handles.append(diverged_entry("some pairs diverged"))
    legend_above(figure, handles, columns=len(sides))
    return Drawn(figure, table)


def mask_overlap(given: FigureInput) -> Drawn | None:
    """Share of weights kept by both masks among those kept by either, and by chance."""
    known = [
        row
        for row in given.store.barriers
        if row["mask_overlap"] is not None and row["density"] is not None
    ]
    if not known:
        return None
    # The masks of a pair are the same however the statistics of norms were made.
    once = {(r["analysis"], r["round"], r["step"], r["seed"], r["pair"]): r for r in known}
    rows = list(once.values())
    figure = new_figure(5.8, 3.9)
    axes = figure.add_subplot()
    to_x = _density_axis(axes, rows)
    style = looks(analyses_of(rows))
    table: list[Row] = []
    for name, look in style.items():
        places = by_place([row for row in rows if row["analysis"] == name])
        table += _draw_series(axes, places, to_x, look, metric="mask_overlap")
        chance = {**look, **_chance(places)}
        metric = "mask_overlap_by_chance"
        table += _draw_series(axes, places, to_x, chance, metric=metric)
    axes.set_ylim(0, 1.04)
    axes.set_ylabel("Mask overlap (kept by both / by either)")
    handles = [Line2D([], [], label=label(name, rows), **style[name]) for name in style]
    by_chance = {"color": "black", **_chance(by_place(rows))}
    handles.append(Line2D([], [], label="the same, by chance", **by_chance))
    handles += _bars_legend(table)
    legend_above(figure, handles, columns=2)
    return Drawn(figure, table)


def _chance(places: Mapping[PlaceKey, object]) -> dict[str, Any]:
    """The look of what chance gives: a dashed line, or a dash if there is one place."""
    return {**CHANCE, "marker": "_", "markersize": 9} if len(places) == 1 else {**CHANCE}


def _bars_legend(table: Sequence[Row]) -> list[Line2D]:
    shown = range_over((line["pairs"] for line in table), "pairs and seeds")
    bar: dict[str, Any] = {"color": DENSE_COLOR, "linestyle": "none", "marker": "|"}
    return [Line2D([], [], label=shown, markersize=9, **bar)] if shown else []


def _draw_barriers(
    axes: Axes, rows: Sequence[Row], style: Mapping[str, Mapping[str, Any]], to_x: ToX
) -> list[Row]:
    table: list[Row] = []
    for name in analyses_of(rows):
        mine = [row for row in rows if row["analysis"] == name]
        for way in dict.fromkeys(row["statistics"] for row in mine):
            places = by_place([row for row in mine if row["statistics"] == way])
            look = style[name] if way == INTERPOLATED else _hollow(style[name])
            found = _draw_series(axes, places, to_x, look, metric="error_barrier")
            _mark_diverged(axes, places, to_x, found)
            table += found
    return table


def _mark_diverged(
    axes: Axes, places: Mapping[PlaceKey, Sequence[Row]], to_x: ToX, table: Sequence[Row]
) -> None:
    """Draw a cross where pairs diverged: on the marker, or at the top, if all did."""
    for rows, line in zip(places.values(), table, strict=True):
        x = to_x(rows)
        if x is None or not line["diverged"]:
            continue
        if line["mean"] is not None:
            axes.plot(x, PERCENT * line["mean"], zorder=4, **DIVERGED)
        else:
            top = axes.get_xaxis_transform()
            axes.plot(x, 0.98, transform=top, clip_on=False, **DIVERGED)


def _hollow(look: Mapping[str, Any]) -> dict[str, Any]:
    """The look of recalibrated statistics."""
    return {**look, "markerfacecolor": "white", "linestyle": (0, (4, 1.6))}


def _draw_series(
    axes: Axes,
    places: Mapping[PlaceKey, Sequence[Row]],
    to_x: ToX,
    look: Mapping[str, Any],
    *,
    metric: str,
) -> list[Row]:
    """Draw the mean and the range over pairs and seeds at every place."""
    scale = PERCENT if metric == "error_barrier" else 1
    points: list[tuple[float, float, float, float]] = []
    table: list[Row] = []
    for rows in places.values():
        values = [row[metric] for row in rows if row[metric] is not None]
        if metric != "error_barrier" and not values:
            continue
        found: Row = {"mean": None, "min": None, "max": None, "pairs": len(values)}
        if values:
            mean, low, high = extent(values)
            x = to_x(rows)
            points += [] if x is None else [(x, mean, mean - low, high - mean)]
            found |= {"mean": mean, "min": low, "max": high}
        if metric == "error_barrier":
            found["diverged"] = len(rows) - len(values)
        table.append(_head(rows, metric) | found)
    if points:
        at, means, below, above = zip(*sorted(points), strict=True)
        cap = 2.2 if look["marker"] else 0
        bars: dict[str, Any] = {"capsize": cap, "elinewidth": 0.9, "capthick": 0.9}
        bars["yerr"] = [[scale * v for v in side] for side in (below, above)]
        axes.errorbar(at, [scale * mean for mean in means], **bars, **look)
    return table


def _head(rows: Sequence[Row], metric: str) -> Row:
    names = ("task", "analysis", "kind", "of", "to", "round", "step", "density")
    known = [row["density"] for row in rows if row["density"] is not None]
    density = {"density": fmean(known) if known else None}
    head = {name: rows[0][name] for name in (*names, "statistics")}
    return head | density | {"metric": metric}


def _steps_axis(axes: Axes, rows: Sequence[Row]) -> ToX:
    """Space the steps evenly: a logarithmic axis has no place for step 0."""
    steps = sorted({row["step"] for row in rows})
    names = analyses_of(rows)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.xaxis.set_major_locator(FixedLocator(range(len(steps))))
    labels = {n: f"{step:,}" for n, step in enumerate(steps)}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: labels.get(round(x), "")))
    if len(steps) > 6:
        axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlabel("Step k at which dense copies part")
    number = {step: n for n, step in enumerate(steps)}
    shift = {n: DODGE * (i - (len(names) - 1) / 2) for i, n in enumerate(names)}
    return lambda place: number[place[0]["step"]] + shift[place[0]["analysis"]]


def _density_axis(axes: Axes, rows: Sequence[Row]) -> ToX:
    def density(place: Sequence[Row]) -> float:
        return fmean(row["density"] for row in place)

    weights_axis(axes, list(map(density, by_place(rows).values())), room=0.1)
    return lambda place: density(place) or None


def _barrier_axis(axes: Axes, barriers: Sequence[float]) -> None:
    threshold = PERCENT * STABLE_BELOW
    top = max([*barriers, 2 * threshold])
    bottom = min([*barriers, 0])
    if top <= WIDE:
        axes.set_ylim(bottom - 0.05 * top, 1.08 * top)
        return
    axes.set_yscale("symlog", linthresh=threshold, linscale=0.6)
    axes.set_ylim(bottom - 0.2, 1.3 * top)
    marks = [tick for tick in (-1, 0, 1, 2, 5, 10, 20, 50, 90) if bottom <= tick <= top]
    axes.yaxis.set_major_locator(FixedLocator(marks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _series_legend(
    rows: Sequence[Row], style: Mapping[str, Mapping[str, Any]]
) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], label=label(name, rows), **look) for name, look in style.items()
    ]
    if any(row["statistics"] != INTERPOLATED for row in rows):
        hollow = _hollow({"color": "black", "marker": "o"})
        handles.append(Line2D([], [], label="statistics recalibrated", **hollow))
    text = "2 points: below is stable"
    return [*handles, Line2D([], [], label=text, **THRESHOLD)]
