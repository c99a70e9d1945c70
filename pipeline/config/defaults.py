"""Fill in the keys that may be left out of params.yaml, and name required ones missing.

The defaults stand in the fields of the settings' dataclasses and nowhere else.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, is_dataclass
from typing import Any, get_args, get_origin

from pipeline.config.annotations import bare, hints_of, keys_of, mapping_of, note
from pipeline.config.settings import Settings
from pipeline.config.yaml_shape import at
from pipeline.core import functions
from pipeline.core.fields import Default, Function, Needed, OnlyWritten, Tree


def complete(written: Tree) -> dict[str, Any]:
    """All settings as plain values: the written ones unchanged, defaults for the others.

    Args:
        written: params.yaml as nested dicts, without unknown keys.

    Raises:
        ValueError: with one line that names every key that is missing.
    """
    filling = _Filling(written)
    full = filling.mapping(Settings, written, "")
    if filling.missing:
        *others, last = filling.missing
        named = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        key = "KEY" if others else last
        raise ValueError(f"{named} missing; `lt-pipeline params {key}` says what to write")
    return full


@dataclass(frozen=True, slots=True)
class _Filling:
    """One walk through the written settings and their dataclasses."""

    settings: Tree
    missing: list[str] = field(default_factory=list)

    def mapping(self, kind: type, written: Tree, where: str) -> dict[str, Any]:
        """The mapping of a dataclass with every key, in the order of the fields."""
        hints = hints_of(kind)
        full = {}
        for key, one in keys_of(kind).items():
            place = at(where, key)
            if key in written:
                value = written[key]
            elif note(hints[one.name], OnlyWritten) is not None:
                continue
            elif self._must_be_written(one, hints[one.name], written):
                self.missing.append(place)
                continue
            else:
                value = self._default(one, hints[one.name], written)
            full[key] = self._inside(hints[one.name], value, place)
        return full

    def _must_be_written(self, one: Field[Any], annotation: object, written: Tree) -> bool:
        needed = note(annotation, Needed)
        if needed is not None:
            return needed.when(written)
        return not has_default(one, annotation)

    def _default(self, one: Field[Any], annotation: object, written: Tree) -> object:
        default = note(annotation, Default)
        return default.find(written, self.settings) if default else plain_default(one)

    def _inside(self, annotation: object, value: object, where: str) -> object:
        if not isinstance(value, dict):
            return value
        inner = mapping_of(annotation)
        if inner is Function:
            return _name_of(self.mapping(inner, value, where), where)
        if inner is not None:
            return self.mapping(inner, value, where)
        if get_origin(bare(annotation)) is dict:
            kind = get_args(bare(annotation))[1]
            return {
                key: self._inside(kind, item, at(where, key)) for key, item in value.items()
            }
        return value


def _name_of(written: dict[str, Any], where: str) -> str:
    """The name by which all that follows knows a function of the user's."""
    if "import" not in written:
        return ""  # the missing key is named with all others
    function, options = written["import"], written["options"] or {}
    if not isinstance(function, str) or not isinstance(options, dict):
        raise ValueError(
            f"{where}: write import: package.module:function, and options as names with "
            "their values below them"
        )
    try:
        return functions.named(function, options)
    except ValueError as error:
        raise ValueError(f"{where}.import: {error}") from None


def has_default(one: Field[Any], annotation: object) -> bool:
    """Whether a key may be left out, except where a ``Needed`` forbids it."""
    fixed = one.default is not MISSING or one.default_factory is not MISSING
    return fixed or note(annotation, Default) is not None


def plain_default(one: Field[Any]) -> object:
    """A field's own default as YAML has it; {} for a mapping of settings.

    The keys of such a mapping have defaults of their own.
    """
    make: Callable[[], object] | Any = one.default_factory
    value = one.default if make is MISSING else make()
    if is_dataclass(value):
        return {}
    return list(value) if isinstance(value, tuple) else value
