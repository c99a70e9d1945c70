"""Check the values and keys of a YAML file before settings are made of it.

Every function here raises ValueError with one line that says where, what was found, and
what to do; the caller puts the file's name before it.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pipeline.config.annotations import (
    bare,
    hints_of,
    keys_of,
    mapping_of,
    options,
    sentences,
)
from pipeline.core.functions import is_function
from pipeline.core.registry import Registry, did_you_mean, unknown

MAX_VALUES = 5_000
"""most values in one file; aliases of aliases can make far more, recursive ones no end"""
LARGEST = 10**9
"""largest whole number: no count and no seed is larger"""
ALIKE = 0.75
"""share of letters in common from which a key is taken for a slip of another, not a word"""


def refuse_odd_values(tree: object) -> None:
    """Refuse values that no setting can have: dates, sets, infinity, keys without text."""
    waiting = [("", tree)]
    num_seen = 0
    while waiting:
        where, value = waiting.pop()
        num_seen += 1
        if num_seen > MAX_VALUES:
            raise ValueError(
                f"there are more than {MAX_VALUES:,} values (through aliases?); "
                "write the settings out"
            )
        if isinstance(value, dict):
            for key in value:
                _refuse_odd_key(where, key)
            waiting += [(at(where, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(where, item) for item in value]
        else:
            _refuse_odd_scalar(where, value)


def refuse_wrong_keys(annotation: object, value: object, where: str = "") -> None:
    """Refuse keys that no field of the dataclasses has; missing ones are ``defaults``'."""
    inner, only = mapping_of(annotation), len(options(annotation)) == 1
    annotation = bare(annotation)
    if inner is not None and (only or isinstance(value, dict)):
        hints, keys = hints_of(inner), keys_of(inner)
        said = {key: sentences(inner)[one.name] for key, one in keys.items()}
        _check_mapping(value, said, where)
        assert isinstance(value, dict)
        for key in (key for key in keys if key in value):
            refuse_wrong_keys(hints[keys[key].name], value[key], at(where, key))
    elif get_origin(annotation) is dict and isinstance(value, dict):
        for key, item in value.items():
            refuse_wrong_keys(get_args(annotation)[1], item, at(where, key))


def choose(found: str, known: Iterable[str]) -> str:
    """The message about an unknown name, which suggests the nearest known one."""
    return unknown(shown(found), known)


def choose_or_import(found: str, known: Iterable[str], registry: Registry[Any]) -> str:
    """Why a value is neither a known name nor a function; empty if it is one of them.

    Args:
        found: the value.
        known: names that it may have.
        registry: in which a function of the user's can stand.
    """
    if is_function(found):
        return registry.problem(found)
    return "" if found in known else choose(found, known)


def did_you_mean_key(found: str, known: Mapping[str, str]) -> str:
    """The key that was meant as the end of a sentence; empty if none is like it.

    A key is spelled alike, or its sentence has the words that were found.

    Args:
        found: the unknown key.
        known: the keys with their sentences.

    >>> known = {"schedule": "the learning rate at a step", "lr": "learning rate, above 0"}
    >>> did_you_mean_key("learning_rate", known), did_you_mean_key("shedule", known)
    ('; did you mean lr?', '; did you mean schedule?')
    """
    words = re.compile(rf"\b{re.escape(re.sub('[_-]', ' ', found))}", re.IGNORECASE)
    # The earlier the words come, the more the sentence is about them.
    said = {key: has.start() for key, one in known.items() if (has := words.search(one))}
    is_spelled = bool(get_close_matches(found, known, n=1, cutoff=ALIKE))
    is_begun = any(key.startswith(found) for key in known)
    if is_spelled or is_begun or not said or not found[:1].isalpha():
        return did_you_mean(found, known)
    return f"; did you mean {min(said, key=said.__getitem__)}?"


def shown(value: object) -> str:
    """A value in an error message: one line, not too long, null as YAML says it."""
    if value is None:
        return "null"
    text = value if isinstance(value, str) and value else repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else text[:57] + "..."


def at(where: str, key: str) -> str:
    """The path of a key below another one."""
    return f"{where}.{shown(key)}" if where else shown(key)


def _refuse_odd_key(where: str, key: object) -> None:
    if not isinstance(key, str):
        raise ValueError(
            f"{where or 'the file'} has the key {shown(key)}, which is no text; "
            "names begin with a letter"
        )
    if not key.isprintable():
        raise ValueError(
            f"the key {at(where, key)} has characters that cannot be printed; remove them"
        )


def _refuse_odd_scalar(where: str, value: object) -> None:
    place = where or "the file"
    if isinstance(value, str):
        if not value.isprintable():
            raise ValueError(
                f"{place}: {shown(value)} has characters that cannot be printed "
                "(line breaks too); remove them"
            )
    elif isinstance(value, int | float):
        if not -LARGEST <= value <= LARGEST:
            raise ValueError(
                f"{place}: {shown(value)} found; give a number of at most {LARGEST:,}"
            )
    elif value is not None:
        raise ValueError(
            f"{place}: found {shown(value)}, a {type(value).__name__}; "
            "write text, a number, true, false or null"
        )


def _check_mapping(value: object, known: Mapping[str, str], where: str) -> None:
    place = where or "the file"
    if not isinstance(value, dict):
        raise ValueError(
            f"{place} must have the keys {', '.join(known)}; found {shown(value)}"
        )
    for key in value:
        if key not in known:
            raise ValueError(
                f"unknown key {at(where, key)}{did_you_mean_key(key, known)} "
                f"({place} has {', '.join(known)})"
            )
