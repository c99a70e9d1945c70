"""Read types, notes and sentences from the fields of the settings' dataclasses."""

import ast
import inspect
import types
from dataclasses import Field, fields, is_dataclass
from functools import cache
from textwrap import dedent
from typing import (
    Annotated,
    Any,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pipeline.core.fields import Derived, Function, Importable

Note = TypeVar("Note")


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """The annotations of a settings' dataclass, notes included, by key."""
    return get_type_hints(kind, include_extras=True)


def keys_of(kind: type) -> dict[str, Field[Any]]:
    """The fields of a settings' dataclass by their keys in YAML.

    A key that is a word of Python, such as ``import``, has an underscore behind its field.
    """
    hints = hints_of(kind)
    return {
        one.name.removesuffix("_"): one
        for one in fields(kind)
        if note(hints[one.name], Derived) is None
    }


def note(annotation: object, kind: type[Note]) -> Note | None:
    """The note of one kind in an annotation; None if it has none.

    >>> note(Annotated[int, "counted"], str), note(int, str)
    ('counted', None)
    """
    if get_origin(annotation) is not Annotated:
        return None
    found = (one for one in get_args(annotation)[1:] if isinstance(one, kind))
    return next(found, None)


def bare(annotation: object) -> object:
    """An annotation without its notes."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def options(annotation: object) -> tuple[object, ...]:
    """The types that a field may have; the type of null is one of them.

    >>> options(Annotated[int | None, "counted"])
    (<class 'int'>, <class 'NoneType'>)
    """
    functions = (Function,) if note(annotation, Importable) is not None else ()
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return (*get_args(annotation), *functions)
    return (annotation, *functions)


def mapping_of(annotation: object) -> type | None:
    """The dataclass whose mapping a field may have; None if there is none."""
    return next((one for one in options(annotation) if _is_mapping(one)), None)


def _is_mapping(option: object) -> TypeGuard[type]:
    return isinstance(option, type) and is_dataclass(option)


@cache
def sentences(kind: type) -> dict[str, str]:
    """The sentence below each field of a settings' dataclass, as one line, by key.

    >>> from pipeline.config.settings import Data
    >>> sentences(Data)["download"]
    'whether missing data may be downloaded'
    """
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
