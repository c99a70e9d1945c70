"""Train the seeds of one stage instance side by side, each into files of its own.

All stages that train share this: workers train, and the stage writes its artifacts from
what they finished.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline import engines
from pipeline.artifacts import files
from pipeline.border import notes
from pipeline.run import checkpoints, kept, kernels, machines, overall, trials
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.finished import Finished
from pipeline.run.kept import bounds
from pipeline.run.progress import Display
from pipeline.run.seeds_work import works
from pipeline.run.sources import Source


def run(source: Source, *, at_once: int | None) -> list[Finished]:
    """Train every seed with every copy's data order.

    Args:
        source: what to train.
        at_once: trainings side by side; None = as many as cores.

    Returns:
        One per copy and seed, in this order. Their folders stay until ``forget``.

    Raises:
        EngineError: if the engine that the settings name does not work on this machine.
    """
    network = source.network()
    bounds.bound()  # a wrong one is refused now, not after hours of training
    limit = at_once or max(1, cores.available_cores() // source.task.train.processes)
    if engines.ENGINES[source.engine].compiles(network):
        kernels.make_ready([_kernels(source)], at_once=limit, say=notes.say)
    source = trials.with_engine_that_works(source, network, machines.versions())
    labels = tuple(source.label_of(copy) for copy in source.copies)
    place = overall.place_of(source.label)
    all_works = works(source)
    if missing := [work for work in all_works if not work.is_there(notes.say)]:
        with Display(source.label, source.seeds, labels, place=place) as display:
            processes.run_all(
                missing,
                at_once=limit,
                preload=preloads.module_for(source.engine, network),
                watch=display.show,
            )
        bounds.keep(kept.asked().place, notes.say)
    return [one for work in all_works for one in work.left()]


def forget(source: Source) -> None:
    """Remove what ``run`` kept; its artifacts are written."""
    checkpoints.remove(source.key)


def timing(trained: Mapping[Any, Finished], started: datetime) -> dict[str, Any]:
    """The content of a timing file: seconds and steps/s, and where it was trained.

    Args:
        trained: by seed, or by seed and copy.
        started: when the stage began.
    """
    when = {"started": started.isoformat(), "ended": datetime.now(UTC).isoformat()}
    here = machines.machine()
    content = {"seeds": {key: one.timing for key, one in trained.items()}} | when | here
    elsewhere = {k: one.machine for k, one in trained.items() if one.is_from_elsewhere}
    return content | ({"trained_on": elsewhere} if elsewhere else {})


def _kernels(source: Source) -> kernels.Need:
    """The kernels that trainings need; usually they were compiled with the plan's."""
    density = 1.0
    if source.masks is not None:
        facts = files.load_facts(files.mask_file(source.masks, source.seeds[0]))
        density = float(facts.get("density", 1.0))
    return kernels.Need(engine=source.engine, task=source.task, densities=(density,))
