"""Stage ``train``: train the dense network, round 0 of every variant of a task.

python -m pipeline.stages.train main 0,1,2,3 --engine reference
"""

import sys

from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.border import exits
from pipeline.config import params
from pipeline.run import rounds, trainings
from pipeline.run.executors import lifeline


def run(task_name: str, seeds: tuple[int, ...], engine: str) -> None:
    """Train from θ₀ with a mask that keeps everything."""
    settings = params.load()
    task = settings.tasks[task_name]
    instance = Instance(task=task_name, variant=DENSE, round=0, seeds=seeds)
    source = trainings.Source(
        path=instance.path,
        seeds=seeds,
        task=task,
        engine=engine,
        starts=paths.theta0_folder(task_name, seeds),
        masks=None,
        round=0,
        copies=trainings.data_orders(task, DENSE),
    )
    behind = params.behind(task_name, None)
    rounds.run(instance, source, behind, at_once=settings.workers)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with exits.one_line_errors():
        run(sys.argv[1], paths.parse_seeds(sys.argv[2]), sys.argv[3])
