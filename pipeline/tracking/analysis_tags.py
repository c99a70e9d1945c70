"""Tags and notes of the MLflow runs of analyses and of their places."""

import json
from collections.abc import Callable, Mapping
from statistics import fmean
from types import MappingProxyType

from pipeline.tracking.analyses import PlaceResult, TrackedAnalysis
from pipeline.tracking.formats import (
    markdown_table,
    name_of,
    network_and_data,
    weights_remaining,
)
from pipeline.tracking.timing import Timing

FACT_COLUMNS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "error barrier": lambda v: f"{100 * v:.2f} pp",
        "loss barrier": lambda v: f"{v:.3g}",
        "distance": lambda v: f"{v:.3g}",
        "sign changes": lambda v: f"{100 * v:.1f} %",
        "mask overlap": lambda v: f"{100 * v:.1f} %",
    }
)
"""columns of the note: fact in lines.json -> format of its mean over pairs"""


def analysis_tags(analysis: TrackedAnalysis) -> dict[str, str]:
    """Tags of an analysis's run."""
    places = analysis.places
    first = places[0]
    asked = first.settings["analysis"]
    return {
        "kind": "analysis",
        "key": analysis.key,
        "task": first.task,
        "analysis": first.analysis,
        "asks": asked["kind"],
        "of": asked["of"],
        "seed": str(first.seed),
        "data": name_of(first.settings["data"]),
        "model": name_of(first.settings["model"]),
        "densities": ", ".join(weights_remaining(place.density) for place in places),
        "results": json.dumps(analysis.digests),
        **({"to": asked["to"]} if asked["to"] else {}),
    }


def place_tags(place: PlaceResult, timing: Timing) -> dict[str, str]:
    """Tags of the child run of one place."""
    warnings = [line for facts in place.pairs.values() for line in facts["warnings"]]
    first = next(iter(place.pairs.values()))
    return {
        "kind": "place",
        "task": place.task,
        "analysis": place.analysis,
        "seed": str(place.seed),
        "place": place.name,
        "round": str(place.round),
        "step": str(place.step),
        "weights_remaining": weights_remaining(place.density),
        "pairs": str(len(place.pairs)),
        "statistics": ", ".join(first["statistics"]),
        "points": str(place.settings["analysis"]["points"]),
        "warnings": "; ".join(dict.fromkeys(warnings)) or "none",
        **timing.machine,
    }


def note(analysis: TrackedAnalysis) -> str:
    """The description of an analysis's run: a table of its places."""
    first = analysis.places[0]
    asked = first.settings["analysis"]
    other = f" to {asked['to']}" if asked["to"] else ""
    head = (
        f"**{first.analysis}**: {asked['kind']} of {asked['of']}{other} with seed "
        f"{first.seed} on {network_and_data(first.settings)}; means over pairs."
    )
    columns = ("place", "weights remaining", *FACT_COLUMNS)
    cells = [
        [place.name, weights_remaining(place.density), *_mean_facts(place)]
        for place in analysis.places
    ]
    return f"{head}\n\n{markdown_table(columns, cells)}"


def _mean_facts(place: PlaceResult) -> list[str]:
    cells = []
    for column, shown in FACT_COLUMNS.items():
        name = column.replace(" ", "_")
        values = [
            (facts | facts["statistics"]["interpolated"])[name]
            for facts in place.pairs.values()
        ]
        known = [value for value in values if value is not None]
        cells.append(shown(fmean(known)) if known else "–")
    return cells
