"""Write compared claims as JSON, as markdown, or as a table for the terminal."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.compare.claims import SURE
from pipeline.compare.units import UNITS
from pipeline.compare.verdicts import Compared
from pipeline.core.looks import ALPHA

if TYPE_CHECKING:
    from rich.text import Text

PIPED_WIDTH = 160
LEFT_OUT = frozenset({"not run", "not comparable"})
"""verdicts on claims that no run fits"""
MOST_REASONS = 3
"""how many reasons are named why claims do not fit a run"""
STYLES = MappingProxyType(
    {"agrees": "green", "disagrees": "red", "not enough seeds": "yellow"}
)


def as_json(rows: Sequence[Compared]) -> str:
    """All fields of the rows as JSON, with numbers in full."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)


def as_markdown(rows: Sequence[Compared]) -> str:
    """A markdown table per experiment, what source tags mean, and a count of verdicts."""
    lines: list[str] = []
    for experiment, group in _by_experiment(rows):
        lines += [
            f"**{experiment}**",
            "",
            "| claim | source | published (accepted) | measured (range; seeds) | verdict |",
            "|---|---|--:|--:|---|",
        ]
        for row in group:
            cells = [text.replace("|", "\\|") for text in _cells(row)]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join([*lines, *_notes(rows)])


def as_table(rows: Sequence[Compared]) -> str:
    """A table as wide as the terminal, with colors if the terminal shows them."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    with console.capture() as text:
        for experiment, group in _by_experiment(rows):
            table = Table(show_lines=True, title=experiment, title_justify="left")
            for name in ("claim", "source", "published (accepted)", "measured", "verdict"):
                table.add_column(name, overflow="fold")
            for row in group:
                style = STYLES.get(row.verdict, "dim")
                *cells, verdict = _cells(row)
                table.add_row(*(_literal(cell) for cell in cells), _literal(verdict, style))
            console.print(table)
    return text.get() + "\n".join(_notes(rows))


def run_here(rows: Sequence[Compared]) -> list[Compared]:
    """The rows about what was run: those with a verdict or a measured number.

    Claims that no run fits are left out; ``summary`` of all rows counts them.
    """
    return [row for row in rows if row.verdict not in LEFT_OUT]


def summary(rows: Sequence[Compared]) -> str:
    """A line that counts the verdicts, and says how many chance alone may have given."""
    counts = Counter(row.verdict for row in rows)
    text = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    judged = sum(row.judged for row in rows)
    if not judged:
        return text
    by_chance = ALPHA * judged
    return (
        f"{text}; {judged} were tested at {ALPHA:.0%} each, so that up to {by_chance:.1f} "
        "wrong verdicts are to be expected from chance alone"
    )


def why_left_out(rows: Sequence[Compared]) -> list[str]:
    """A line that counts the claims that no run fits, and lines that say why.

    The lines after the first count each claim once. The nearest come first:
    those that a run with other settings would fit.
    """
    left_out = [row for row in rows if row.verdict in LEFT_OUT]
    if not left_out:
        return []
    reasons = Counter(row.note for row in left_out if row.verdict == "not comparable")
    parts = [
        f"  {_need(num)} other settings than the nearest run has: {reason}"
        for reason, num in reasons.most_common(MOST_REASONS)
    ]
    if others := reasons.total() - sum(n for _, n in reasons.most_common(MOST_REASONS)):
        parts.append(f"  {_need(others)} other settings in other ways")
    if absent := len(left_out) - reasons.total():
        parts.append(f"  {_need(absent)} a model, data set or variant that no run here has")
    num = len(left_out)
    fit = "claim fits" if num == 1 else "claims fit"
    return [f"{num} {fit} no run here (`lt-pipeline compare --all` lists all):", *parts]


def _need(num: int) -> str:
    return f"{num} needs" if num == 1 else f"{num} need"


def _by_experiment(rows: Sequence[Compared]) -> list[tuple[str, list[Compared]]]:
    """The rows of each experiment, in their order; those without one come last."""
    groups: dict[str, list[Compared]] = {}
    for row in sorted(rows, key=lambda row: not row.experiment):
        groups.setdefault(row.experiment or "measured in no experiment", []).append(row)
    return list(groups.items())


def _notes(rows: Sequence[Compared]) -> Iterator[str]:
    used = [tag for tag in SURE if any(f"[{tag}]" in row.source for row in rows)]
    if used:
        yield f"sources: {'; '.join(f'[{tag}] {SURE[tag]}' for tag in used)}"
    yield f"verdicts: {summary(rows) or 'none'}"


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
