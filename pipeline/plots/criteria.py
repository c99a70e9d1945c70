"""Compare many variants at a few densities, as Zhou et al. 2019 do."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.plots.error_axis import EXPLAINED, error_axis, one_fails
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import legend_above
from pipeline.plots.spread import (
    Spread,
    by_round,
    one_dense,
    pruned_variants,
    range_over,
    spread,
)
from pipeline.plots.style import (
    DENSE_COLOR,
    DIVERGED,
    Drawn,
    diverged_entry,
    looks,
    new_figure,
    show_whole_markers,
)
from pipeline.presets.recipes import familiar_variants
from pipeline.results.tables import Row, percent

METRIC = "test_accuracy_early_stop"
LEAST = 5
"""variants; curves are legible with fewer"""
DENSITIES_SHOWN = 3
NEAR = 1.1
"""factor within which densities of different variants count as the same"""
LABEL = "Test accuracy at early stop (%), mean"
NEUTRAL = "#333333"
"""color of variants without one of their own"""

Cells = Mapping[str, Mapping[float, Spread]]
"""variant -> density of the panel -> spread over its seeds"""


def criteria(given: FigureInput) -> Drawn | None:
    """Test accuracy at early stop: one panel per density, one row per variant.

    The variant with the best mean over the panels is at the top. Below those that have a
    value in every panel are those that lack some, because they diverge or have no round
    there: their mean is over other densities. A variant without a round at any of them is
    left out. All panels have the same kind of axis.
    """
    rows = given.store.rounds
    variants = pruned_variants(rows)
    if len(variants) < LEAST:
        return None
    cells = _cells(rows, variants)
    densities = list(next(iter(cells.values()), {}))
    order = _order(cells)
    if not order:
        return None
    figure = new_figure(2.2 + 2.3 * len(densities), 1.3 + 0.24 * len(order))
    dense = one_dense(rows, METRIC)
    reached = spread(dense, METRIC) if dense else None
    columns = {d: {name: cells[name][d] for name in order} for d in densities}
    logarithmic = any(one_fails(_accuracies(one, reached)) for one in columns.values())
    panels = figure.subplots(1, len(densities), sharey=True, squeeze=False)[0]
    for axes, (density, column) in zip(panels, columns.items(), strict=True):
        axes.set_title(f"{percent(density)} % of the weights")
        _draw_column(axes, column)
        _draw_dense(axes, reached)
        _draw_diverged(axes, column)
        _scale(axes, _accuracies(column, reached), logarithmic=logarithmic)
    panels[0].set_yticks(range(len(order)), order)
    panels[0].set_ylim(-0.6, len(order) - 0.4)
    explained = f"; {EXPLAINED}" if logarithmic else ""
    figure.supxlabel(_named(cells) + explained, fontsize=9)
    _legend(figure, cells, reached)
    return Drawn(figure, _table(rows[0]["task"], cells, order[::-1]))


def _named(cells: Cells) -> str:
    """The label of the axis: what markers and lines are."""
    shown = range_over(p.num_seeds for line in cells.values() for p in line.values())
    return f"{LABEL} and {shown}" if shown else LABEL


def _cells(rows: Sequence[Row], variants: Sequence[str]) -> dict[str, dict[float, Spread]]:
    # Round 0 is the dense network, which stands for no variant; one without any weight
    # is near no density.
    lines = {
        name: [p for n, p in by_round(rows, name, METRIC).items() if n and p.density > 0]
        for name in variants
    }
    ladder = _ladder(list(lines.values()))
    # Never the first round: no criterion does harm while most weights are kept.
    shares = np.arange(1, DENSITIES_SHOWN + 1) / DENSITIES_SHOWN
    positions = np.ceil(shares * len(ladder)).astype(int) - 1
    chosen = [ladder[n] for n in dict.fromkeys(positions)]
    return {
        name: {density: _nearest(line, density) for density in chosen}
        for name, line in lines.items()
    }


def _ladder(lines: Sequence[Sequence[Spread]]) -> list[float]:
    """The densities that most variants have, densest first; all, if there are none."""
    every: list[float] = []
    for p in (p for line in lines for p in line):
        if not any(_is_near(p.density, density) for density in every):
            every.append(p.density)
    having = {
        density: sum(any(_is_near(p.density, density) for p in line) for line in lines)
        for density in every
    }
    common = [density for density in every if 2 * having[density] > len(lines)]
    return sorted(common or every, reverse=True)


def _is_near(one: float, other: float) -> bool:
    return abs(math.log(one / other)) <= math.log(NEAR)


def _nearest(line: Sequence[Spread], density: float) -> Spread:
    """The spread at the density; one without values if no round is near it."""
    point = min(line, key=lambda p: abs(math.log(p.density / density)), default=None)
    if point and _is_near(point.density, density):
        return point
    return Spread(
        density=density,
        mean=None,
        low=None,
        high=None,
        num_seeds=0,
        num_diverged=0,
        num_collapsed=0,
        num_censored=0,
    )


def _order(cells: Cells) -> list[str]:
    """The variants to draw, the best one last."""
    rank = {
        name: (len(known) - len(line), fmean(known) if known else 0)
        for name, line in cells.items()
        if (known := [p.mean for p in line.values() if p.mean is not None])
        or any(p.num_diverged for p in line.values())
    }
    return sorted(rank, key=lambda name: rank[name])


def _draw_column(axes: Axes, column: Mapping[str, Spread]) -> None:
    style = looks([name for name in column if name in familiar_variants()])
    for y, (name, p) in enumerate(column.items()):
        if p.mean is None or p.low is None or p.high is None:
            continue
        look = style.get(name, {"color": NEUTRAL, "marker": "o"})
        dot = {"color": look["color"], "marker": look["marker"], "markersize": 5}
        low, mean, high = (100 * value for value in (p.low, p.mean, p.high))
        axes.plot([low, high], [y, y], color=look["color"], linewidth=1.6, alpha=0.5)
        axes.plot(mean, y, linestyle="none", zorder=3, **dot)


def _draw_dense(axes: Axes, reached: Spread | None) -> None:
    if reached is None or reached.mean is None:
        return
    dash = (0, (4, 2))
    axes.axvline(100 * reached.mean, color=DENSE_COLOR, linestyle=dash, linewidth=1.1)
    band = (100 * (reached.low or 0), 100 * (reached.high or 0))
    axes.axvspan(*band, color=DENSE_COLOR, alpha=0.13, linewidth=0)


def _draw_diverged(axes: Axes, column: Mapping[str, Spread]) -> None:
    """Draw a cross on the marker of seeds that diverged; at the left, if all did."""
    for y, p in enumerate(column.values()):
        if p.num_diverged and p.mean is not None:
            axes.plot(100 * p.mean, y, zorder=4, **DIVERGED)
        elif p.num_diverged:
            left = axes.get_yaxis_transform()
            axes.plot(0.02, y, transform=left, clip_on=False, **DIVERGED)


def _scale(axes: Axes, accuracies: Sequence[float], *, logarithmic: bool) -> None:
    if logarithmic:
        error_axis(axes, "x", accuracies)
        return
    axes.set_xlim(right=min(axes.get_xlim()[1], 100))
    show_whole_markers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _accuracies(column: Mapping[str, Spread], reached: Spread | None) -> list[float]:
    """All accuracies of a panel, in percent."""
    every = [*column.values(), *([reached] if reached else [])]
    return [100 * value for p in every for value in (p.low, p.high) if value is not None]


def _legend(figure: Figure, cells: Cells, reached: Spread | None) -> None:
    handles: list[Artist] = []
    if reached is not None and reached.mean is not None:
        dashed: dict[str, Any] = {"color": DENSE_COLOR, "linestyle": (0, (4, 2))}
        handles.append(Line2D([], [], linewidth=1.1, label="dense network", **dashed))
        if reached.low != reached.high:
            band: dict[str, Any] = {"color": DENSE_COLOR, "alpha": 0.13, "linewidth": 0}
            handles.append(Patch(label="dense, min–max", **band))
    if any(p.num_diverged for line in cells.values() for p in line.values()):
        handles.append(diverged_entry())
    if handles:
        legend_above(figure, handles, columns=3)


def _table(task: str, cells: Cells, order: Sequence[str]) -> list[Row]:
    return [
        {
            "task": task,
            "variant": name,
            "density": p.density,
            "metric": METRIC,
            "mean": p.mean,
            "min": p.low,
            "max": p.high,
            "seeds": p.num_seeds,
            "diverged": p.num_diverged,
        }
        for name in order
        for p in cells[name].values()
    ]
