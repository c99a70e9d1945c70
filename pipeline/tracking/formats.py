"""Write values for MLflow: settings, percentages, truths, lists of rounds."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.results.tables import percent

NOTE = "mlflow.note.content"
"""the tag that MLflow shows as the description of a run or an experiment"""


def params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as MLflow parameters: dotted names, no null values, lists as JSON.

    >>> params({"train": {"lr": 0.1, "epochs": None}, "data": "digits"})
    {'train.lr': '0.1', 'data': 'digits'}
    """
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{n}": v for n, v in params(value).items()}
        elif value is not None:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def weights_remaining(density: float) -> str:
    """A density as the paper prints it.

    >>> weights_remaining(0.51281)
    '51.3 %'
    """
    return f"{percent(density)} %"


def span(children: Sequence[str]) -> str:
    """The rounds or places that are current: ``0-10``, ``r01, r03``, or ``none``."""
    if not children:
        return "none"
    if all(child.isdecimal() for child in children):
        return f"{children[0]}-{children[-1]}"
    return ", ".join(children)


def network_and_data(settings: Mapping[str, Any]) -> str:
    """``lenet-300-100, mnist``."""
    return f"{name_of(settings['model'])}, {name_of(settings['data'])}"


def name_of(value: object) -> str:
    """The name of a model or a data set; ``custom`` where it has none."""
    return str(value.get("name", "custom") if isinstance(value, Mapping) else value)


def flag(value: object) -> str:
    """A truth value as a tag: ``true`` or ``false``."""
    return "true" if value else "false"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a note, with all columns aligned to the right."""
    lines = [columns, *rows]
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, "|--:" * len(columns) + "|", *body])
