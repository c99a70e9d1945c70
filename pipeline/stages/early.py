"""Stage ``early``: train the dense network for its first k steps and save the weights.

    python -m pipeline.stages.early main-k000500-s0-3

The dense training itself, ended at that step: same start, data order, schedule and
engine, hence the same bits. So another step never trains the dense network again.
"""

from datetime import UTC, datetime
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core import data_orders
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances, trainings
from pipeline.run.finished import Finished
from pipeline.run.sources import Source


def run(key: str) -> None:
    """Save the weights of each seed, with the hash of its θ₀."""
    settings = params.load()
    started = datetime.now(UTC)
    item = items.find("early", key, settings)
    trains = source(item, settings)
    done = trainings.run(trains, at_once=settings.workers)
    with files.atomic_folder(item.path("early")) as folder:
        for one in done:
            weights, facts = made(trains, one)
            files.save_arrays(paths.seed_file(folder, one.seed), weights, **facts)
    files.save_json(
        item.path("timing"),
        trainings.timing({one.seed: one for one in done}, started),
    )
    trainings.forget(trains)


def source(item: Item, settings: Settings) -> Source:
    """The trainings of an instance."""
    task = settings.tasks[item["task"]]
    return Source(
        label=item.label,
        seeds=item.seeds,
        task=task,
        data=item.path("data"),
        engine=item["engine"],
        metric=task.program.metric,
        starts=item.path("theta0"),
        masks=None,
        round=0,
        copies=data_orders.of_round(paths.DENSE, common_noise=task.train.common_noise),
        last_step=item.number("step"),
    )


def made(trains: Source, one: Finished) -> tuple[Weights, dict[str, Any]]:
    """The weights of one seed after the first steps, and the facts beside them."""
    weights = files.load_arrays(paths.seed_file(one.folder, one.seed, "weights"))
    drawn = files.load_weights(trains.starts, one.seed)
    return weights, {"theta0": digest(drawn), "weights": digest(weights)}


if __name__ == "__main__":
    instances.run_keyed("early", run)
