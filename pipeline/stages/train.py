"""Stage ``train``: train the dense network, round 0 of every variant of a task.

python -m pipeline.stages.train main 0,1,2,3 --engine reference
"""

import sys

from pipeline import artifacts, border, lifeline, params, trainings
from pipeline.artifacts import DENSE, Instance


def run(task_name: str, seeds: tuple[int, ...], engine: str) -> None:
    """Train from θ₀ with a mask that keeps everything."""
    settings = params.load()
    source = trainings.Source(
        instance=Instance(task=task_name, variant=DENSE, round=0, seeds=seeds),
        task=settings.tasks[task_name],
        engine=engine,
        starts=artifacts.theta0_folder(task_name, seeds),
        masks=None,
    )
    behind = params.behind(task_name, None)
    trainings.run(source, behind, at_once=settings.workers)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with border.one_line_errors():
        run(sys.argv[1], artifacts.parse_seeds(sys.argv[2]), sys.argv[3])
