"""Walk a plan: give every piece of work to an executor as soon as its inputs are there."""

import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.paths import DENSE, SHADOW
from pipeline.border import notes
from pipeline.border.errors import UserError
from pipeline.border.root import safe_path_of_workers
from pipeline.config import params
from pipeline.config.settings import Settings, build_network
from pipeline.plan.current import Standing
from pipeline.plan.items import Item, Plan, items_of
from pipeline.run import executors, instances, kept, kernels, live, machines, trials
from pipeline.run.executors import cores, preloads
from pipeline.run.executors.executor import Ended, Executor, wait
from pipeline.run.executors.portable import Portable
from pipeline.run.executors.processes import Notice, Report, Work
from pipeline.run.kept import bounds
from pipeline.run.sources import Source
from pipeline.walk import graph as graphs
from pipeline.walk import restorable, works
from pipeline.walk.edits import Edits
from pipeline.walk.graph import Graph, Node
from pipeline.walk.view import View
from pipeline.walk.waiting import Waiting

FEWEST = 2
"""instances to train below which a walk saves nothing: their stages train at once"""

GONE = SHADOW.with_name("walk-gone")
"""what is left of a walk's folder while it is removed"""
LOOKED_AT = frozenset({"data", "results", "timing"})
"""outputs that are read to write a result into MLflow"""
WITH = frozenset({"-k", "--keep-going", "-v", "--verbose", "-q", "--quiet"})
"""options of ``dvc repro`` that change nothing of what is run"""


def fits(arguments: Sequence[str]) -> bool:
    """Whether ``dvc repro`` with these arguments runs the whole plan, and here."""
    return WITH.issuperset(arguments)


def refuse(on: str, arguments: Sequence[str]) -> None:
    """Refuse arguments and settings that would fail later, before anything is done.

    Raises:
        ExecutorError: if the executor is not there, or these arguments would not use it.
        BoundError: if the bound of kept trainings is no number.
    """
    bounds.bound()
    record = executors.record_of(on)
    if not record.is_here and not fits(arguments):
        raise executors.ExecutorError(
            f"--on {on}: other machines train for the whole plan; leave out "
            f"{' '.join(arguments)}, or leave out --on"
        )


def walk(
    settings: Settings, plan: Plan, found: Standing, on: str = executors.DEFAULT
) -> None:
    """Do the trainings of a plan that are not done; DVC records them afterwards.

    A piece of work that fails is told in a line, and left to its stage with all that
    waits for it.

    Args:
        settings: of the plan.
        plan: of the experiment in the working directory.
        found: which of its results are there.
        on: the executor of the trainings; all else is done on this machine.

    Raises:
        ExecutorError: if it cannot be used.
        EditedError: if the settings are edited meanwhile.
        KeyboardInterrupt: as it came, after the workers have kept their checkpoints.
    """
    done = {item.stage for item in items_of(plan) if found.state(item.stage) == "done"}
    restored = restorable.stages(plan, done)
    graph = graphs.graph(settings, plan, done, restored)
    trained = {node.item.stage for node in graph.nodes.values() if node.trains}
    is_here = executors.record_of(on).is_here
    with instances.held("walk"), safe_path_of_workers(Path()):
        _clear()  # the remains of a killed walk
        if not trained or (len(trained) < FEWEST and is_here):
            return
        num = settings.workers or cores.available_cores()
        shared = _preloads(settings, graph)
        try:
            with ExitStack() as opened:
                here = opened.enter_context(
                    executors.opened(executors.DEFAULT, num, shared)
                )
                trainer = here
                if not is_here:
                    trainer = opened.enter_context(executors.opened(on, num, shared))
                view = opened.enter_context(View(graph.num_trainings))
                Walk(
                    settings=settings,
                    graph=graph,
                    here=here,
                    trainer=trainer,
                    view=view,
                    resolved=_shown_at_once(plan, done),
                    edits=Edits(inputs=found.inputs),
                ).run(kernels.needs_of(settings, plan), at_once=num)
        finally:
            _clear()
        bounds.keep(kept.asked().place, notes.say)


def _clear() -> None:
    """Remove the folder of a walk as a whole.

    Who writes results into MLflow reads there at this moment. File by file, results would
    be there without their timing for a while, and be written so.
    """
    files.remove(GONE)
    if SHADOW.exists():
        SHADOW.rename(GONE)
        files.remove(GONE)


def _shown_at_once(plan: Plan, done: Collection[str]) -> dict[str, Any] | None:
    """Let finished trainings be written into MLflow at once.

    Returns:
        The settings that stand behind results; None where that is turned off.
    """
    if not live.is_on():
        return None
    for item in items_of(plan):
        for name in LOOKED_AT & set(item.kind.writes):
            if item.stage in done:
                path = SHADOW / item[name]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(item.path(name).absolute())
    live.start(os.getpid())  # this process becomes dvc
    return params.resolved()


def _preloads(settings: Settings, graph: Graph) -> list[str]:
    """The modules that the workers share: those that the engines of the walk need."""
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
    here: Executor[Work]
    """of what is no training"""
    trainer: Executor[Portable]
    """of the trainings; the same one, if they are done on this machine"""
    view: View
    resolved: dict[str, Any] | None
    """the settings that stand behind results, if these are shown at once"""
    edits: Edits
    _waiting: Waiting = field(init=False)
    _running: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)
    """what was lost once with its process"""
    _engines: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """engine of the plan, task, optimizer -> the engine that works here"""
    _classes: dict[str, str] = field(default_factory=dict)
    """engine and task -> numerics class of this machine"""

    def run(self, needs: Sequence[kernels.Need], *, at_once: int) -> None:
        """Do everything.

        Args:
            needs: kernels of the plan, compiled before anything trains.
            at_once: compilers side by side.
        """
        self._waiting = Waiting(self.graph)
        self._begin(trains=False)
        kernels.make_ready(needs, at_once=at_once, say=self.view.say)
        while self._begin(trains=True) or self._running:
            self.edits.refuse()
            for name, told in wait(self.here, self.trainer):
                self._take_in(name, told)

    def _begin(self, *, trains: bool) -> bool:
        """Begin what can be begun, the longest way first; whether something was."""
        begun = False
        while (name := self._next(trains=trains)) is not None:
            try:
                self._give(name, self.graph.nodes[name])
            except UserError as error:
                self._fail(name, str(error))
            else:
                self._running.add(name)
            begun = True
        return begun

    def _next(self, *, trains: bool) -> str | None:
        """The work that an executor is free for."""
        return self._waiting.take(
            trains=trains and self.trainer.free > 0, others=self.here.free > 0
        )

    def _take_in(self, name: str, told: Report | Notice | Ended) -> None:
        if not isinstance(told, Ended):
            self.view.show(name, told)
            return
        self._running.discard(name)
        if told.vanished and name not in self._again:
            self._again.add(name)
            self._waiting.put_back(name)
            self.view.say(f"{name}: {told.error}; it is done once more")
            return
        if told.error:
            self._fail(name, told.error)
            return
        self._waiting.finished(name)
        if self.graph.nodes[name].trains:
            self.view.finished(name)

    def _fail(self, name: str, line: str) -> None:
        """Leave a piece of work to its stage; what waits for it never begins here."""
        self.view.say(f"{name}: {line}")

    def _give(self, name: str, node: Node) -> None:
        """Give a piece of work to its executor.

        Raises:
            UserError: if it cannot be done here.
        """
        item, settings = node.item, self.settings
        if node.seed is None:
            self.here.begin(name, works.Data(item=item, settings=settings))
        elif node.trains:
            self.trainer.begin(name, self._training(item, node.seed))
        else:
            self.here.begin(name, works.Made(item=item, settings=settings, seed=node.seed))

    def _training(self, item: Item, seed: int) -> works.Trains:
        source: Source = works.stage_of(item).source(item, self.settings)
        source = replace(source, engine=self._engine(source))
        place = kept.asked()
        asked = None if place.others else self._class(source, seed)
        return works.Trains(
            item=item,
            source=source,
            seed=seed,
            kept=place,
            numerics=asked,
            behind=self._behind(item),
        )

    def _behind(self, item: Item) -> dict[str, Any] | None:
        """The settings behind the result of a training, if it is shown at once."""
        if self.resolved is None or "results" not in item.kind.writes:
            return None
        variant = None if item["variant"] == DENSE else item["variant"]
        return params.behind_in(self.resolved, item["task"], variant)

    def _class(self, source: Source, seed: int) -> str | None:
        """The numerics class that other machines must have; None if there are none."""
        if self.trainer is self.here:
            return None
        kind = repr((source.engine, source.task, source.score_rule is None))
        if kind not in self._classes:
            self._classes[kind] = works.numerics_here(
                source, seed, lambda told: self.view.show("", told)
            )
        return self._classes[kind]

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
