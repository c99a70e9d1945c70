"""Tables of text for the terminal, drawn by rich."""

import io
import shutil
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 100
"""characters of a line where there is no terminal"""
LEAST_WIDTH = 80
"""characters of a line where the terminal is narrower"""


def drawn(columns: Sequence[str], lines: Iterable[Sequence[str]], title: str = "") -> str:
    """A table whose last column alone is wrapped, between words.

    Args:
        columns: headings, of one line or several; one that begins with ``>`` is of a
            column of numbers.
        lines: a text for each column.
        title: a line above it.
    """
    table = Table(
        title=title or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="",
        pad_edge=False,
        show_edge=False,
    )
    for name in columns:
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=name != columns[-1],
        )
    for line in lines:
        table.add_row(*line)
    text = io.StringIO()
    width = max(shutil.get_terminal_size((WIDTH, 24)).columns, LEAST_WIDTH)
    console = Console(file=text, width=width, no_color=True, markup=False, emoji=False)
    console.print(table, highlight=False)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
