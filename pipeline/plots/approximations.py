"""Figure of approximations: how close random networks come to trained ones.

As the experiments of Pensia et al. 2020: errors fall by about half per candidate that is
added, and the pruned random network answers as its target does once they are small.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline.artifacts.paths import DENSE
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import legend_above
from pipeline.plots.spread import extent, range_over
from pipeline.plots.style import DENSE_COLOR, Drawn, looks, new_figure
from pipeline.results.tables import Row, percent

PERCENT = 100
ERRORS: Mapping[str, tuple[str, Any]] = {
    "error_median": ("median", "-"),
    "error_p99": ("99 % quantile", (0, (4, 1.6))),
    "epsilon": ("greatest (ε)", (0, (1, 1.4))),
}
"""error of the weights -> its name in the legend, and its line"""
TARGET: Mapping[str, Any] = {
    "color": DENSE_COLOR,
    "marker": "_",
    "markersize": 13,
    "markeredgewidth": 1.6,
    "linestyle": "none",
}
COLUMNS = ("task", "series", "candidates", "metric", "mean", "min", "max", "seeds")


def approximation(given: FigureInput) -> Drawn | None:
    """Errors of weights, and accuracies, against the number of candidates per weight."""
    groups = _groups(given.store.approximations)
    if not groups:
        return None
    figure = new_figure(8.2, 3.9)
    errors, accuracies = figure.subplots(1, 2)
    style = looks(list(groups))
    table: list[Row] = []
    for name, points in groups.items():
        look = style[name]
        for metric, (_, line) in ERRORS.items():
            drawn = {**look, "linestyle": line}
            table += _draw(errors, name, points, metric, drawn)
        table += _draw(accuracies, name, points, "accuracy", look, scale=PERCENT)
        table += _draw(accuracies, name, points, "target_accuracy", TARGET, scale=PERCENT)
        table += [_line(name, points, n, "kept_to_target") for n in sorted(points)]
    for asked in sorted({row["epsilon_asked"] for row in given.store.approximations}):
        errors.axhline(asked, color=DENSE_COLOR, linewidth=0.9, zorder=1.5)
    errors.set_yscale("log")
    errors.set_ylabel("Error of a weight (line: ε asked for)")
    accuracies.set_ylabel("Test accuracy (%)")
    for axes in (errors, accuracies):
        axes.set_xlabel("Candidates per weight")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = _legend(style, table)
    legend_above(figure, handles, columns=4)
    return Drawn(figure, table)


def _groups(rows: Sequence[Row]) -> dict[str, dict[int, list[Row]]]:
    """Curve -> number of candidates -> its rows, one per seed.

    Entries that differ in the number of candidates alone are one curve.
    """
    several_errors = len({row["epsilon_asked"] for row in rows}) > 1
    entries: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        entries[_series(row, several_errors=several_errors)][row["approximation"]].append(
            row
        )
    groups: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for series, named in entries.items():
        numbers = [{row["candidates"] for row in mine} for mine in named.values()]
        apart = sum(map(len, numbers)) > len(set.union(*numbers))
        for entry, mine in named.items():
            for row in mine:
                curve = f"{series}: {entry}" if apart else series
                groups[curve][row["candidates"]].append(row)
    return groups


def _series(row: Row, *, several_errors: bool) -> str:
    """What a curve is of: a construction, its target, its error, and its settings."""
    name = str(row["construction"])
    if row["of"] != DENSE:
        name += f" of {row['of']}, {percent(row['density'])} %"
    if several_errors:
        name += f", ε = {row['epsilon_asked']:g}"
    _, opening, settings = str(row["approximation"]).partition(" (")
    return name + opening + settings


def _draw(
    axes: Axes,
    name: str,
    points: Mapping[int, Sequence[Row]],
    metric: str,
    look: Mapping[str, Any],
    *,
    scale: int = 1,
) -> list[Row]:
    lines = [_line(name, points, number, metric) for number in sorted(points)]
    middle = [scale * line["mean"] for line in lines]
    below = [m - scale * line["min"] for m, line in zip(middle, lines, strict=True)]
    above = [scale * line["max"] - m for m, line in zip(middle, lines, strict=True)]
    axes.errorbar(
        [line["candidates"] for line in lines],
        middle,
        yerr=[[max(v, 0) for v in below], [max(v, 0) for v in above]],
        elinewidth=0.9,
        **look,
    )
    return lines


def _line(name: str, points: Mapping[int, Sequence[Row]], number: int, metric: str) -> Row:
    rows = points[number]
    mean, low, high = extent([row[metric] for row in rows])
    seeds = len({row["seed"] for row in rows})
    cells = (rows[0]["task"], name, number, metric, mean, low, high, seeds)
    return dict(zip(COLUMNS, cells, strict=True))


def _legend(style: Mapping[str, Mapping[str, Any]], table: Sequence[Row]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], label=name, **{**look, "linestyle": "none"})
        for name, look in style.items()
    ]
    handles += [
        Line2D([], [], label=text, color="black", linestyle=line)
        for text, line in ERRORS.values()
    ]
    handles.append(Line2D([], [], label="accuracy of the target", **TARGET))
    shown = range_over(line["seeds"] for line in table)
    if shown:
        bar: dict[str, Any] = {"color": DENSE_COLOR, "linestyle": "none", "marker": "|"}
        handles.append(Line2D([], [], label=shown, markersize=9, **bar))
    return handles
