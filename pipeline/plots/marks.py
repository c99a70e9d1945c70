"""Marks on curves: the smallest winning tickets, and published numbers."""

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
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import INCHES
from pipeline.plots.spread import Spread
from pipeline.results import winning
from pipeline.results.tables import Row, percent
from pipeline.results.winning import Winner

NEAR = 1.03
"""two densities within this factor belong to the same round"""
FEW = 3
"""up to so many winners, the legend says how sure each is"""
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
"""kind of a claim -> marker, and text in the legend"""

Points = Mapping[str, Mapping[int, Spread]]
"""variant -> round -> spread over its seeds"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """The axes with the curves that marks are drawn on."""

    axes: Axes
    points: Points
    dense: Spread | None
    scale: int
    geometric: bool
    """whether the means are, to which published ratios refer"""
    style: Mapping[str, Mapping[str, Any]]
    """variant -> look"""
    shift: Mapping[str, float]
    """variant -> factor on its densities, as its curve was drawn"""


def winners(given: FigureInput, variants: Sequence[str]) -> dict[str, Winner]:
    """Variant -> its smallest winning ticket, for the variants that have one.

    Args:
        given: of one task.
        variants: to look for winning tickets in.

    Returns:
        Nothing if the dense network did not train, because no ticket can win against it.
    """
    if given.untrained.intersection(given.tasks):
        return {}
    found: dict[str, Winner] = {}
    for variant in variants:
        rows = [row for row in given.store.rounds if row["variant"] == variant]
        settings = given.settings(rows[0]["task"], variant)
        own = settings.get("prune.mask") == "own" and "rewind.task" not in settings
        every = settings.get("train.evaluate_every")
        names = ("rewind.to", "rewind.pruned", "prune.schedule")
        to, pruned, schedule = (settings.get(name) for name in names)
        if own and every and winning.are_tickets(to, pruned, schedule):
            winner = winning.smallest_winning(
                rows, evaluate_every=int(every), looks=given.store.looks
            )
            if winner is not None:
                found[variant] = winner
    return found


def mark_winners(canvas: Canvas, found: Mapping[str, Winner]) -> list[Artist]:
    """Draw a star at each smallest winning density, hollow if the test does not show it.

    With many winners the legend leaves out their confidence, which is in the table.

    Returns:
        Legend entries.
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
        x = canvas.shift[variant] * here.density
        canvas.axes.plot(x, canvas.scale * here.mean, **look)
        text = f"{variant}, smallest winning density: {percent(winner.density)} %"
        if len(found) <= FEW:
            text += f"; {winner.confidence}"
        handles.append(Line2D([], [], label=wrapped(text), **look))
    return handles


def mark_published(canvas: Canvas, rows: Sequence[Row]) -> tuple[list[Artist], list[Row]]:
    """Draw published numbers as open marks in the color of their variant.

    Args:
        canvas: to draw on.
        rows: published numbers of the metric on the y axis.

    Returns:
        Legend entries, and the rows that were drawn, with the y value as ``mean``: those
        at densities that the x axis has.
    """
    placed: list[Row] = []
    low, high = sorted(canvas.axes.get_xlim())
    entries: dict[str, Artist] = {}
    for row in map(_downwards, rows):
        marker, meaning = KINDS[row["kind"]]
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
        if not low <= row["density"] <= high:
            continue
        if row["kind"] == "leaves":
            foot = canvas.axes.get_xaxis_transform()
            canvas.axes.plot(row["density"], 0.045, transform=foot, color=color, **look)
        elif value is None:
            continue
        else:
            canvas.axes.plot(row["density"], canvas.scale * value, color=color, **look)
        text = wrapped(f"{meaning}: {_short(row['source'])}")
        entries.setdefault(text, Line2D([], [], label=text, color="black", **look))
        placed.append(row | {"mean": value})
    return list(entries.values()), placed


def wrapped(text: str) -> str:
    """Wrap a text for the legend of marks; ``p = 0.03`` and ``5 %`` stay on one line."""
    kept = text.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")
    return textwrap.fill(kept, LINE).replace("\u00a0", " ")


def height(entries: Sequence[Artist]) -> float:
    """Height of a legend of marks in one column, in inches."""
    lines = sum(str(entry.get_label()).count("\n") + 1 for entry in entries)
    return INCHES * lines + (0.1 if entries else 0)


def _downwards(row: Row) -> Row:
    """Turn a gap between two variants so that its mark lies below the upper one.

    A mark above the lower one could lie beyond 100 %.
    """
    up = row["kind"] in ("difference", "equivalence") and (row["value"] or 0) > 0
    if not up or row["against"] in (None, DENSE):
        return row
    turned = {"variant": row["against"], "against": row["variant"], "value": -row["value"]}
    return row | turned | {"density": row["against_at"], "against_at": row["density"]}


def _value(canvas: Canvas, row: Row) -> float | None:
    """A published number on the y axis; None if it refers to a curve that is not there.

    A ratio refers to a geometric mean of steps that are all known, as verdicts do.
    """
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
    if row["kind"] != "ratio":
        return base.mean + value
    return base.mean * value if canvas.geometric and not base.num_censored else None


def _at(line: Mapping[int, Spread], density: float) -> Spread | None:
    """The spread at the round of that density; None if there is no such round."""
    if not density:
        return None
    near = [p for p in line.values() if abs(math.log(p.density / density)) < math.log(NEAR)]
    return min(near, key=lambda p: abs(math.log(p.density / density)), default=None)


def _short(source: str) -> str:
    """A source without its address.

    >>> _short("Frankle & Carbin 2019, arXiv:1803.03635")
    'Frankle & Carbin 2019'
    """
    return source.partition(", arXiv")[0]
