"""Legends above a figure, in as many columns as its width has room for."""

import textwrap
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure

INCHES = 0.17
"""height of a line in a legend"""
CHARACTERS = 11
"""of a name in a legend, per inch of the figure's width"""
TITLE = 32
"""characters of a line above one of several panels"""


def legend_above(figure: Figure, handles: Sequence[Artist], *, columns: int) -> None:
    """Add a legend above the axes; the figure grows by the rows that long names cost.

    Args:
        figure: to add it to.
        handles: entries with labels; those that are too long for a line are wrapped.
        columns: at most so many; fewer where names are too long for them.
    """
    line = round(CHARACTERS * figure.get_figwidth())
    for handle in handles:
        handle.set_label(textwrap.fill(str(handle.get_label()), line))
    most = max(min(columns, len(handles)), 1)
    for chosen in range(most, 0, -1):
        legend = figure.legend(
            handles=list(handles), loc="outside upper center", ncols=chosen
        )
        if chosen == 1 or legend.get_window_extent().width <= figure.bbox.width:
            more = _lines(handles, chosen) - -(-len(handles) // most)
            figure.set_figheight(figure.get_figheight() + INCHES * more)
            return
        legend.remove()


def wrapped_title(text: str) -> str:
    """A title of one of several panels; its lines stay narrower than the panel."""
    return "\n".join(textwrap.fill(line, TITLE) for line in text.split("\n"))


def _lines(handles: Sequence[Artist], columns: int) -> int:
    """The height of a legend, in lines of text."""
    lines = [str(handle.get_label()).count("\n") + 1 for handle in handles]
    rows = -(-len(handles) // columns)
    return max(sum(lines[i : i + rows]) for i in range(0, len(lines), rows))
