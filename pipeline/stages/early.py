"""Stage ``early``: train the dense network for its first k steps and save the weights.

    python -m pipeline.stages.early main-k000500-s0-3

The dense training itself, ended at that step: same start, data order, schedule and
engine, hence the same bits. So another step never trains the dense network again.
"""

from datetime import UTC, datetime

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core import data_orders
from pipeline.core.digests import digest
from pipeline.plan import items
from pipeline.run import instances, trainings


def run(key: str) -> None:
    """Save the weights of each seed, with the hash of its θ₀."""
    settings = params.load()
    started = datetime.now(UTC)
    item = items.find("early", key, settings)
    theta0 = item.path("theta0")
    task = settings.tasks[item["task"]]
    source = trainings.Source(
        label=item.label,
        seeds=item.seeds,
        task=task,
        data=item.path("data"),
        engine=item["engine"],
        metric=task.program.metric,
        starts=theta0,
        masks=None,
        round=0,
        copies=data_orders.of_round(paths.DENSE, common_noise=task.train.common_noise),
        last_step=item.number("step"),
    )
    done = trainings.run(source, at_once=settings.workers)
    with files.atomic_folder(item.path("early")) as folder:
        for one in done:
            kept = paths.seed_file(one.folder, one.seed, "weights")
            weights = files.load_arrays(kept)
            drawn = files.load_weights(theta0, one.seed)
            path = paths.seed_file(folder, one.seed)
            files.save_arrays(path, weights, theta0=digest(drawn), weights=digest(weights))
    files.save_json(
        item.path("timing"),
        trainings.timing({one.seed: one for one in done}, started),
    )
    trainings.forget(source)


if __name__ == "__main__":
    instances.run_keyed("early", run)
