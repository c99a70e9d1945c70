"""Figure of the test error on the line between two networks.

It follows figure 2 of Frankle et al. 2020.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.core.analysis.interpolation import STABLE_BELOW
from pipeline.plots.analyses import (
    PERCENT,
    STATISTICS,
    PlaceKey,
    by_place,
    ends,
    place_name,
)
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import legend_above, wrapped_title
from pipeline.plots.panels import COLUMNS, panels
from pipeline.plots.spread import extent
from pipeline.plots.style import Drawn
from pipeline.results.tables import Row

PANELS = 12
"""for all analyses together; each gets its first and last place and some between"""
LEAST_HEIGHT = 2.5
"""height of a panel in units of the stability threshold, so that a flat line looks flat"""

Line = dict[float, tuple[float, float, float]]
"""alpha -> (mean, least, greatest) over pairs and seeds"""


def interpolation(given: FigureInput) -> Drawn | None:
    """One panel per analysis and place, with a thin line per pair and a thick mean."""
    places = _chosen(by_place(given.store.lines))
    if not places:
        return None
    figure, columns = panels(len(places), height=2.6, share_y=False)
    table: list[Row] = []
    drawn: set[str] = set()
    for position, (rows, (axes,)) in enumerate(zip(places, columns, strict=True)):
        place = f"{rows[0]['analysis']}, {place_name(rows[0])}\n({ends(rows[0])})"
        axes.set_title(wrapped_title(place))
        axes.set_xlabel("Between the networks (α)")
        axes.set_xlim(0, 1)
        if position % COLUMNS == 0:
            axes.set_ylabel("Test error (%)")
        for way, look in STATISTICS.items():
            mine = [row for row in rows if row["statistics"] == way]
            line = _line(mine)
            if line:
                _draw(axes, mine, line, look)
                table += _table(mine[0], line)
                drawn.add(way)
        _make_room(axes)
    handles = _legend([way for way in STATISTICS if way in drawn])
    legend_above(figure, handles, columns=2 if len(places) < 3 else 4)
    return Drawn(figure, table)


def _chosen(places: Mapping[PlaceKey, list[Row]]) -> list[list[Row]]:
    """Rows of evenly chosen places of every analysis; places without any error are out."""
    groups: dict[str, list[list[Row]]] = defaultdict(list)
    for (name, _, _), rows in places.items():
        if any(row["error"] is not None for row in rows):
            groups[name].append(rows)
    each = max(2, PANELS // max(len(groups), 1))
    chosen = []
    for found in groups.values():
        positions = np.linspace(0, len(found) - 1, min(each, len(found)))
        chosen += [found[n] for n in positions.round().astype(int)]
    return chosen


def _line(rows: Sequence[Row]) -> Line:
    points: dict[float, list[float]] = defaultdict(list)
    for row in rows:
        if row["error"] is not None:
            points[row["alpha"]].append(row["error"])
    return {alpha: extent(v) for alpha, v in sorted(points.items())}


def _draw(axes: Axes, rows: Sequence[Row], line: Line, look: Mapping[str, Any]) -> None:
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        error = float("nan") if row["error"] is None else row["error"]
        pairs[row["seed"], row["pair"]].append((row["alpha"], PERCENT * error))
    for points in pairs.values():
        axes.plot(*zip(*sorted(points), strict=True), linewidth=0.6, alpha=0.55, **look)
    alphas = list(line)
    means = [PERCENT * mean for mean, _, _ in line.values()]
    axes.plot(alphas, means, linewidth=2.2, zorder=3, **look)
    ends = fmean((means[0], means[-1]))
    band = {"color": look["color"], "alpha": 0.1, "linewidth": 0}
    axes.axhspan(ends, ends + PERCENT * STABLE_BELOW, zorder=1, **band)


def _make_room(axes: Axes) -> None:
    low, high = axes.get_ylim()
    least = LEAST_HEIGHT * PERCENT * STABLE_BELOW
    if high - low < least:
        low = max(0.0, (low + high - least) / 2)
        axes.set_ylim(low, low + least)


def _legend(ways: Sequence[str]) -> list[Artist]:
    means: list[Artist] = [
        Line2D([], [], linewidth=2.2, label=f"mean, {way} statistics", **STATISTICS[way])
        for way in ways
    ]
    if len(ways) == 1:
        means[0].set_label("mean of all pairs")
    thin = Line2D([], [], color="black", linewidth=0.6, alpha=0.55, label="one pair")
    color = STATISTICS[ways[0]]["color"] if len(ways) == 1 else "black"
    band = Patch(
        label="up to 2 points above the ends: stable", color=color, alpha=0.1, linewidth=0
    )
    return [*means, thin, band]


def _table(row: Row, line: Line) -> list[Row]:
    names = ("task", "analysis", "kind", "of", "to", "round", "step", "density")
    head = {name: row[name] for name in (*names, "statistics")}
    return [
        head | {"alpha": alpha, "mean": mean, "min": low, "max": high}
        for alpha, (mean, low, high) in line.items()
    ]
