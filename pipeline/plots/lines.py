"""Lines over seeds: values averaged per point, drawn with their range, and tabulated."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from pipeline.results.tables import Row

Line = dict[float, tuple[float, float, float]]
"""x -> (mean, least, greatest) over seeds"""


def densities_of(rows: Sequence[Row], variant: str) -> dict[int, float]:
    """Round -> mean density over seeds, of one variant."""
    groups: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row["variant"] == variant:
            groups[row["round"]].append(row["density"])
    return {number: fmean(groups[number]) for number in sorted(groups)}


def rows_of(rows: Sequence[Row], variant: str, number: int) -> list[Row]:
    """The rows of one round of one variant."""
    return [row for row in rows if (row["variant"], row["round"]) == (variant, number)]


def line_of(rows: Sequence[Row], *, x: str, y: str) -> Line:
    """Average rows over seeds.

    Args:
        rows: with the columns ``x`` and ``y``; None in ``y`` is left out.
        x: column of the x axis.
        y: column of the y axis.
    """
    groups: dict[float, list[float]] = defaultdict(list)
    for row in rows:
        if row[y] is not None:
            groups[row[x]].append(row[y])
    return {at: (fmean(v), min(v), max(v)) for at, v in sorted(groups.items())}


def draw_line(
    axes: Axes, line: Line, *, scale: int, color: str, width: float = 1.3
) -> None:
    """Draw the mean, and the range over seeds as a band."""
    if not line:
        return
    x = list(line)
    mean, low, high = scale * np.array(list(line.values())).T
    axes.plot(x, mean, color=color, linewidth=width)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def first_columns(task: str, variant: str, number: int, density: float) -> Row:
    """The first columns of a table of lines."""
    return {
        "task": task,
        "variant": variant,
        "round": number,
        "density": density,
    }


def line_rows(head: Row, line: Line, *, x: str | None = None) -> list[Row]:
    """One table row per point, with ``x`` as a column if it is named."""
    return [
        head | ({x: at} if x else {}) | {"mean": mean, "min": low, "max": high}
        for at, (mean, low, high) in line.items()
    ]
