"""Items of the plan: one stage instance each, with every path that it reads and writes.

A stage is told the key of its item and finds everything else here, so that it reads and
writes exactly what DVC tracks.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import paths
from pipeline.border.errors import UserError
from pipeline.border.root import holds_code, safe_path
from pipeline.config.settings import Settings
from pipeline.config.yaml_shape import shown
from pipeline.core.registry import did_you_mean
from pipeline.plan.kinds import IN_KEY, INPUTS, KINDS, Kind

IN_CLONE = Path("pipeline/plan.json")
ELSEWHERE = Path("plan.json")
Fields = dict[str, str | int]
Plan = dict[str, dict[str, Fields]]
"""kind of stage -> key -> the fields of an item"""


def plan_path(root: Path = Path()) -> Path:
    """The file of the plan, below the root: beside the code in a clone, else params.yaml.

    A user's repository need not have a folder ``pipeline/``, which would hide the package.
    """
    return IN_CLONE if holds_code(root) else ELSEWHERE


class PlanError(UserError):
    """The plan does not fit the settings; one line that says so and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One stage instance of the plan."""

    kind: Kind
    key: str
    """its name among the instances of its kind"""
    fields: Mapping[str, str | int]

    def __getitem__(self, name: str) -> str:
        """A field as text."""
        return str(self.fields[name])

    def path(self, name: str) -> Path:
        """A field that is a path."""
        return Path(self[name])

    def number(self, name: str) -> int:
        """A field that is a number."""
        return int(self.fields[name])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The group of seeds."""
        return paths.parse_seeds(self["seeds"])

    @property
    def stage(self) -> str:
        """Its name in DVC: ``retrain@main-ticket-r03-s0-3``."""
        return f"{self.kind.name}@{self.key}"

    def command(self, root: Path = Path()) -> str:
        """The command line that DVC runs and records."""
        options = " ".join(["python", *safe_path(root), "-m"])
        return f"{options} pipeline.stages.{self.kind.name} {self.key}"

    def is_shown(self, root: Path = Path()) -> bool:
        """Whether its result is on disk."""
        return (root / self[self.kind.shown]).exists()

    @property
    def label(self) -> str:
        """The name of its trainings for people: ``main/ticket/r03/s0-3``."""
        first = self.kind.writes[0]
        below = self.path(first).relative_to(paths.FOLDER / first).as_posix()
        return f"{self.kind.trains.label if self.kind.trains else ''}{below}"

    @property
    def checkpoint(self) -> str:
        """The name of its folder among the checkpoints."""
        return paths.short(self.label.replace("/", "-"))

    @property
    def facts(self) -> dict[str, str | int]:
        """The fields that DVC sees neither as a path nor in the key.

        Its inputs file has them, so that they decide what is stale too.
        """
        kind = self.kind
        seen = {INPUTS, *kind.reads, *kind.raw, *kind.writes} | IN_KEY
        return {name: value for name, value in self.fields.items() if name not in seen}


def items_of(plan: Plan, *kinds: str) -> Iterator[Item]:
    """Every item of these kinds, in the order of the plan; of all if none is named."""
    for name in kinds or KINDS:
        for key, fields in plan[name].items():
            yield Item(kind=KINDS[name], key=key, fields=fields)


def read(root: Path = Path()) -> Plan | None:
    """The plan on disk, or None where there is none.

    Raises:
        PlanError: if the file is something else, such as two plans half merged.
    """
    file = plan_path(root)
    if not (root / file).exists():
        return None
    try:
        value = json.loads((root / file).read_text(encoding="utf-8"))
        plan: Plan = value["plan"]
        groups_in(plan)
        unknown = set(plan) ^ set(KINDS)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        unknown = {"everything"}
    if unknown:
        raise PlanError(
            f"{file} is not a plan; `lt-pipeline plan` writes it again and keeps what is "
            "finished"
        )
    return plan


def groups_in(plan: Plan | None) -> list[tuple[int, ...]]:
    """The groups of seeds of a plan, in its order."""
    items = (plan or {}).get("train", {}).values()
    return list(dict.fromkeys(paths.parse_seeds(str(item["seeds"])) for item in items))


def missing(root: Path = Path()) -> PlanError:
    """The error where there is no plan."""
    return PlanError(f"{plan_path(root)} is missing; write it with `lt-pipeline plan`")


def find(kind: str, key: str, settings: Settings) -> Item:
    """The item that a stage's command line names.

    Args:
        kind: of stage.
        key: of the item.
        settings: which the plan must fit as far as names go; whether it fits them in
            everything is checked by the stage ``plan``.

    Raises:
        PlanError: if the plan has no such item, with the nearest key, or if the item
            names a task, a variant or an analysis that the settings do not have.
    """
    plan = read()
    if plan is None:
        raise missing()
    if key not in plan[kind]:
        near = did_you_mean(key, plan[kind]) or f"; it has {len(plan[kind])} others"
        raise PlanError(f"{plan_path()} has no {kind} with the key {shown(key)}{near}")
    item = Item(kind=KINDS[kind], key=key, fields=plan[kind][key])
    known: dict[str, Mapping[str, Any]] = {
        "task": settings.tasks,
        "variant": settings.variants | {paths.DENSE: None},
        "analysis": settings.analyses,
        "approximation": settings.approximations,
    }
    for field, names in known.items():
        if field in item.fields and item[field] not in names:
            raise PlanError(
                f"{plan_path()} does not fit params.yaml ({item.stage} is of {field} "
                f"{item[field]}, which is not there); run `lt-pipeline plan`"
            )
    return item


def key_in(arguments: Sequence[str]) -> str:
    """The key on a stage's command line.

    Args:
        arguments: of the process, its name first.

    Raises:
        PlanError: if there is not exactly one.
    """
    if len(arguments) != 2:
        raise PlanError(
            f"give the key of one instance in {plan_path()}, and nothing else; found "
            f"{len(arguments) - 1} arguments"
        )
    return arguments[1]
