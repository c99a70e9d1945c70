"""Walk a plan: give every piece of work to an executor as soon as its inputs are there."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.config.settings import Settings, build_network
from pipeline.plan.current import Standing
from pipeline.plan.items import Plan, items_of
from pipeline.run import instances, kept, kernels, machines, trials
from pipeline.run.executors import cores, preloads
from pipeline.run.executors.executor import Ended, Executor
from pipeline.run.executors.processes import Notice, Report, Work
from pipeline.run.executors.warm import WarmWorkers
from pipeline.run.kept import bounds
from pipeline.run.trainings import Source
from pipeline.walk import graph as graphs
from pipeline.walk import restorable, works
from pipeline.walk.graph import SHADOW, Graph, Node
from pipeline.walk.view import View

FEWEST = 2
"""instances to train below which a walk saves nothing: their stages train at once"""


WITH = frozenset({"-k", "--keep-going", "-v", "--verbose", "-q", "--quiet"})
"""options of ``dvc repro`` that change nothing of what is run"""


def fits(arguments: Sequence[str]) -> bool:
    """Whether ``dvc repro`` with these arguments runs the whole plan, and here."""
    return WITH.issuperset(arguments)


def walk(settings: Settings, plan: Plan, found: Standing) -> None:
    """Do the trainings of a plan that are not done; DVC records them afterwards.

    A piece of work that fails is told in a line, and left to its stage with all that
    waits for it.

    Args:
        settings: of the plan.
        plan: of the experiment in the working directory.
        found: which of its results are there.

    Raises:
        KeyboardInterrupt: as it came, after the workers have kept their checkpoints.
    """
    done = {item.stage for item in items_of(plan) if found.state(item.stage) == "done"}
    restored = restorable.stages(plan) - done
    graph = graphs.graph(settings, plan, done, restored)
    if len({node.item.stage for node in graph.nodes.values() if node.trains}) < FEWEST:
        return
    num = settings.workers or cores.available_cores()
    with instances.held("walk"):
        files.remove(SHADOW)
        try:
            with (
                WarmWorkers(num, _preloads(settings, graph)) as executor,
                View(graph.num_trainings) as view,
            ):
                Walk(settings=settings, graph=graph, executor=executor, view=view).run(
                    kernels.needs_of(settings, plan), at_once=num
                )
        finally:
            files.remove(SHADOW)
        bounds.keep(kept.asked().place, _say)


def _preloads(settings: Settings, graph: Graph) -> list[str]:
    """What the workers share: what the engines of the walk need."""
    trained = {
        (node.item["engine"], node.item["task"])
        for node in graph.nodes.values()
        if node.trains
    }
    shared = {
        preloads.module_for(engine, build_network(settings.tasks[task]))
        for engine, task in trained
    }
    return [*shared, "pipeline.walk.works", "pipeline.stages.retrain"]


@dataclass(kw_only=True)
class Walk:
    """One walk."""

    settings: Settings
    graph: Graph
    executor: Executor
    view: View
    _waiting: dict[str, set[str]] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)
    """what was lost once with its process"""
    _engines: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """engine of the plan, task, optimizer -> the engine that works here"""

    def run(self, needs: Sequence[kernels.Need], *, at_once: int) -> None:
        """Do everything.

        Args:
            needs: kernels of the plan, compiled before anything trains.
            at_once: compilers side by side.
        """
        self._waiting = {name: set(before) for name, before in self.graph.before.items()}
        self._begin(trains=False)
        kernels.make_ready(needs, at_once=at_once, say=self.view.say)
        while self._begin(trains=True) or self._running:
            for name, told in self.executor.wait():
                self._take_in(name, told)

    def _begin(self, *, trains: bool) -> bool:
        """Begin what can be begun, the longest way first; whether something was."""
        begun = False
        ready = [name for name, before in self._waiting.items() if not before]
        for name in sorted(ready, key=lambda one: -self.graph.to_come[one]):
            node = self.graph.nodes[name]
            if not self.executor.free:
                break
            if node.trains and not trains:
                continue
            del self._waiting[name]
            try:
                self.executor.begin(name, self._work(node))
            except UserError as error:
                self._fail(name, str(error))
            else:
                self._running.add(name)
            begun = True
        return begun

    def _take_in(self, name: str, told: Report | Notice | Ended) -> None:
        if not isinstance(told, Ended):
            self.view.show(name, told)
            return
        self._running.discard(name)
        if told.vanished and name not in self._again:
            self._again.add(name)
            self._waiting[name] = set()
            self.view.say(f"{name}: {told.error}; it is done once more")
            return
        if told.error:
            self._fail(name, told.error)
            return
        for later in self.graph.after[name]:
            if later in self._waiting:
                self._waiting[later].discard(name)
        if self.graph.nodes[name].trains:
            self.view.finished(name)

    def _fail(self, name: str, line: str) -> None:
        """Leave a piece of work, and all that waits for it, to its stage."""
        self.view.say(f"{name}: {line}")
        left = [name]
        while left:
            for later in self.graph.after[left.pop()]:
                if self._waiting.pop(later, None) is not None:
                    left.append(later)

    def _work(self, node: Node) -> Work:
        item, settings = node.item, self.settings
        if node.seed is None:
            return works.Data(item=item, settings=settings)
        if not node.trains:
            return works.Made(item=item, settings=settings, seed=node.seed)
        source: Source = works.stage_of(item).source(item, settings)
        source = replace(source, engine=self._engine(source))
        return works.Trains(item=item, source=source, seed=node.seed, kept=kept.asked())

    def _engine(self, source: Source) -> str:
        """The engine that works here; it is tried once."""
        task = source.task
        kind = (source.engine, repr(task.model), task.train.optimizer)
        if kind not in self._engines:
            chosen = trials.with_engine_that_works(
                source, source.network(), machines.versions()
            )
            self._engines[kind] = chosen.engine
        return self._engines[kind]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
