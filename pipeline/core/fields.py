"""Notes on the fields of settings: which names a field allows, and when it has a default.

A note stands in the field's annotation, as in ``Annotated[str, OneOf(STARTS)]``. A
default that is always the same stands in the dataclass, as usual; ``Default`` and
``Needed`` are for defaults that depend on other settings. ``config`` reads the notes,
checks values and fills in defaults.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Tree = Mapping[str, Any]
"""settings as the user wrote them, not checked yet: they may hold any value"""


@dataclass(frozen=True, slots=True)
class Default:
    """A default that depends on other settings."""

    says: str
    """the rule in words, for the reference of params.yaml"""
    find: Callable[[Tree, Tree], object]
    """computes the value, as YAML has it, from the mapping that lacks the key and from
    all of params.yaml"""


@dataclass(frozen=True, slots=True)
class Needed:
    """A key with a default that must be written all the same where other settings ask."""

    says: str
    """the case in words, for the reference of params.yaml: ``for milestones``"""
    when: Callable[[Tree], bool]
    """tells from the mapping that lacks the key whether the key must be written"""


@dataclass(frozen=True, slots=True)
class OnlyWritten:
    """A note: where the key is not written it is left out, not filled in.

    For keys that came later than results of settings without them.
    """


@dataclass(frozen=True, slots=True)
class Derived:
    """A note: the field is no key; it follows from others after they were read."""


@dataclass(frozen=True, slots=True)
class Importable:
    """A note: in place of a name, keys may name a function of the user's (``Function``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function of yours, in place of a name."""

    import_: str
    """``package.module:function`` of yours"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of that function, by name"""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A note: the value is one of these names, most often those of a registry."""

    names: Collection[str]
    others: str | None = None
    """other values that are allowed, in words; None = there are no others"""
