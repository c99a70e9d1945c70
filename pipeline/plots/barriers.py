"""Error barriers and mask overlap: one number per pair of networks, against where.

A barrier is the rise of the error on the line above the mean of its ends (Frankle et al.
2020); below 2 points they call a start stable.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.core.analysis.interpolation import STABLE_BELOW
from pipeline.plots.between import (
    INTERPOLATED,
    PERCENT,
    THRESHOLD,
    Spot,
    analyses_of,
    by_spot,
    by_step,
    label,
)
from pipeline.plots.shown import Shown
from pipeline.plots.spread import extent
from pipeline.plots.style import Drawn, looks, new_figure, weights_axis
from pipeline.results.tables import Row

WIDE = 15
"""points of barrier beyond which the axis is logarithmic above the threshold: a linear
one would show nothing of it"""
DODGE = 0.09
"""between series, in steps of an evenly spaced axis"""

CHANCE: Mapping[str, Any] = {"linestyle": (0, (3, 2)), "marker": "", "linewidth": 1.1}

Place = Callable[[Row], float]
"""row -> x"""


def error_barrier(shown: Shown) -> Drawn | None:
    """Against the step where dense copies part, and against weights remaining."""
    known = [row for row in shown.store.barriers if row["error_barrier"] is not None]
    dense = [row for row in known if by_step(row)]
    sparse = [row for row in known if not by_step(row) and row["density"] is not None]
    sides = [side for side in (dense, sparse) if side]
    if not sides:
        return None
    figure = new_figure(8.2 if len(sides) > 1 else 5.4, 3.9)
    style = looks(analyses_of(known))
    table: list[Row] = []
    first: Axes | None = None
    for position, rows in enumerate(sides):
        axes = figure.add_subplot(1, len(sides), position + 1, sharey=first)
        place = _steps_axis(axes, rows) if rows is dense else _density_axis(axes, rows)
        table += _draw_barriers(axes, rows, style, place)
        axes.axhline(PERCENT * STABLE_BELOW, zorder=1.5, **THRESHOLD)
        if first is None:
            first = axes
            axes.set_ylabel("Error barrier (points)")
        else:
            axes.tick_params(labelleft=False)
    if first is not None:
        _barrier_axis(first, [PERCENT * row["error_barrier"] for row in known])
    handles = _series_legend(known, style)
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(sides), 2))
    return Drawn(figure, table)


def mask_overlap(shown: Shown) -> Drawn | None:
    """Weights kept by both masks among those kept by either, and what chance gives."""
    known = [
        row
        for row in shown.store.barriers
        if row["mask_overlap"] is not None and row["density"] is not None
    ]
    if not known:
        return None
    # The masks of a pair are the same however the statistics of norms were made.
    once = {(r["analysis"], r["round"], r["step"], r["seed"], r["pair"]): r for r in known}
    rows = list(once.values())
    figure = new_figure(5.8, 3.9)
    axes = figure.add_subplot()
    place = _density_axis(axes, rows)
    style = looks(analyses_of(rows))
    table: list[Row] = []
    for name, look in style.items():
        spots = by_spot([row for row in rows if row["analysis"] == name])
        table += _draw_series(axes, spots, place, look, metric="mask_overlap")
        chance = {**look, **CHANCE}
        metric = "mask_overlap_by_chance"
        table += _draw_series(axes, spots, place, chance, metric=metric)
    axes.set_ylim(0, 1.04)
    axes.set_ylabel("Mask overlap (kept by both / by either)")
    handles = [Line2D([], [], label=label(name, rows), **style[name]) for name in style]
    dashed: dict[str, Any] = {"color": "black", **CHANCE}
    handles.append(Line2D([], [], label="the same, by chance", **dashed))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return Drawn(figure, table)


def _draw_barriers(
    axes: Axes, rows: Sequence[Row], style: Mapping[str, Mapping[str, Any]], place: Place
) -> list[Row]:
    table: list[Row] = []
    for name in analyses_of(rows):
        mine = [row for row in rows if row["analysis"] == name]
        for way in dict.fromkeys(row["statistics"] for row in mine):
            spots = by_spot([row for row in mine if row["statistics"] == way])
            look = style[name] if way == INTERPOLATED else _hollow(style[name])
            table += _draw_series(axes, spots, place, look, metric="error_barrier")
    return table


def _hollow(look: Mapping[str, Any]) -> dict[str, Any]:
    """Of recalibrated statistics."""
    return {**look, "markerfacecolor": "white", "linestyle": (0, (4, 1.6))}


def _draw_series(
    axes: Axes,
    spots: Mapping[Spot, Sequence[Row]],
    place: Place,
    look: Mapping[str, Any],
    *,
    metric: str,
) -> list[Row]:
    """Mean and range over pairs and seeds at every place."""
    scale = PERCENT if metric == "error_barrier" else 1
    points: list[tuple[float, float, float, float]] = []
    table: list[Row] = []
    for rows in spots.values():
        values = [row[metric] for row in rows if row[metric] is not None]
        if values:
            mean, low, high = extent(values)
            points.append((place(rows[0]), mean, mean - low, high - mean))
            head = _head(rows[0], metric)
            found = {"mean": mean, "min": low, "max": high, "pairs": len(values)}
            table.append(head | found)
    if points:
        x, means, below, above = zip(*sorted(points), strict=True)
        cap = 2.2 if look["marker"] else 0
        bars: dict[str, Any] = {"capsize": cap, "elinewidth": 0.9, "capthick": 0.9}
        bars["yerr"] = [[scale * v for v in side] for side in (below, above)]
        axes.errorbar(x, [scale * mean for mean in means], **bars, **look)
    return table


def _head(row: Row, metric: str) -> Row:
    names = ("task", "analysis", "kind", "of", "to", "round", "step", "density")
    return {name: row[name] for name in (*names, "statistics")} | {"metric": metric}


def _steps_axis(axes: Axes, rows: Sequence[Row]) -> Place:
    """Evenly spaced: steps are chosen as 0, 100, 500, 2,000, and 0 has no logarithm."""
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
    return lambda row: number[row["step"]] + shift[row["analysis"]]


def _density_axis(axes: Axes, rows: Sequence[Row]) -> Place:
    weights_axis(axes, [row["density"] for row in rows], room=0.1)
    return lambda row: float(row["density"])


def _barrier_axis(axes: Axes, barriers: Sequence[float]) -> None:
    threshold = PERCENT * STABLE_BELOW
    top = max(*barriers, 2 * threshold)
    bottom = min(*barriers, 0)
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
