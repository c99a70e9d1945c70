"""Test error on the straight line between two networks (Frankle et al. 2020, figure 2)."""

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
from pipeline.plots.between import PERCENT, STATISTICS, Spot, by_spot, ends, place
from pipeline.plots.panels import COLUMNS, panels
from pipeline.plots.shown import Shown
from pipeline.plots.spread import extent
from pipeline.plots.style import Drawn
from pipeline.results.tables import Row

PANELS = 12
"""shared by all analyses; each shows its ends, and places evenly between"""
LEAST_HEIGHT = 2.5
"""of a panel, in thresholds: a flat line must look flat"""

Line = dict[float, tuple[float, float, float]]
"""alpha -> (mean, least, greatest) over pairs and seeds"""


def interpolation(shown: Shown) -> Drawn | None:
    """A panel per analysis and place; a thin line per pair, the mean thick."""
    spots = _chosen(by_spot(shown.store.lines))
    if not spots:
        return None
    figure, columns = panels(len(spots), height=2.6, share_y=False)
    table: list[Row] = []
    seen: set[str] = set()
    for position, (rows, (axes,)) in enumerate(zip(spots, columns, strict=True)):
        axes.set_title(f"{rows[0]['analysis']}, {place(rows[0])}\n({ends(rows[0])})")
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
                seen.add(way)
        _make_room(axes)
    handles = _legend([way for way in STATISTICS if way in seen])
    figure.legend(
        handles=handles, loc="outside upper center", ncols=2 if len(spots) < 3 else 4
    )
    return Drawn(figure, table)


def _chosen(spots: Mapping[Spot, list[Row]]) -> list[list[Row]]:
    """Evenly chosen places of every analysis, those with a number on the line."""
    groups: dict[str, list[list[Row]]] = defaultdict(list)
    for (name, _, _), rows in spots.items():
        if any(row["error"] is not None for row in rows):
            groups[name].append(rows)
    each = max(2, PANELS // max(len(groups), 1))
    chosen = []
    for found in groups.values():
        places = np.linspace(0, len(found) - 1, min(each, len(found)))
        chosen += [found[n] for n in places.round().astype(int)]
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
