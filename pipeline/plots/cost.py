"""Draw test accuracy against what the trainings of a network cost, for all tasks.

The cost is that of a network's own training and of the trainings that it needs. Passes
that score weights, as SNIP, GraSP and SynFlow make before a training, are not counted.
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)
from matplotlib.transforms import Bbox

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.spread import extent, pruned_variants, range_over, variants_of
from pipeline.plots.style import DENSE_COLOR, Drawn, end_at_100, looks, new_figure
from pipeline.results.tables import Row, percent

COSTS = {
    "multiply_adds": "Multiply-adds of the training and of those it needs",
    "seconds": "Seconds of the training and of those it needs",
}
"""column of a training's cost -> label; ``find_`` + name is the cost of those before it"""
DENSE_MARKERS = "oDs^vP*Xhd<>p"
LABELED = ((100, (1, 2, 5)), (math.inf, (1,)))
"""largest ratio of costs on the axis -> multiples of a power of 10 to label"""
LINEAR_UP_TO = 10
"""largest ratio of costs for which the axis is linear. A sparse round costs little, so
rounds pile up at the right; a logarithmic axis would push them closer still"""
FONT = 6.5
"""of labels, in points"""
PLACES = (
    (5, 3, "left"),
    (-5, 3, "right"),
    (5, -9, "left"),
    (-5, -9, "right"),
    (0, 6, "center"),
    (0, -12, "center"),
    (8, -3, "left"),
    (-8, -3, "right"),
)
"""where a label may stand: points right of and above its marker, and which part is there"""
NEAR = 14
"""points from a marker within which the same number is not written twice"""
SMALL = 1e4
"""a number below it is written without a power"""
TALL = 10
"""with more legend entries than this the figure grows"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One round of one series."""

    row: Row
    """task, variant, round"""
    density: float
    cost: float
    """median over seeds: a training that waits for its machine takes any time"""
    accuracy: tuple[float, float, float]
    """mean, least, greatest over seeds"""
    num_seeds: int
    """seeds with an accuracy"""
    num_costs: int
    """seeds with a cost"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One legend entry: the rounds of a variant, or one dense network."""

    label: str
    is_dense: bool
    rows: Sequence[Row]


def cost(given: FigureInput) -> Drawn | None:
    """One curve per variant over its rounds, and one marker per dense network.

    All tasks share the axes, because a useful baseline is often another task: a dense
    network trained as long as all rounds together, or a small dense network.
    """
    series = _series(given)
    sides = [name for name in COSTS if any(_points(one.rows, name) for one in series)]
    if not sides:
        return None
    style = _styles(series)
    height = 0.7 + 2.9 * len(sides)
    figure = new_figure(7.6, max(height, 3.7 + 0.2 * max(0, len(series) - TALL)))
    table: list[Row] = []
    handles: dict[str, Artist] = {}
    labeled: list[tuple[Axes, list[Point], str]] = []
    first: Axes | None = None
    for position, name in enumerate(sides):
        axes = figure.add_subplot(len(sides), 1, position + 1, sharey=first)
        for one in series:
            points = _points(one.rows, name)
            if points:
                _draw(axes, points, style[one.label])
                table += _table(points, name)
                labeled.append((axes, points, style[one.label]["color"]))
                entry = Line2D([], [], label=one.label, **style[one.label])
                handles.setdefault(one.label, entry)
        _cost_axis(axes, name)
        axes.set_ylabel("Test accuracy (%)")
        first = first or axes
    if first is not None:
        end_at_100(first)
    figure.legend(
        handles=list(handles.values()),
        loc="outside right center",
        title=_explained(table),
        title_fontsize=8,
    )
    _label_densities(figure, labeled)
    return Drawn(figure, table)


def _series(given: FigureInput) -> list[Series]:
    tasks = given.tasks
    with_variants = {row["task"] for row in given.store.rounds if row["round"]}
    found: list[Series] = []
    for task in tasks:
        rows = given.of_task(task).store.rounds
        for variant in pruned_variants(rows):
            mine = [row for row in rows if row["variant"] == variant and row["round"]]
            # If only one task has variants, the label needs no task.
            label = variant if len(with_variants) == 1 else f"{task}: {variant}"
            found.append(Series(label=label, is_dense=False, rows=mine))
    for task in tasks:
        label = _dense_label(task, tasks, with_variants)
        networks = _dense_networks(given.of_task(task).store.rounds)
        for variants, dense in networks:
            name = label + (_of_settings(variants) if len(networks) > 1 else "")
            found.append(Series(label=name, is_dense=True, rows=dense))
    return found


def _dense_label(task: str, tasks: Sequence[str], with_variants: Collection[str]) -> str:
    if len(tasks) == 1:
        return "dense network"
    return f"{task}: dense" if task in with_variants else task


def _dense_networks(rows: Sequence[Row]) -> list[tuple[list[str], list[Row]]]:
    """The dense networks of a task: the variants of each, and its rows, one per seed.

    Every variant repeats its dense network. There are several if results of several
    settings are drawn.
    """
    found: list[tuple[list[str], dict[int, Row]]] = []
    for variant in variants_of(rows):
        mine = [row for row in rows if row["variant"] == variant and row["round"] == 0]
        for variants, seeds in found:
            if all(_is_same(seeds.get(row["seed"], row), row) for row in mine):
                variants.append(variant)
                seeds.update({row["seed"]: row for row in mine})
                break
        else:
            found.append(([variant], {row["seed"]: row for row in mine}))
    return [(variants, list(seeds.values())) for variants, seeds in found]


def _is_same(one: Row, other: Row) -> bool:
    """Whether two rows are of one training."""
    return all(one.get(n) == other.get(n) for n in ("test_accuracy", *COSTS))


def _of_settings(variants: Sequence[str]) -> str:
    """The settings behind a dense network, as the names of its variants have them.

    >>> _of_settings(["ticket (lr 0.1)", "reinit (lr 0.1)"])
    ' (lr 0.1)'
    >>> _of_settings(["ticket", "reinit"])
    ' (of ticket, reinit)'
    """
    named = [name.partition(" (")[2].removesuffix(")") for name in variants]
    settings = list(dict.fromkeys(name for name in named if name))
    return f" ({', '.join(settings) or 'of ' + ', '.join(variants)})"


def _points(rows: Sequence[Row], name: str) -> list[Point]:
    """One point per round that has an accuracy and a known cost.

    Its accuracy is that of all seeds that have one, whichever costs are known: a round has
    the same height in every panel.
    """
    points = []
    for number in sorted({row["round"] for row in rows}):
        mine = [row for row in rows if row["round"] == number]
        reached = [r["test_accuracy"] for r in mine if r["test_accuracy"] is not None]
        costs = [row[name] + row[f"find_{name}"] for row in mine if _is_known(row, name)]
        if reached and costs:
            point = Point(
                row={n: mine[0][n] for n in ("task", "variant", "round")},
                density=fmean(row["density"] for row in mine),
                cost=median(costs),
                accuracy=extent(reached),
                num_seeds=len(reached),
                num_costs=len(costs),
            )
            points.append(point)
    return points


def _is_known(row: Row, name: str) -> bool:
    """Whether a row has its cost; very old ones lack it."""
    return all(row.get(column) is not None for column in (name, f"find_{name}"))


def _styles(series: Sequence[Series]) -> dict[str, dict[str, Any]]:
    style = looks([one.label for one in series if not one.is_dense])
    markers = itertools.cycle(DENSE_MARKERS)
    for one in series:
        if one.is_dense:
            style[one.label] = {
                "color": DENSE_COLOR,
                "marker": next(markers),
                "markersize": 7,
                "markerfacecolor": "white",
                "linestyle": "none",
            }
    return style


def _draw(axes: Axes, points: Sequence[Point], look: Mapping[str, Any]) -> None:
    means = [100 * p.accuracy[0] for p in points]
    below = [100 * (p.accuracy[0] - p.accuracy[1]) for p in points]
    above = [100 * (p.accuracy[2] - p.accuracy[0]) for p in points]
    axes.errorbar(
        [p.cost for p in points],
        means,
        yerr=[below, above],
        elinewidth=2.4,
        ecolor=to_rgba(look["color"], 0.25),
        **look,
    )


def _label_densities(
    figure: Figure, drawn: Sequence[tuple[Axes, list[Point], str]]
) -> None:
    """Write the weights remaining beside markers, where nothing else stands.

    The first and the last round of a curve come first; they may stand on a line where no
    place is free. Of curves that run side by side one has the label.
    """
    figure.draw_without_rendering()  # the layout decides where markers are
    scale = figure.dpi / 72
    taken: dict[Axes, list[Bbox]] = {}
    lines: dict[Axes, list[Path]] = {}
    written: dict[tuple[Axes, str], list[Bbox]] = {}
    for axes, points, _ in drawn:
        markers = (_box(axes, point, (-4, -4, 8, 8), scale) for point in points)
        taken.setdefault(axes, []).extend(markers)
        lines.setdefault(axes, []).append(Path([_pixel(axes, one) for one in points]))
    for axes, points, color in drawn:
        ends = {points[0].row["round"], points[-1].row["round"]}
        pruned = [point for point in points if point.row["round"]]
        for point in sorted(pruned, key=lambda p: p.row["round"] not in ends):
            text = percent(point.density)
            same = written.setdefault((axes, text), [])
            if _box(axes, point, (-NEAR, -NEAR, 2 * NEAR, 2 * NEAR), scale).count_overlaps(
                same
            ):
                continue
            free = _free_places(axes, point, text, scale, taken[axes])
            clear = [one for one in free if not _is_crossed(one[1], lines[axes])]
            usable = clear or (free if point.row["round"] in ends else [])
            if usable:
                place, box = usable[0]
                taken[axes].append(box)
                same.append(box)
                _write(axes, point, text, place, color)


def _free_places(
    axes: Axes, point: Point, text: str, scale: float, taken: Sequence[Bbox]
) -> list[tuple[tuple[float, float, str], Bbox]]:
    """Where the label of a point covers no marker and no label, and what it covers."""
    width = 0.66 * FONT * len(text)
    before = {"left": 0.0, "center": width / 2, "right": width}
    found: list[tuple[tuple[float, float, str], Bbox]] = []
    for right, above, side in PLACES:
        box = _box(axes, point, (right - before[side], above - 1, width, FONT + 2), scale)
        if (
            not box.count_overlaps(taken)
            and axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
        ):
            found.append(((right, above, side), box))
    return found


def _is_crossed(box: Bbox, lines: Sequence[Path]) -> bool:
    return any(one.intersects_bbox(box, filled=False) for one in lines)


def _box(
    axes: Axes, point: Point, place: tuple[float, float, float, float], scale: float
) -> Bbox:
    """A rectangle in pixels; its place is in points from the marker."""
    x, y = _pixel(axes, point)
    left, low, width, height = (scale * length for length in place)
    return Bbox.from_bounds(x + left, y + low, width, height)


def _pixel(axes: Axes, point: Point) -> tuple[float, float]:
    x, y = axes.transData.transform((point.cost, 100 * point.accuracy[0]))
    return float(x), float(y)


def _write(
    axes: Axes, point: Point, text: str, place: tuple[float, float, str], color: str
) -> None:
    right, above, side = place
    axes.annotate(
        text,
        (point.cost, 100 * point.accuracy[0]),
        xytext=(right, above),
        textcoords="offset points",
        horizontalalignment=side,
        color=color,
        fontsize=FONT,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=5,
    )


def _explained(table: Sequence[Row]) -> str:
    """The meaning of markers, their labels and bars."""
    shown = range_over(line["seeds"] for line in table)
    bars = f"\nbars: {shown}" if shown else ""
    return f"a marker per round; at it,\nits weights remaining (%){bars}"


def _cost_axis(axes: Axes, name: str) -> None:
    axes.set_xlabel(COSTS[name])
    axes.margins(x=0.05)
    format = _plain if name == "seconds" else _power
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format(x)))
    least, most = axes.dataLim.intervalx
    if most <= LINEAR_UP_TO * least:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log")
    subs = next(subs for reach, subs in LABELED if most / least <= reach)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format(x)))
    axes.xaxis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    return f"{value:,g}"


def _power(value: float) -> str:
    """A count as a tick label.

    >>> _power(2e12), _power(1.5e12), _power(1e12)
    ('$2×10^{12}$', '$1.5×10^{12}$', '$10^{12}$')
    """
    if value < SMALL:
        return _plain(value)
    digits, exponent = f"{value:.2e}".split("e")
    factor, power = f"{float(digits):g}", f"10^{{{int(exponent)}}}"
    return f"${power}$" if factor == "1" else f"${factor}×{power}$"


def _table(points: Sequence[Point], name: str) -> list[Row]:
    return [
        p.row
        | {
            "density": p.density,
            "cost": name,
            "median_cost": p.cost,
            "mean": p.accuracy[0],
            "min": p.accuracy[1],
            "max": p.accuracy[2],
            "seeds": p.num_seeds,
            "seeds_with_cost": p.num_costs,
        }
        for p in points
    ]
