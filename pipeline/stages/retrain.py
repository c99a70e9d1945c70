"""Stage ``retrain``: train a round of a variant from its start, under its mask.

python -m pipeline.stages.retrain main ticket 3 0,1,2,3 reference
"""

import sys

from pipeline import artifacts, border, lifeline, params, trainings
from pipeline.plan import find_chain


def run(task_name: str, variant: str, round: int, seeds: str, engine: str) -> None:
    """Train from the rewound weights; the mask holds after every step."""
    settings = params.load()
    chain = find_chain(settings, task_name, variant, seeds)
    instance = chain.at(round)
    source = trainings.Source(
        instance=instance,
        task=settings.tasks[task_name],
        engine=engine,
        starts=artifacts.starts_folder(instance),
        masks=chain.mask_at(round),
    )
    behind = params.behind(task_name, variant)
    trainings.run(source, behind, at_once=settings.workers)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with border.one_line_errors():
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
