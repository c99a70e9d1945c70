"""Write the reference of params.yaml: each key with type, default, values, a sentence.

Everything is read from the settings' dataclasses, so the reference always agrees with them.
"""

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, dataclass, is_dataclass
from textwrap import TextWrapper
from typing import Any, Literal, get_args, get_origin

from pipeline import engines
from pipeline.border.errors import UserError
from pipeline.config.annotations import (
    bare,
    hints_of,
    keys_of,
    mapping_of,
    note,
    options,
    sentences,
)
from pipeline.config.defaults import has_default, plain_default
from pipeline.config.settings import Settings
from pipeline.config.yaml_shape import did_you_mean_key, shown
from pipeline.core.fields import Default, Needed, OneOf
from pipeline.core.training.settings import TrainSettings

NAME = "NAME"
"""placeholder in a path for the name of a task, a variant or an analysis"""
WRAPPER = TextWrapper(
    width=88, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
)
ABOVE_THE_CORE: Mapping[tuple[type, str], OneOf] = {
    (TrainSettings, "engine"): OneOf(engines.CHOICES)
}
"""names for settings of the core whose registries the core may not import"""
WORDS: Mapping[object, str] = {
    bool: "true or false",
    float: "number",
    int: "whole number",
    str: "text",
    types.NoneType: "null",
}


class UnknownKeyError(UserError):
    """params.yaml has no such key; the one line suggests the nearest key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """The entry of one key in the reference."""

    path: str
    """path of the key, such as ``tasks.NAME.train.lr``"""
    type: str
    """type of its value, in words"""
    default: str
    """its default as YAML has it, or in words; ``required`` if it has none"""
    values: tuple[str, ...]
    """the names that its value may be; empty = all values of the type"""
    others: str | None
    """other values that are allowed, in words"""
    sentence: str


def every() -> list[Key]:
    """Every key, in the order of the settings."""
    return list(_keys(Settings, ""))


def find(asked: str) -> list[Key]:
    """A key and those below it.

    Args:
        asked: a path, with NAME or with names of tasks and variants, or its last part.

    Raises:
        UnknownKeyError: if there is no such key.
    """
    known = every()
    found = [key for key in known if _is_at_or_below(key.path.split("."), asked.split("."))]
    # If no path begins so, the key is a later part of a path, with all that follows.
    found = found or [key for key in known if f".{asked}." in f".{key.path}."]
    if not found:
        names = {key.path: key.sentence for key in known}
        names |= {key.path.rpartition(".")[2]: "" for key in known if "." in key.path}
        raise UnknownKeyError(
            f"params.yaml has no key {shown(asked)}{did_you_mean_key(asked, names)} "
            "(`lt-pipeline params` lists all)"
        )
    return found


def terminal(found: Collection[Key]) -> str:
    """Keys as paragraphs."""
    return "\n\n".join("\n".join(_paragraph(key)) for key in found)


def markdown() -> str:
    """The whole reference: a table for each mapping of params.yaml."""
    sections: dict[str, list[Key]] = {}
    for key in every():
        sections.setdefault(key.path.rpartition(".")[0], []).append(key)
    return "\n\n".join("\n".join(_table(*section)) for section in sections.items())


def names_of(kind: type, name: str, annotation: object) -> OneOf | None:
    """The names that a field may have, where a registry or its type lists them."""
    listed = note(annotation, OneOf) or ABOVE_THE_CORE.get((kind, name))
    if listed is not None:
        return listed
    values = [value for option in options(annotation) for value in _literals(option)]
    return OneOf(values) if values else None


def _literals(option: object) -> tuple[Any, ...]:
    return get_args(option) if get_origin(option) is Literal else ()


def _keys(kind: type, where: str) -> Iterator[Key]:
    hints = hints_of(kind)
    for key, one in keys_of(kind).items():
        annotation = hints[one.name]
        path = f"{where}.{key}" if where else key
        names = names_of(kind, one.name, annotation)
        yield Key(
            path=path,
            type=" or ".join(_in_words(option) for option in options(annotation)),
            default=_default(one, annotation),
            values=tuple(names.names) if names else (),
            others=names.others if names else None,
            sentence=sentences(kind)[one.name],
        )
        yield from _below(annotation, path)


def _below(annotation: object, path: str) -> Iterator[Key]:
    inner = mapping_of(annotation)
    if inner is not None:
        yield from _keys(inner, path)
    elif get_origin(bare(annotation)) is dict:
        yield from _below(get_args(bare(annotation))[1], f"{path}.{NAME}")


_LISTED = {str: "names", int: "whole numbers", float: "numbers"}


def _in_words(option: object) -> str:
    if isinstance(option, type) and is_dataclass(option):
        return "mapping"
    if get_origin(option) is Literal:
        return "text"
    if get_origin(option) is tuple:
        return f"list of {_LISTED[get_args(option)[0]]}"
    if get_origin(option) is dict:
        names, values = get_args(option)
        if values is Any:
            return "mapping of names to values"
        if not _literals(names):
            return "mapping of names to mappings"
        inside = " or ".join(_in_words(value) for value in options(values))
        return f"mapping with {inside} for any of {', '.join(_literals(names))}"
    return WORDS[option]


def _default(one: Field[Any], annotation: object) -> str:
    depends, needed = note(annotation, Default), note(annotation, Needed)
    if depends is not None:
        return depends.says
    if not has_default(one, annotation):
        return "required"
    value = plain_default(one)
    if value == {}:
        return "{}" if get_origin(bare(annotation)) is dict else "each key's own"
    text = str(value).lower() if isinstance(value, bool) else shown(value)
    return f"{text}; required {needed.says}" if needed else text


def _is_at_or_below(path: list[str], asked: list[str]) -> bool:
    same = (a in (b, NAME) for a, b in zip(path, asked, strict=False))
    return len(path) >= len(asked) and all(same)


def _paragraph(key: Key) -> Iterator[str]:
    facts = f"({key.type}; {_of_default(key)})"
    if len(key.path) + 2 + len(facts) <= WRAPPER.width:
        yield f"{key.path}  {facts}"
    else:
        yield key.path
        yield WRAPPER.fill(facts)
    yield WRAPPER.fill(key.sentence.replace("``", ""))
    if key.values:
        yield WRAPPER.fill(f"one of: {', '.join(key.values)}{_others(key)}")


def _of_default(key: Key) -> str:
    return key.default if key.default == "required" else f"default: {key.default}"


def _others(key: Key) -> str:
    return f", or {key.others}" if key.others else ""


def _table(section: str, members: Collection[Key]) -> Iterator[str]:
    yield f"## `{section}`" if section else "## The file"
    yield ""
    yield "| key | type | default | values | meaning |"
    yield "|---|---|---|---|---|"
    for key in members:
        name = key.path.rpartition(".")[2]
        values = ", ".join(f"`{value}`" for value in key.values) + _others(key)
        sentence = key.sentence.replace("``", "`")
        yield f"| `{name}` | {key.type} | {key.default} | {values} | {sentence} |"
