"""Presets as files: a description, a base, and what differs from it.

    # Conv-4 on CIFAR-10, …; 220 steps      the description: always the first line
    base: conv-4-paper                      another preset, or a file of ``bases/``
    without: [variants.one-shot]            what of the base is left out
    rounds: 4  # 9.2 % of the weights       what differs; mappings are merged key by key

Comments go with their keys: a key that is written again has the new comment or none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from pipeline.config import params

FOLDER = Path(__file__).parent
BASES = FOLDER / "bases"
FIRST = ("digits", "lenet-paper")
"""the default preset, and the first of the original paper"""
MERGE = "<<"
"""YAML's own key for the values of another mapping of the file"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Settings as they are written, with comments."""

    settings: dict[str, Any]
    comments: dict[str, str]
    """path of a key, with dots -> what stands behind it"""


def names() -> list[str]:
    """Every preset, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def description(name: str) -> str:
    """The first line of a preset."""
    return _text(name).splitlines()[0].removeprefix("# ")


@cache
def familiar_variants() -> tuple[str, ...]:
    """Names of variants that readers of figures know: those of the first experiments.

    >>> familiar_variants()[:4]
    ('ticket', 'reinit', 'one-shot', 'random-mask')
    """
    found = [composed(name).settings["variants"] for name in FIRST]
    return tuple(dict.fromkeys(name for variants in found for name in variants))


@cache
def composed(name: str) -> Recipe:
    """A preset, or a base, on top of its bases."""
    text = _text(name)
    differs: dict[str, Any] = params.parse_yaml(text)
    base = differs.pop("base", None)
    below = composed(base) if base else Recipe(settings={}, comments={})
    for path in differs.pop("without", ()):
        below = _without(below, path)
    written = set(_leaves(differs))
    kept = {key: said for key, said in below.comments.items() if key not in written}
    return Recipe(
        settings=_merged(below.settings, differs), comments=kept | _comments(text)
    )


def _text(name: str) -> str:
    path = FOLDER / f"{name}.yaml"
    path = path if path.exists() else BASES / f"{name}.yaml"
    return path.read_text(encoding="utf-8")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _without(recipe: Recipe, path: str) -> Recipe:
    """A recipe without a key, which must be there, and without its comments."""
    comments = {
        key: said
        for key, said in recipe.comments.items()
        if key != path and not key.startswith(f"{path}.")
    }
    return Recipe(settings=_pruned(recipe.settings, path.split(".")), comments=comments)


def _pruned(tree: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    first, *rest = keys
    if rest:
        return tree | {first: _pruned(tree[first], rest)}
    left = dict(tree)
    del left[first]
    return left


def _leaves(tree: dict[str, Any], where: str = "") -> Iterator[str]:
    """The keys whose values are written here: no mappings of mappings or of lists."""
    for key, value in tree.items():
        place = f"{where}.{key}" if where else key
        if isinstance(value, dict):
            yield from _leaves(value, place)
            if not any(isinstance(item, dict) for item in value.values()):
                yield place
        else:
            yield place


def _comments(text: str) -> dict[str, str]:
    """The comments at the ends of lines, by the first key of the line."""
    lines = text.splitlines()
    found: dict[int, tuple[str, str]] = {}
    for line, path in _keys(YAML(typ="safe", pure=True).compose(text)):
        comment = re.search(r"\s# (.*)$", lines[line])
        if comment and line not in found:
            found[line] = path, comment[1]
    return dict(found.values())


def _keys(node: Node, where: str = "") -> Iterator[tuple[int, str]]:
    """Line and path of every key, from the outer to the inner ones."""
    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        if key.value != MERGE:
            place = f"{where}.{key.value}" if where else key.value
            yield key.start_mark.line, place
            yield from _keys(value, place)
