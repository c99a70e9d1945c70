"""The JSON Schema of params.yaml, for editors: it completes, explains and checks.

A schema cannot check rules about several settings, such as a key that only some recipes
need; ``lt-pipeline plan`` checks them.
"""

from dataclasses import Field, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pipeline.config.annotations import hints_of, keys_of, note, options, sentences
from pipeline.config.checks import NAME
from pipeline.config.defaults import has_default, plain_default
from pipeline.config.reference import names_of
from pipeline.config.settings import Settings
from pipeline.core.fields import Default, OneOf

FILE = "params.schema.json"
Schema = dict[str, Any]
SIMPLE = {bool: "boolean", float: "number", int: "integer", str: "string"}


def schema() -> Schema:
    """The schema of the whole file, as JSON has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml of lt-pipeline",
        **_mapping(Settings),
    }


def _mapping(kind: type) -> Schema:
    hints = hints_of(kind)
    return {
        "type": "object",
        "properties": {
            key: _property(kind, one, hints[one.name]) for key, one in keys_of(kind).items()
        },
        "required": [
            key
            for key, one in keys_of(kind).items()
            if not has_default(one, hints[one.name])
        ],
        "additionalProperties": False,
    }


def _property(kind: type, one: Field[Any], annotation: object) -> Schema:
    value = _value(annotation, names_of(kind, one.name, annotation))
    described = {"description": sentences(kind)[one.name].replace("``", ""), **value}
    if note(annotation, Default) is None and has_default(one, annotation):
        described["default"] = plain_default(one)
    return described


def _value(annotation: object, names: OneOf | None) -> Schema:
    found = options(annotation)
    nullable = type(None) in found
    kinds = [option for option in found if option is not type(None)]
    if len(kinds) > 1:  # text, or a mapping in its place
        null = type(None) if nullable else kinds[0]
        text = _value(Union[kinds[0], null], names)  # noqa: UP007 - of values
        return {"anyOf": [text, *(_of_type(kind) for kind in kinds[1:])]}
    (kind,) = kinds
    listed = get_origin(kind) is tuple
    if names is not None and names.others is None and not listed:
        return {"enum": [*names.names, *([None] if nullable else [])]}
    one = _of_type(kind)
    if names is not None and listed:
        one["items"] = {"enum": list(names.names)}
    elif names is not None:
        one["examples"] = list(names.names)
    if nullable:
        one["type"] = [one["type"], "null"]
    return one


def _of_type(kind: object) -> Schema:
    if isinstance(kind, type) and is_dataclass(kind):
        return _mapping(kind)
    if kind is Any:
        return {}
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _value(arguments[0], None)}
    if get_origin(kind) is dict:
        return {"type": "object", **_entries(*arguments)}
    assert isinstance(kind, type)
    return {"type": SIMPLE[kind]}


def _entries(names: object, values: object) -> Schema:
    """The schema of a mapping whose keys are names: from a list, or the user's own."""
    if get_origin(names) is Literal:
        return {
            "properties": {name: _value(values, None) for name in get_args(names)},
            "additionalProperties": False,
        }
    if values is Any:
        return {}
    return {
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": _value(values, None),
    }
