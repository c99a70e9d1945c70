"""Registries list all entries of one kind by name, such as all models or all engines.

Each entry has a record of what it needs and can do. To add a model, criterion, start,
transform or engine, write one small file and one record. A file is imported when its
entry is used, so code that reads only records, such as the plan, imports no torch.

Where a registry says so, the name of a function of the user's (``functions``) can stand in
place of an entry's. Its record is the one that the function declares.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from pipeline.core import functions


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The record of an entry. A registry that needs more facts derives a record from it."""

    module: str = ""
    """the module that defines the entry, below the package of its registry; not written by
    a function of the user's, which knows its module"""


EntryT = TypeVar("EntryT", bound=Entry)


MANY = 20
"""more names than a message lists beside the nearest one"""


class UnknownNameError(ValueError, KeyError):
    """A registry has no entry of that name; the message lists the names that it has."""

    __str__ = ValueError.__str__  # a KeyError puts its message in quotes


class Registry(Mapping[str, EntryT], Generic[EntryT]):
    """The records of one kind of entry, by name, in the order in which they were given."""

    def __init__(
        self,
        kind: str,
        package: str,
        entries: Mapping[str, EntryT],
        *,
        offers: str | None = None,
        own: type[EntryT] | None = None,
    ) -> None:
        """Keep the records.

        Args:
            kind: what messages call an entry, such as ``criterion``.
            package: the package whose modules define the entries.
            entries: the records by name.
            offers: name of the function that every entry's module offers; None = each
                function has its entry's name, with underscores for hyphens.
            own: the record of functions of the user's, which can stand in place of an
                entry; a function that declares none has its defaults. None = they cannot.
        """
        self.kind = kind
        self.package = package
        self._entries = dict(entries)
        self._offers = offers
        self._own = own

    def __getitem__(self, name: str) -> EntryT:
        """The record of an entry.

        Raises:
            UnknownNameError: if there is no such entry; it suggests the nearest name. If a
                function of the user's cannot stand there; it says why.
        """
        if functions.is_function(name) and self._own is not None:
            return self._declared(name, self._own)
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(unknown(name, self._entries, self.kind)) from None

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """The number of entries."""
        return len(self._entries)

    def problem(self, name: str) -> str:
        """Why a name is none of this registry, in one line; empty if it is one."""
        try:
            self[name]
        except UnknownNameError as error:
            return str(error)
        return ""

    def load(self, name: str) -> Any:  # noqa: ANN401 - the caller knows its signature
        """Import the module of an entry and return its function.

        Raises:
            UnknownNameError: if there is no such entry.
        """
        entry = self[name]
        if functions.is_function(name):
            return functions.load(name)
        module = import_module(f"{self.package}.{entry.module}")
        return getattr(module, self._offers or name.replace("-", "_"))

    def _declared(self, name: str, kind: type[EntryT]) -> EntryT:
        """The record of a function of the user's."""
        module = functions.function_in(name).partition(":")[0]
        try:
            functions.options_in(name)
            record = functions.record_of(name)
            declared = kind(module=module) if record is None else record
        except TypeError:
            declared = None
        except ValueError as error:
            raise UnknownNameError(str(error)) from None
        if not isinstance(declared, kind):
            raise UnknownNameError(
                f"{functions.function_in(name)} declares no record of a {self.kind}; write "
                f"@declares({kind.__name__}(…)) before it"
            )
        return replace(declared, module=module)

    def file_of(self, name: str) -> str:
        """The file or package, in the registry's folder, that holds an entry.

        Stages depend on it, so code that only one entry uses belongs into its package.

        Raises:
            UnknownNameError: if there is no such entry.
        """
        first = self[name].module.partition(".")[0]
        spec = find_spec(f"{self.package}.{first}")
        assert spec is not None, f"{self.kind} {name} has no module"
        return f"{first}.py" if spec.submodule_search_locations is None else first


def unknown(found: str, known: Iterable[str], kind: str = "") -> str:
    """The error message for an unknown name, which suggests the nearest known one.

    >>> unknown("magnitud", ["magnitude", "random"], "criterion")
    'unknown criterion: magnitud; did you mean magnitude? (known: magnitude, random)'
    """
    names = list(known)
    what = f"unknown {kind}".strip()
    near = did_you_mean(found, names)
    all_of_them = "" if near and len(names) > MANY else f" (known: {', '.join(names)})"
    return f"{what}: {found}{near}{all_of_them}"


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """The nearest of the known names as the end of a sentence; empty if none is near.

    A name that begins with what was found is nearer than any that resembles it.

    >>> did_you_mean("movment", ["magnitude", "movement"]), did_you_mean("x", ["y"])
    ('; did you mean movement?', '')
    >>> did_you_mean("LeNet", ["resnet-8", "lenet-300-100"])
    '; did you mean lenet-300-100?'
    """
    names = list(known)
    asked = found.lower()
    longer = [name for name in names if len(asked) > 1 and name.startswith(asked)]
    near = longer or difflib.get_close_matches(asked, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""
