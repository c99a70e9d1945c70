"""Stage ``early``: the first steps of the dense network, for what is rewound to them.

    python -m pipeline.stages.early main 500 0,1,2,3 reference

The dense training itself, ended at that step: same start, data order, schedule and
engine, hence the same bits. So another step never trains the dense network again.
"""

import sys
from datetime import UTC, datetime

from pipeline.artifacts import files, paths
from pipeline.border import exits
from pipeline.config import params
from pipeline.core.digests import digest
from pipeline.run import trainings
from pipeline.run.executors import lifeline


def run(task_name: str, step: int, seeds: tuple[int, ...], engine: str) -> None:
    """Save the weights of each seed, with the hash of its θ₀."""
    settings = params.load()
    started = datetime.now(UTC)
    theta0 = paths.theta0_folder(task_name, seeds)
    task = settings.tasks[task_name]
    source = trainings.Source(
        path=f"early/{paths.early_path(task_name, step, seeds)}",
        seeds=seeds,
        task=task,
        engine=engine,
        starts=theta0,
        masks=None,
        round=0,
        copies=trainings.data_orders(task, paths.DENSE),
        last_step=step,
    )
    done = trainings.run(source, at_once=settings.workers)
    with files.atomic_folder(paths.early_folder(task_name, step, seeds)) as folder:
        for one in done:
            kept = paths.seed_file(one.folder, one.seed, "weights")
            weights = files.load_arrays(kept)
            drawn = files.load_weights(theta0, one.seed)
            path = paths.seed_file(folder, one.seed)
            files.save_arrays(path, weights, theta0=digest(drawn), weights=digest(weights))
    files.save_json(
        paths.timing_at(paths.early_timing_path(task_name, step, seeds)),
        trainings.timing({one.seed: one.timing for one in done}, started),
    )
    trainings.forget(source)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with exits.one_line_errors():
        run(sys.argv[1], int(sys.argv[2]), paths.parse_seeds(sys.argv[3]), sys.argv[4])
