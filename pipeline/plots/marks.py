"""Marks on curves: the smallest winning ticket, and what was published."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from pipeline.artifacts.paths import DENSE
from pipeline.plots.shown import Shown
from pipeline.plots.spread import Spread
from pipeline.plots.style import percent
from pipeline.results import winning
from pipeline.results.tables import Row
from pipeline.results.winning import Winner

NEAR = 1.03
"""factor within which two densities are the same round"""
FEW = 3
"""winners of which the legend has place for the confidence"""
INCHES = 0.17
"""height of a line in a legend"""
LINE = 84
"""characters of a line in the legend of marks"""
RELATIVE = "published gap or ratio to a curve measured here"
KINDS = {
    "reading": ("D", "published"),
    "difference": ("d", RELATIVE),
    "equivalence": ("d", RELATIVE),
    "ratio": ("d", RELATIVE),
    "leaves": ("v", "published density at which the curve falls off"),
}
"""kind of a claim -> marker, and words in the legend"""

Points = Mapping[str, Mapping[int, Spread]]
"""variant -> round -> what its seeds reached"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """Where marks go."""

    axes: Axes
    points: Points
    dense: Spread | None
    scale: int
    style: Mapping[str, Mapping[str, Any]]
    """variant -> look"""
    shift: Mapping[str, float]
    """variant -> factor on its densities, so that curves do not hide each other"""


def winners(shown: Shown, variants: Sequence[str]) -> dict[str, Winner]:
    """Variant -> its smallest winning density, of the ticket chains that have one.

    Args:
        shown: of one task.
        variants: those asked for.

    Returns:
        Nothing where the dense network did not train: there is nothing to win against.
    """
    if shown.untrained.intersection(shown.tasks):
        return {}
    found: dict[str, Winner] = {}
    for variant in variants:
        rows = [row for row in shown.store.rounds if row["variant"] == variant]
        settings = shown.settings(rows[0]["task"], variant)
        own = settings.get("prune.mask") == "own"
        every = settings.get("train.evaluate_every")
        names = ("rewind.to", "rewind.pruned", "prune.schedule")
        to, pruned, schedule = (settings.get(name) for name in names)
        if own and every and winning.are_tickets(to, pruned, schedule):
            winner = winning.smallest_winning(rows, evaluate_every=int(every))
            if winner is not None:
                found[variant] = winner
    return found


def mark_winners(canvas: Canvas, found: Mapping[str, Winner]) -> list[Artist]:
    """A star at each smallest winning density, hollow where it is not shown.

    With many winners the legend only names them; their confidence is in the table.
    """
    handles: list[Artist] = []
    for variant, winner in found.items():
        here = _at(canvas.points[variant], winner.density)
        if here is None or here.mean is None:
            continue
        color = canvas.style[variant]["color"]
        look: dict[str, Any] = {
            "marker": "*",
            "markersize": 11,
            "color": color,
            "markerfacecolor": color if winner.shown else "white",
            "linestyle": "none",
            "zorder": 5,
        }
        place = canvas.shift[variant] * here.density
        canvas.axes.plot(place, canvas.scale * here.mean, **look)
        text = f"{variant}, smallest winning density: {percent(winner.density)} %"
        if len(found) <= FEW:
            text += f"; {winner.confidence}"
        handles.append(Line2D([], [], label=wrapped(text), **look))
    return handles


def mark_published(canvas: Canvas, rows: Sequence[Row]) -> tuple[list[Artist], list[Row]]:
    """Open marks in the color of their variant.

    Args:
        canvas: where.
        rows: of the metric shown.

    Returns:
        Legend entries, and the rows that could be placed with their value as ``mean``.
    """
    placed: list[Row] = []
    entries: dict[str, Artist] = {}
    for row in map(_downwards, rows):
        marker, words = KINDS[row["kind"]]
        look: dict[str, Any] = {
            "marker": marker,
            "markersize": 7.5,
            "markerfacecolor": "none",
            "markeredgewidth": 1.3,
            "path_effects": [withStroke(linewidth=3, foreground="white")],
            "linestyle": "none",
            "zorder": 6,
        }
        color = canvas.style.get(row["variant"], {}).get("color", "black")
        value = _value(canvas, row)
        if row["kind"] == "leaves":
            foot = canvas.axes.get_xaxis_transform()
            canvas.axes.plot(row["density"], 0.045, transform=foot, color=color, **look)
        elif value is None:
            continue
        else:
            canvas.axes.plot(row["density"], canvas.scale * value, color=color, **look)
        text = wrapped(f"{words}: {_short(row['source'])}")
        entries.setdefault(text, Line2D([], [], label=text, color="black", **look))
        placed.append(row | {"mean": value})
    return list(entries.values()), placed


def wrapped(text: str) -> str:
    """Lines of a legend of marks; ``p = 0.03`` stays on one."""
    return textwrap.fill(text.replace(" = ", "\u00a0=\u00a0"), LINE)


def height(entries: Sequence[Artist]) -> float:
    """Inches that a legend of marks takes in one column."""
    lines = sum(str(entry.get_label()).count("\n") + 1 for entry in entries)
    return INCHES * lines + (0.1 if entries else 0)


def _downwards(row: Row) -> Row:
    """A gap between two variants as a mark below the upper one.

    Above the lower one it could lie beyond 100 %.
    """
    up = row["kind"] in ("difference", "equivalence") and (row["value"] or 0) > 0
    if not up or row["against"] in (None, DENSE):
        return row
    turned = {"variant": row["against"], "against": row["variant"], "value": -row["value"]}
    return row | turned | {"density": row["against_at"], "against_at": row["density"]}


def _value(canvas: Canvas, row: Row) -> float | None:
    """A published number on the y axis; None where what it refers to was not measured."""
    value: float | None = row["value"]
    if row["kind"] in ("reading", "leaves") or value is None:
        return value
    if row["variant"] not in canvas.points:
        return None
    if row["against"] == DENSE:
        base = canvas.dense
    else:
        base = _at(canvas.points.get(row["against"], {}), row["against_at"])
    if base is None or base.mean is None:
        return None
    return base.mean * value if row["kind"] == "ratio" else base.mean + value


def _at(line: Mapping[int, Spread], density: float) -> Spread | None:
    """The round of that density."""
    near = [p for p in line.values() if abs(math.log(p.density / density)) < math.log(NEAR)]
    return min(near, key=lambda p: abs(math.log(p.density / density)), default=None)


def _short(source: str) -> str:
    """A source without its address.

    >>> _short("Frankle & Carbin 2019, arXiv:1803.03635")
    'Frankle & Carbin 2019'
    """
    return source.partition(", arXiv")[0]
