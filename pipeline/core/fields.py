"""Notes on the fields of settings, beside their types: names and defaults.

A note stands in the annotation, ``Annotated[str, OneOf(STARTS)]``. A default that is the
same everywhere is the field's own; what depends on other settings is a ``Default`` or a
``Needed``. Nothing here checks or fills in anything: ``config`` does.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

Tree = Mapping[str, Any]
"""settings as they were written, before they are checked: any value may stand there"""


@dataclass(frozen=True, slots=True)
class Default:
    """A default that depends on other settings."""

    says: str
    """the rule, as a reader of the reference finds it"""
    find: Callable[[Tree, Tree], object]
    """the mapping that lacks the key, all of params.yaml -> the value as YAML has it"""


@dataclass(frozen=True, slots=True)
class Needed:
    """A key that has a default, but must be written where other settings ask for it."""

    says: str
    """where, as a reader of the reference finds it: ``for milestones``"""
    when: Callable[[Tree], bool]
    """the mapping that lacks the key -> whether it must be written"""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The names that a value may have, most often those of a registry."""

    names: Collection[str]
    others: str | None = None
    """what else it may be, in words; None = nothing"""
