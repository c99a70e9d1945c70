"""Helpers of the figures of analyses: group rows by place, name places, style lines."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.artifacts.paths import DENSE
from pipeline.config.analysis import PREVIOUS, PRUNED
from pipeline.core.analysis.pairs import OTHER_SEED
from pipeline.plots.style import DENSE_COLOR
from pipeline.results.tables import Row, percent

PERCENT = 100
INTERPOLATED = "interpolated"
STATISTICS: Mapping[str, Mapping[str, Any]] = {
    INTERPOLATED: {"color": "#0072B2", "linestyle": "-"},
    "recalibrated": {"color": "#D55E00", "linestyle": (0, (4, 1.6))},
}
"""kind of the statistics of norms between the ends -> line style"""
THRESHOLD: Mapping[str, Any] = {
    "color": DENSE_COLOR,
    "linestyle": (0, (4, 2)),
    "linewidth": 1.1,
}

OTHER_ENDS: Mapping[str, str] = {
    PREVIOUS: "its previous round",
    PRUNED: "the pruned network",
    OTHER_SEED: "another seed's",
}

PlaceKey = tuple[str, int | None, int | None]
"""analysis, round, step"""


def by_place(rows: Sequence[Row]) -> dict[PlaceKey, list[Row]]:
    """Place -> its rows, ordered by analysis, round and step."""
    groups: dict[PlaceKey, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["analysis"], row["round"], row["step"]].append(row)
    order = {name: n for n, name in enumerate(analyses_of(rows))}
    return {
        place: groups[place]
        for place in sorted(groups, key=lambda p: (order[p[0]], p[1] or 0, p[2] or 0))
    }


def analyses_of(rows: Sequence[Row]) -> list[str]:
    """Names of analyses: those of the dense network first, then in order of the rows."""
    kinds = {row["analysis"]: row["of"] != DENSE for row in rows}
    return sorted(kinds, key=lambda name: kinds[name])


def ends(row: Row) -> str:
    """The two networks that an analysis compares.

    >>> ends({"kind": "connection", "of": "ticket", "to": "reinit"})
    'ticket to reinit'
    >>> ends({"kind": "connection", "of": "dense", "to": "other-seed"})
    "dense to another seed's"
    >>> ends({"kind": "instability", "of": "dense", "to": None})
    'copies of dense'
    """
    if row["kind"] == "instability":
        return f"copies of {row['of']}"
    return f"{row['of']} to {OTHER_ENDS.get(row['to'], row['to'])}"


def by_step(row: Row) -> bool:
    """Whether the row is of copies of the dense network, whose places are steps."""
    return bool(row["kind"] == "instability" and row["of"] == DENSE)


def place_name(row: Row) -> str:
    """The step at which copies of the dense network part; else the density in percent."""
    if by_step(row):
        return f"k = {row['step']:,}"
    if row["density"] is None:
        return f"round {row['round']}"
    return f"{percent(row['density'])} %"


def label(name: str, rows: Sequence[Row]) -> str:
    """Legend text of an analysis."""
    mine = next(row for row in rows if row["analysis"] == name)
    return f"{name} ({ends(mine)})"
