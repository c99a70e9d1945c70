"""Read params.yaml, refuse what is wrong in it, and make typed settings.

First, unknown and missing keys are refused by name, and defaults are filled in. Then types
and ranges are checked (by pydantic and the dataclasses), and last whether settings fit
together (by ``checks``). Every refusal is one line: where, what was found, what to do.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pydantic
import pydantic_core
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.border.errors import UserError
from pipeline.border.root import make_importable
from pipeline.config import checks, defaults, own_code, own_data, own_masks
from pipeline.config.settings import OWN, Settings
from pipeline.config.yaml_shape import refuse_odd_values, refuse_wrong_keys, shown
from pipeline.core.starts import STARTS

FILE = Path("params.yaml")
_WHOLE = "give a whole number"
_PLAIN = ("int_type", "float_type", "bool_type")
_ASKED = MappingProxyType(
    {
        "int_type": _WHOLE,
        "int_from_float": _WHOLE,
        "float_type": "give a number",
        "bool_type": "write true or false",
        "string_type": "write text, in quotes if it looks like a number",
        "tuple_type": "write a list in [ ]",
        "dict_type": "write names with their settings below them",
    }
)
"""kind of pydantic's error -> what to write"""


class ParamsError(UserError):
    """params.yaml cannot be used; the one line says where, what, and what to do."""


def load(root: Path = Path()) -> Settings:
    """Read and check params.yaml below ``root``.

    Raises:
        ParamsError: with one line, whatever is wrong.
    """
    try:
        text = (root / FILE).read_text(encoding="utf-8")
        raw = parse_yaml(text)
    except FileNotFoundError:
        raise ParamsError(
            f"{FILE} is missing; write one with `lt-pipeline use PRESET`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{FILE} cannot be read: {_one_line(error)}") from None
    except YAMLError as error:
        raise ParamsError(f"{FILE} is not YAML: {_yaml_problem(error)}") from None
    # ruamel's constructors raise these for tags that do not fit, such as !!bool x.
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ParamsError(
            f"{FILE} cannot be parsed ({_one_line(error)}); correct the value or put it "
            "in quotes"
        ) from None
    _refuse_unreadable_by_dvc(text)
    return parse(raw, root)


def _refuse_unreadable_by_dvc(text: str) -> None:
    """Refuse what only our parser takes: DVC reads params.yaml by libyaml."""
    try:
        YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ParamsError(
            f"{FILE} is not YAML to DVC: {_yaml_problem(error)}; write each key on a line "
            "of its own, not inside { }"
        ) from None


def parse(raw: object, root: Path = Path()) -> Settings:
    """Check the contents of a params.yaml below ``root`` and make settings of them."""
    make_importable(root)  # first: some defaults ask what a function of the user's declares
    full = completed(raw)
    try:
        # JSON, because pydantic is strict there and still takes lists for tuples.
        text = json.dumps(full)
        settings = validator().validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise ParamsError(_first(error, full)) from None
    for problem in [*checks.bad_names(settings), *own_data.problems(settings)]:
        raise ParamsError(f"{FILE}: {problem}")
    settings = own_data.with_known(settings, root)
    own_code.check(settings, root)
    for problem in checks.problems(settings):
        raise ParamsError(f"{FILE}: {problem}")
    return own_masks.with_known(settings, root)


@cache
def validator() -> pydantic.TypeAdapter[Settings]:
    """The validator that pydantic builds of the types; this takes longer than a check."""
    return pydantic.TypeAdapter(Settings)


def completed(raw: object) -> dict[str, Any]:
    """The contents of a params.yaml with defaults filled in; values keep their spelling.

    Functions of the user's that it names must be importable by now: some defaults are what
    they declare.

    Raises:
        ParamsError: where a key is unknown or missing.
    """
    try:
        refuse_odd_values(raw)
        refuse_wrong_keys(Settings, raw)
        assert isinstance(raw, dict)
        return defaults.complete(raw)
    except ValueError as error:
        raise ParamsError(f"{FILE}: {error}") from None


def resolved(root: Path = Path()) -> dict[str, Any]:
    """All settings that decide results as plain values, as they are recorded with them.

    Call it only after ``load`` has accepted the file.
    """
    full = completed(parse_yaml((root / FILE).read_text(encoding="utf-8")))
    for task in full["tasks"].values():
        task.pop("resources", None)
    return full


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - YAML is any value
    """Parse YAML 1.2, as DVC does: 1e-3 is a number. Every call returns new objects."""
    return deepcopy(_parsed(text))


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:  # noqa: ANN401 - YAML is any value
    """The last text that was parsed: a stage asks for its settings in several places."""
    return YAML(typ="safe", pure=True).load(text)


def behind(task: str, variant: str | None, root: Path = Path()) -> dict[str, Any]:
    """The settings that decide a result, as the user wrote them, with defaults.

    Args:
        task: name of the task.
        variant: name of the variant; None for the dense network.
        root: root folder of the repository.

    Returns:
        data, model and train of the task; prune and rewind of the variant; mask_source,
        the recipe of the variant whose mask it takes, with the task's settings if it is
        another task's, and how its rounds begin if its starts are taken, too, or its
        trained networks pooled; or the file. Parts that do not apply are None.
    """
    return behind_in(resolved(root), task, variant)


def behind_in(raw: Mapping[str, Any], task: str, variant: str | None) -> dict[str, Any]:
    """The same of settings that are read already, as ``resolved`` returns them."""
    task_settings: dict[str, Any] = raw["tasks"][task]
    own = raw.get("datasets", {}).get(task_settings["data"])
    if own is not None:
        task_settings = task_settings | {"dataset": own}
    if variant is None:
        return task_settings | {"prune": None, "rewind": None, "mask_source": None}
    recipe = raw["variants"][variant]
    source = _mask_source(raw, recipe["prune"]["mask"])
    to = recipe["rewind"]["to"]
    takes = to in STARTS and STARTS[to].needs_taken
    if source and (takes or "pool" in recipe["prune"]):
        taken = recipe["prune"]["mask"]
        name = taken if isinstance(taken, str) else taken["variant"]
        source = source | {"rewind": raw["variants"][name]["rewind"]}
    return task_settings | {
        "prune": recipe["prune"],
        "rewind": _start(raw, recipe["rewind"]),
        "mask_source": source,
    }


def _start(raw: Mapping[str, Any], rewind: dict[str, Any]) -> dict[str, Any]:
    """How rounds begin; ``source`` has the settings of the task whose weights they take."""
    if "task" not in rewind:
        return rewind
    return rewind | {"source": _dense(raw, rewind["task"])}


def _dense(raw: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The settings behind a task's dense network."""
    found = behind_in(raw, task, None)
    return {key: value for key, value in found.items() if value is not None}


def _mask_source(raw: Mapping[str, Any], taken: Any) -> dict[str, Any] | None:  # noqa: ANN401 - text or keys
    """Where masks come from that are not a variant's own."""
    if taken == OWN:
        return None
    if isinstance(taken, str):
        recipe = raw["variants"][taken]["prune"]
        return dict(recipe)
    if "file" in taken:
        return dict(taken)
    recipe = raw["variants"][taken["variant"]]["prune"]
    return {**recipe, "task": _dense(raw, taken["task"])}


def _first(error: pydantic.ValidationError, full: object) -> str:
    """The first problem; of a value that may be text or keys, what is wrong as that."""
    found = [(_place(one["loc"], full), one) for one in error.errors(include_url=False)]
    first, _ = found[0]
    here = [one for one in found if one[0][: len(first)] == first]
    place, problem = max(here, key=lambda one: (len(one[0]), _tells(one[1])))
    where = ".".join(place)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{FILE}: {where}: {_one_line(message)}"
    asked = _ASKED.get(problem["type"])
    if asked:
        quoted = isinstance(problem["input"], str) and problem["type"] in _PLAIN
        plain = ", without quotes" if quoted else ""
        return f"{FILE}: {where}: {_typed(problem['input'])} found; {asked}{plain}"
    message = message[:1].lower() + message[1:]
    return f"{FILE}: {where}: {_one_line(message)}; found {shown(problem['input'])}"


def _tells(problem: pydantic_core.ErrorDetails) -> bool:
    """Whether a problem is more than that a value is no text, or has no keys."""
    is_keys = isinstance(problem["input"], dict)
    return problem["type"] != ("string_type" if is_keys else "dataclass_type")


def _place(loc: tuple[int | str, ...], full: Any) -> tuple[str, ...]:  # noqa: ANN401 - YAML
    """The path of a problem in the file; pydantic also names the type that it tried."""
    found: list[str] = []
    value: Any = full
    for part in loc:
        is_there = isinstance(value, dict) and part in value
        if is_there or (isinstance(value, list) and isinstance(part, int)):
            found.append(str(part))
            value = value[part]
    return tuple(found)


def _typed(value: object) -> str:
    """A value whose type is wrong: text in quotes, and what is long by its kind."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "keys with values"
    return f'the text "{shown(value)}"' if isinstance(value, str) else shown(value)


def _yaml_problem(error: YAMLError) -> str:
    """The problem and its line, without ruamel's drawing of the place."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {_one_line(error.problem)}"
    return _one_line(error)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
