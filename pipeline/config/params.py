"""Read params.yaml, check everything that a user can get wrong, and make typed settings.

First, unknown and missing keys are refused by name, and defaults are filled in. Then types
and ranges are checked (by pydantic and the dataclasses), and last whether settings fit
together. Every refusal is one line: where, what was found, what to do.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline import engines
from pipeline.border.errors import UserError
from pipeline.config import analysis, compat, defaults, prune, rewind
from pipeline.config.analysis import Analysis, Known
from pipeline.config.rewind import Masks, Retraining
from pipeline.config.settings import (
    OWN,
    Settings,
    Task,
    Variant,
    build_network,
    total_steps,
)
from pipeline.config.yaml_shape import choose, refuse_odd_values, refuse_wrong_keys, shown
from pipeline.core import models
from pipeline.core.models.init import INITS
from pipeline.core.models.layers import has_statistics
from pipeline.data.facts import FACTS

FILE = Path("params.yaml")
NAME = r"[a-z][a-z0-9]*([_-][a-z0-9]+)*"
"""pattern of task and variant names; a dot would end a name in paths of DVC's params"""
LONGEST_NAME = 60
RESERVED = analysis.NAMED_ENDS
"""names that folders and analyses use for networks that belong to no variant"""


class ParamsError(UserError):
    """params.yaml cannot be used; the one line says where, what, and what to do."""


def load(root: Path = Path()) -> Settings:
    """Read and check params.yaml below ``root``.

    Raises:
        ParamsError: with one line, whatever is wrong.
    """
    try:
        raw = parse_yaml((root / FILE).read_text(encoding="utf-8"))
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
    return parse(raw)


def parse(raw: object) -> Settings:
    """Check the contents of a params.yaml and make settings of them."""
    full = completed(raw)
    try:
        # JSON, because pydantic is strict there and still takes lists for tuples.
        text = json.dumps(full)
        settings: Settings = pydantic.TypeAdapter(Settings).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise ParamsError(_first(error)) from None
    for problem in _problems(settings):
        raise ParamsError(f"{FILE}: {problem}")
    return settings


def completed(raw: object) -> dict[str, Any]:
    """The contents of a params.yaml with defaults filled in; values keep their spelling.

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
    """All settings as plain values, as they are recorded with results.

    Call it only after ``load`` has accepted the file.
    """
    return completed(parse_yaml((root / FILE).read_text(encoding="utf-8")))


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - YAML is any value
    """Parse YAML 1.2, as DVC does: 1e-3 is a number."""
    return YAML(typ="safe", pure=True).load(text)


def _problems(settings: Settings) -> Iterator[str]:
    """Yield one line for each impossible setting; every value has its type by now."""
    yield from _top_level(settings)
    for name, task in settings.tasks.items():
        yield from _bad_name(f"tasks.{name}", name)
        yield from _task(f"tasks.{name}", task)
    for name, variant in settings.variants.items():
        yield from _bad_name(f"variants.{name}", name)
        if name in RESERVED | {OWN}:
            yield f"variants.{name}: the name {name} is taken; choose another"
        yield from _variant(f"variants.{name}", variant, settings)
    yield from _one_key_for_two("variants", settings.variants)
    yield from _analyses(settings)


def _top_level(settings: Settings) -> Iterator[str]:
    if not settings.experiment.strip():
        yield "experiment: an MLflow experiment needs a name"
    if not 1 <= settings.rounds <= 99:
        yield f"rounds: {settings.rounds} found; give 1 to 99 pruning rounds"
    if not settings.seeds:
        yield "seeds: none given; write at least one, such as [0]"
    if min(settings.seeds) < 0:
        yield f"seeds: {min(settings.seeds)} found; a seed is 0 or more"
    twice = sorted({s for s in settings.seeds if settings.seeds.count(s) > 1})
    if twice:
        yield f"seeds: {twice[0]} stands there twice; each seed is one replicate"
    if settings.workers is not None and settings.workers < 1:
        yield f"workers: {settings.workers} found; give 1 or more, or null for all cores"
    if not settings.tasks:
        yield "tasks: none given; write at least one"


def _bad_name(where: str, name: str) -> Iterator[str]:
    if not re.fullmatch(NAME, name):
        yield (
            f"{where}: a name becomes a folder and a stage; begin with a letter and use "
            "lower-case letters, digits, and single - or _ between them"
        )
    if len(name) > LONGEST_NAME:
        yield f"{where}: the name has more than {LONGEST_NAME} characters; shorten it"


def _one_key_for_two(
    kind: str, named: Mapping[str, Variant] | Mapping[str, Analysis]
) -> Iterator[str]:
    """Refuse names that give one key to two stages: a key joins two names by a hyphen."""
    seen: dict[str, tuple[str, str]] = {}
    for name, recipe in named.items():
        for task in recipe.tasks:
            other_task, other = seen.setdefault(f"{task}-{name}", (task, name))
            if other != name:
                yield (
                    f"{kind}.{name} on task {task} and {kind}.{other} on task "
                    f"{other_task} are both called {task}-{name}; rename one of them"
                )


def _analyses(settings: Settings) -> Iterator[str]:
    known = Known(
        num_rounds=settings.rounds,
        num_seeds=len(settings.seeds),
        steps={name: total_steps(task) for name, task in settings.tasks.items()},
        variants={name: variant.tasks for name, variant in settings.variants.items()},
        normed=[
            name
            for name, task in settings.tasks.items()
            if has_statistics(build_network(task))
        ],
        changing=[name for name, v in settings.variants.items() if _changing(v)],
        owners={
            name: name if v.prune.own else v.prune.mask
            for name, v in settings.variants.items()
        },
        transformed=[name for name, v in settings.variants.items() if v.prune.transform],
        frozen=[name for name, v in settings.variants.items() if v.rewind.freezes],
    )
    for name, asked in settings.analyses.items():
        yield from _bad_name(f"analyses.{name}", name)
        yield from analysis.problems(f"analyses.{name}", asked, known)
    yield from _one_key_for_two("analyses", settings.analyses)


def _task(where: str, task: Task) -> Iterator[str]:
    if task.data not in FACTS:
        yield f"{where}.data: {choose(task.data, FACTS)}"
    if task.model.name not in models.MODELS:
        yield f"{where}.model.name: {choose(task.model.name, models.MODELS)}"
    if task.model.init not in INITS:
        yield f"{where}.model.init: {choose(task.model.init, INITS)}"
    try:
        network = build_network(task)
    except ValueError as error:
        yield f"{where}.model: {error}"
        return
    if task.train.engine not in engines.CHOICES:
        yield f"{where}.train.engine: {choose(task.train.engine, engines.CHOICES)}"
    try:
        engines.resolve(task.train.engine, network, 1.0, task.train.device)
    except ValueError as error:
        yield f"{where}.train.engine: {error}"
    yield from _lengths(where, task)
    yield from compat.problems(where, task, network)


def _lengths(where: str, task: Task) -> Iterator[str]:
    """Check that a batch and an evaluation fit into the training."""
    num_train = FACTS[task.data].num_train
    if task.train.batch_size > num_train:
        yield (
            f"{where}.train.batch_size: {task.train.batch_size} is more than the "
            f"{num_train} training images of {task.data}"
        )
    if task.train.evaluate_every > task.train.total_steps(num_train):
        yield (
            f"{where}.train.evaluate_every: {task.train.evaluate_every} is more than "
            f"the {task.train.total_steps(num_train)} steps of the training"
        )


def _variant(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    if not variant.tasks:
        yield f"{where}.tasks: none given; known tasks: {', '.join(settings.tasks)}"
    for task in variant.tasks:
        if task not in settings.tasks:
            yield f"{where}.tasks: {choose(task, settings.tasks)}"
    if len(set(variant.tasks)) < len(variant.tasks):
        yield f"{where}.tasks: a task stands there twice"
    for task in variant.tasks:
        yield from compat.of_variant(where, variant, task, settings.tasks[task])
    yield from prune.problems(f"{where}.prune", variant, settings)
    tasks = {name: _retraining(settings.tasks[name]) for name in variant.tasks}
    masks = Masks(own=variant.prune.own, changing=_changing(variant))
    yield from rewind.problems(f"{where}.rewind", variant.rewind, masks, tasks)


def _changing(variant: Variant) -> str | None:
    return variant.prune.schedule if variant.prune.policy.changes else None


def _retraining(task: Task) -> Retraining:
    return Retraining(
        train=task.train,
        total_steps=total_steps(task),
        network=build_network(task),
    )


def behind(task: str, variant: str | None, root: Path = Path()) -> dict[str, Any]:
    """The settings that decide a result, as the user wrote them, with defaults.

    Args:
        task: name of the task.
        variant: name of the variant; None for the dense network.
        root: root folder of the repository.

    Returns:
        data, model and train of the task; prune and rewind of the variant; mask_source,
        the recipe of the variant whose mask it takes. Parts that do not apply are None.
    """
    raw = resolved(root)
    task_settings: dict[str, Any] = raw["tasks"][task]
    if variant is None:
        return task_settings | {"prune": None, "rewind": None, "mask_source": None}
    recipe = raw["variants"][variant]
    taken = recipe["prune"]["mask"]
    return task_settings | {
        "prune": recipe["prune"],
        "rewind": recipe["rewind"],
        "mask_source": None if taken == OWN else raw["variants"][taken]["prune"],
    }


def _first(error: pydantic.ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{FILE}: {where}: {_one_line(message)}"
    message = message[:1].lower() + message[1:]
    return f"{FILE}: {where}: {_one_line(message)}; found {shown(problem['input'])}"


def _yaml_problem(error: YAMLError) -> str:
    """The problem and its line, without ruamel's drawing of the place."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {_one_line(error.problem)}"
    return _one_line(error)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
