"""What a reader sees of an analysis in the MLflow UI: tags and notes."""

import json
from collections.abc import Callable, Mapping
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pipeline.tracking.studies import Look, Study
from pipeline.tracking.words import NOTE, name_of, network_and_data, percent

COLUMNS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "error barrier": lambda v: f"{100 * v:.2f} pp",
        "loss barrier": lambda v: f"{v:.3g}",
        "distance": lambda v: f"{v:.3g}",
        "sign changes": lambda v: f"{100 * v:.1f} %",
        "mask overlap": lambda v: f"{100 * v:.1f} %",
    }
)
"""of the note: fact, and how its mean over pairs is written"""


def study_tags(study: Study) -> dict[str, str]:
    """Tags of a study's run that stay as they are."""
    first = study.looks[0]
    asked = first.settings["analysis"]
    return {
        "kind": "analysis",
        "key": study.key,
        "task": first.task,
        "analysis": first.analysis,
        "asks": asked["kind"],
        "of": asked["of"],
        "seed": str(first.seed),
        "data": name_of(first.settings["data"]),
        "model": name_of(first.settings["model"]),
        "results": "{}",
        **({"to": asked["to"]} if asked["to"] else {}),
    }


def grown_tags(study: Study) -> dict[str, str]:
    """Tags of a study's run that follow its places."""
    return {
        "densities": ", ".join(percent(look.density) for look in study.looks),
        "results": json.dumps(study.digests),
        NOTE: _note(study),
    }


def place_tags(look: Look, timing: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a child run."""
    warnings = [line for found in look.pairs.values() for line in found["warnings"]]
    first = next(iter(look.pairs.values()))
    return {
        "kind": "place",
        "task": look.task,
        "analysis": look.analysis,
        "seed": str(look.seed),
        "place": look.place,
        "round": str(look.round),
        "step": str(look.step),
        "weights_remaining": percent(look.density),
        "pairs": str(len(look.pairs)),
        "statistics": ", ".join(first["statistics"]),
        "points": str(look.settings["analysis"]["points"]),
        "warnings": "; ".join(dict.fromkeys(warnings)) or "none",
        "current": "true",
        **{name: str(timing[name]) for name in ("host", "cpu") if name in timing},
    }


def _note(study: Study) -> str:
    first = study.looks[0]
    asked = first.settings["analysis"]
    other = f" to {asked['to']}" if asked["to"] else ""
    names = ("place", "weights remaining", *COLUMNS)
    lines = [
        f"**{first.analysis}**: {asked['kind']} of {asked['of']}{other} with seed "
        f"{first.seed} on {network_and_data(first.settings)}; means over pairs.",
        "",
        f"| {' | '.join(names)} |",
        "|--:" * len(names) + "|",
    ]
    for look in study.looks:
        cells = [look.place, percent(look.density), *_cells(look)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(look: Look) -> list[str]:
    cells = []
    for name, shown in COLUMNS.items():
        fact = name.replace(" ", "_")
        found = [(f | f["statistics"]["interpolated"])[fact] for f in look.pairs.values()]
        known = [value for value in found if value is not None]
        cells.append(shown(fmean(known)) if known else "–")
    return cells
