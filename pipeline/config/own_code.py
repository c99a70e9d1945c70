"""Check the functions of the user's that settings name in place of entries."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from pipeline.border import user_code
from pipeline.border.user_code import CodeError
from pipeline.config import user_network
from pipeline.config.annotations import hints_of, note
from pipeline.config.settings import Settings
from pipeline.config.yaml_shape import at
from pipeline.core.fields import Importable
from pipeline.core.functions import function_in, is_function, options_in


def names(settings: Settings) -> list[tuple[str, str]]:
    """Where settings name a function, and its name with options."""
    return list(_named(settings, ""))


def check(settings: Settings, root: Path) -> None:
    """Import every function, so that one that cannot be imported is known at once.

    Raises:
        CodeError: with one line about the first of them.
    """
    for where, name in names(settings):
        try:
            options_in(name)
            user_code.load(function_in(name), root=root)
        except ValueError as error:
            raise CodeError(f"params.yaml: {where}: {error}") from None
        except CodeError as error:
            raise CodeError(f"params.yaml: {where}: {error}") from None


def try_networks(settings: Settings) -> None:
    """Compute the networks of layer records of the user's once, before anything trains.

    It needs torch. So the plan asks, and reading settings does not.

    Raises:
        CodeError: with one line about the first whose layers do not fit.
    """
    for name, task in settings.tasks.items():
        if task.model.import_ is not None:
            try:
                user_network.refuse_unfit(
                    task.model.import_, task.model.options, task.dataset.description
                )
            except ValueError as error:
                raise CodeError(f"params.yaml: tasks.{name}.model: {error}") from None


def _named(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _named(inner, at(where, str(key)))
    if not is_dataclass(value) or isinstance(value, type):
        return
    hints = hints_of(type(value))
    for one in fields(value):
        found, place = getattr(value, one.name), at(where, one.name)
        if note(hints[one.name], Importable) is None:
            yield from _named(found, place)
        elif isinstance(found, str) and is_function(found):
            yield place, found
