"""Write compared claims as JSON, as markdown, or as a table for the terminal."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.compare.checks import UNITS
from pipeline.compare.verdicts import Compared

if TYPE_CHECKING:
    from rich.text import Text

PIPED_WIDTH = 160
STYLES = MappingProxyType(
    {"agrees": "green", "disagrees": "red", "not enough seeds": "yellow"}
)


def as_json(rows: Sequence[Compared]) -> str:
    """All fields of the rows as JSON, with numbers in full."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)


def as_markdown(rows: Sequence[Compared]) -> str:
    """A markdown table, and a line that counts the verdicts."""
    lines = [
        "| claim | source | published (accepted) | measured (low–high; seeds) | verdict |",
        "|---|---|--:|--:|---|",
    ]
    for row in rows:
        cells = [text.replace("|", "\\|") for text in _cells(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", summary(rows)])


def as_table(rows: Sequence[Compared]) -> str:
    """A table as wide as the terminal, with colors if the terminal shows them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_lines=True)
    for name in ("claim", "source", "published (accepted)", "measured", "verdict"):
        table.add_column(name, overflow="fold")
    for row in rows:
        style = STYLES.get(row.verdict, "dim")
        *cells, verdict = _cells(row)
        table.add_row(*(_literal(cell) for cell in cells), _literal(verdict, style))
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    with console.capture() as text:
        console.print(table)
    return text.get() + summary(rows)


def summary(rows: Sequence[Compared]) -> str:
    """A line that counts the verdicts."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items())


def _cells(row: Compared) -> list[str]:
    shown = UNITS[row.unit]
    published = row.published if isinstance(row.published, str) else shown(row.published)
    published += f" ({row.accepted})"
    if row.measured is None:
        measured = "–"
    elif row.low is None or row.high is None:
        measured = f"{shown(row.measured)} ({row.seeds} seeds)"
    else:
        span = f"{shown(row.low)} to {shown(row.high)}"
        measured = f"{shown(row.measured)} ({span}; {row.seeds} seeds)"
    verdict = f"{row.verdict}: {row.note}" if row.note else row.verdict
    return [row.claim, row.source, published, measured, verdict]


def _literal(text: str, style: str = "") -> "Text":
    """Text whose brackets Rich does not take for markup."""
    from rich.text import Text

    return Text(text, style=style)


LAYOUTS = MappingProxyType({"table": as_table, "json": as_json, "markdown": as_markdown})
