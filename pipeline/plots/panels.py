"""Lay out several panels in one figure, label axes, give an ordered series of colors."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.plots.style import new_figure

COLUMNS = 3
"""panels side by side"""
FINE = (1, 2, 5)
"""multiples of a power of 10 that get a tick"""
FEW_DECADES = 1e3
"""largest ratio of the ends of an axis for which they have room"""
DECADES = 8
"""most ticks at decades; beyond them some are left out"""
NO_DASHES: Mapping[str, Any] = MappingProxyType({})


def panels(
    count: int, *, rows_each: int = 1, height: float = 3.1, share_y: bool = True
) -> tuple[Figure, list[tuple[Axes, ...]]]:
    """A figure with columns of panels, in blocks of at most ``COLUMNS`` columns.

    Args:
        count: number of columns, in all blocks.
        rows_each: panels in a column.
        height: of a block, in inches.
        share_y: whether the panels of one row of a block share their y axis.

    Returns:
        The figure, and the panels of each column from top to bottom.
    """
    columns = min(count, COLUMNS)
    blocks = -(-count // COLUMNS)
    width = 1.4 + 2.7 * columns if columns > 1 else 5.4
    figure = new_figure(width, height * blocks + 0.4)
    grid = figure.add_gridspec(
        rows_each * blocks, columns, wspace=0.08 if share_y else None
    )
    found: list[tuple[Axes, ...]] = []
    for position in range(count):
        block, column = divmod(position, COLUMNS)
        rows = range(rows_each * block, rows_each * (block + 1))
        found.append(tuple(figure.add_subplot(grid[row, column]) for row in rows))
    for mine in found[1:] if share_y else []:
        for axes, first in zip(mine, found[0], strict=True):
            axes.sharey(first)
    return figure, found


def label_outer(panels: Sequence[tuple[Axes, ...]]) -> None:
    """Keep the label and the numbers of the y axis in the leftmost panels only."""
    for position, mine in enumerate(panels):
        for axes in mine:
            if position % COLUMNS:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)


def plain_log_ticks(axes: Axes) -> None:
    """Put ticks on the y axis, as plain numbers; call it after drawing.

    They are at 1, 2 and 5 of every decade, or at decades alone where there are many.
    """
    bottom, top = axes.get_ylim()
    many = top / bottom > FEW_DECADES
    locator = LogLocator(subs=(1,), numticks=DECADES) if many else LogLocator(subs=FINE)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def sequence(count: int) -> list[str]:
    """Colors in order, distinct on white and in gray."""
    values = np.linspace(0.15, 0.88, count)
    return [to_hex(colormaps["plasma"](value)) for value in values]


def color_legend(
    figure: Figure,
    colors: Mapping[str, str],
    *,
    title: str,
    dashes: Mapping[str, Any] = NO_DASHES,
) -> None:
    """Add a legend of line colors on the right.

    Args:
        figure: to add it to.
        colors: label -> color.
        title: of the legend.
        dashes: label -> dash, for labels whose line is not solid.
    """
    handles = [
        Line2D([], [], color=color, linestyle=dashes.get(label, "-"), label=label)
        for label, color in colors.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside right center",
        title=title,
        title_fontsize=8,
        ncols=-(-len(handles) // 24),
    )
