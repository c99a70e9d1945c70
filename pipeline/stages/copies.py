"""Stage ``copies``: train copies of one start that differ in their data order only.

    python -m pipeline.stages.copies main-stable-r00-k000500-s0-3

Instability analysis, Frankle et al. 2020, arXiv:1912.05671: the two copies of a pair have
start, mask, schedule and optimizer in common; data order and augmentation differ.
"""

from dataclasses import replace
from datetime import UTC, datetime

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import DENSE
from pipeline.config import params
from pipeline.config.settings import Settings, total_steps
from pipeline.core import data_orders
from pipeline.core.training.schedules import for_start
from pipeline.plan import items, places
from pipeline.plan.items import Item
from pipeline.run import instances, trainings
from pipeline.run.sources import Source


def run(key: str) -> None:
    """Save weights and mask of every copy of every seed."""
    settings = params.load()
    started = datetime.now(UTC)
    item = items.find("copies", key, settings)
    trains = source(item, settings)
    done = trainings.run(trains, at_once=settings.workers)
    with files.atomic_folder(item.path("copies")) as folder:
        for one in done:
            for part in ("weights", "mask"):
                kept = files.load_arrays(paths.seed_file(one.folder, one.seed, part))
                path = places.copy_file(folder, one.seed, one.copy, part)
                files.save_arrays(path, kept, **one.facts)
    by_copy = {f"{one.seed} {one.copy}": one for one in done}
    files.save_json(item.path("timing"), trainings.timing(by_copy, started))
    trainings.forget(trains)


def source(item: Item, settings: Settings) -> Source:
    """The trainings of an instance."""
    analysis = settings.analyses[item["analysis"]]
    task = settings.tasks[item["task"]]
    if analysis.of != DENSE:
        start = settings.variants[analysis.of].rewind.to
        train = for_start(task.train, start, total_steps(task))
        task = replace(task, train=train)
    return Source(
        label=item.label,
        seeds=item.seeds,
        task=task,
        data=item.path("data"),
        engine=item["engine"],
        metric=task.program.metric,
        starts=item.path("start"),
        masks=None if analysis.of == DENSE else item.path("mask"),
        round=item.number("round"),
        copies=data_orders.of_copies(analysis.pairs or 0),
        first_step=item.number("step"),
    )


if __name__ == "__main__":
    instances.run_keyed("copies", run)
