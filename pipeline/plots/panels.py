"""Several panels in one figure, and a sequence of colors."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.plots.style import new_figure

COLUMNS = 3
"""panels side by side"""


def panels(
    count: int, *, rows_each: int = 1, height: float = 3.1, share_y: bool = True
) -> tuple[Figure, list[tuple[Axes, ...]]]:
    """One column of panels per thing shown, wrapped after ``COLUMNS``.

    Args:
        count: of columns before they are wrapped.
        rows_each: panels of a column.
        height: of a column, in inches.
        share_y: whether panels of a kind have one y axis.
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
    """The y-axis is named and numbered once per row of panels."""
    for position, mine in enumerate(panels):
        for axes in mine:
            if position % COLUMNS:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)


def plain_log_ticks(axes: Axes) -> None:
    """Mark 1, 2 and 5 of every decade, written out."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def sequence(count: int) -> list[str]:
    """Colors in order, readable on white and in gray."""
    places = np.linspace(0.15, 0.88, count)
    return [to_hex(colormaps["plasma"](place)) for place in places]
