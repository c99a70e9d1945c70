"""List the pieces of work of a walk, per instance and seed, and what each waits for."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline import engines
from pipeline.artifacts.paths import SHADOW
from pipeline.config.settings import Settings, Task
from pipeline.core.functions import is_function
from pipeline.plan.items import Item, Plan, items_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One piece of work."""

    item: Item
    """whose inputs are where the walk finds them"""
    seed: int | None
    """None: it has none, such as a data set"""

    @property
    def name(self) -> str:
        """Such as ``retrain@main-ticket-r03-s0-3 seed 1``."""
        return (
            self.item.stage if self.seed is None else f"{self.item.stage} seed {self.seed}"
        )

    @property
    def trains(self) -> bool:
        """Whether it is a training."""
        return self.item.kind.trains is not None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Every piece of work of a walk."""

    nodes: Mapping[str, Node]
    """by name, in the order of the plan"""
    before: Mapping[str, frozenset[str]]
    """name -> names of what it waits for"""

    @property
    def num_trainings(self) -> int:
        """How many of them train."""
        return sum(node.trains for node in self.nodes.values())

    @cached_property
    def after(self) -> Mapping[str, frozenset[str]]:
        """Name -> names of what waits for it."""
        found: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name, before in self.before.items():
            for one in before:
                found[one].add(name)
        return {name: frozenset(after) for name, after in found.items()}

    @cached_property
    def to_come(self) -> Mapping[str, int]:
        """Name -> trainings on the longest way from it; the way that decides the end."""
        found: dict[str, int] = {}
        for name in reversed(self._in_order()):
            later = max((found[one] for one in self.after[name]), default=0)
            found[name] = later + self.nodes[name].trains
        return found

    def _in_order(self) -> list[str]:
        """Names, each after those that it waits for."""
        left = {name: set(before) for name, before in self.before.items()}
        ordered: list[str] = []
        ready = [name for name, before in left.items() if not before]
        while ready:
            name = ready.pop()
            ordered.append(name)
            for later in self.after[name]:
                left[later].discard(name)
                if not left[later]:
                    ready.append(later)
        return ordered


def graph(
    settings: Settings, plan: Plan, done: Collection[str], restored: Collection[str]
) -> Graph:
    """List the work for the stages of a plan that are not done.

    Left to DVC are stages that train several seeds in one engine or one seed in several
    processes, those whose code or data are the user's, and whatever reads their results.

    Args:
        settings: of the plan.
        plan: of the experiment.
        done: stages, such as ``train@main-s0-3``, whose results are there.
        restored: stages that DVC will restore.
    """
    walked: dict[str, Item] = {}
    """path of an output -> the item that writes it"""
    refused: set[str] = set()
    """outputs that DVC alone makes"""
    for item in _ordered(plan):
        if item.stage in done:
            continue
        written = {item[name] for name in item.kind.writes}
        read = {item[name] for name in item.kind.reads}
        left = item.kind.walked is None or item.stage in restored
        if left or read & refused or _left(settings, item):
            refused |= written
        else:
            walked |= dict.fromkeys(written, item)
    nodes: dict[str, Node] = {}
    before: dict[str, frozenset[str]] = {}
    for item in {item.stage: item for item in walked.values()}.values():
        for node, waits in _nodes(item, walked):
            nodes[node.name] = node
            before[node.name] = waits
    return Graph(nodes=nodes, before=before)


def _ordered(plan: Plan) -> Iterator[Item]:
    """Every item after those whose outputs it reads."""
    waiting = list(items_of(plan))
    to_come = {item[name] for item in waiting for name in item.kind.writes}
    while waiting:
        later: list[Item] = []
        for item in waiting:
            if to_come.isdisjoint(item[name] for name in item.kind.reads):
                to_come -= {item[name] for name in item.kind.writes}
                yield item
            else:
                later.append(item)
        waiting = later


def _left(settings: Settings, item: Item) -> bool:
    """Whether an instance is left to DVC."""
    task = settings.tasks.get(str(item.fields.get("task")))
    if task and (task.train.processes > 1 or _of_user(settings, task, item)):
        return True
    engine = item.fields.get("engine")
    return engine is not None and engines.ENGINES[str(engine)].several_jobs


def _of_user(settings: Settings, task: Task, item: Item) -> bool:
    """Whether code of the user's runs in it: it may change the process that runs it."""
    variant = settings.variants.get(str(item.fields.get("variant")))
    names = [task.train.optimizer]
    if variant is not None:
        prune = variant.prune
        names += [prune.criterion or "", prune.transform or "", prune.schedule or ""]
        names.append(variant.rewind.to)
    return task.is_own or any(is_function(name) for name in names)


def _nodes(item: Item, walked: Mapping[str, Item]) -> Iterator[tuple[Node, frozenset[str]]]:
    """The pieces of work of an instance, with what each waits for."""
    moved = replace(item, fields=_moved(item, walked))
    behind = [walked[item[name]] for name in item.kind.reads if item[name] in walked]
    for seed in (None,) if item.kind.walked == "whole" else item.seeds:
        names = (name for one in behind for name in _names(one, seed))
        yield Node(item=moved, seed=seed), frozenset(names)


def _names(item: Item, seed: int | None) -> Iterator[str]:
    """The pieces of work of an instance that one with this seed waits for."""
    if item.kind.walked == "whole":
        yield Node(item=item, seed=None).name
        return
    for one in (seed,) if seed in item.seeds else item.seeds:
        yield Node(item=item, seed=one).name


def _moved(item: Item, walked: Mapping[str, Item]) -> dict[str, str | int]:
    """The fields of an item, where what the walk makes lies in its own folder."""
    return {
        name: str(SHADOW / str(value))
        if name in item.kind.reads and value in walked
        else value
        for name, value in item.fields.items()
    }
