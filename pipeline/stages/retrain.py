"""Stage ``retrain``: train a round of a variant from its start, under its mask.

python -m pipeline.stages.retrain main ticket 3 0,1,2,3 reference
"""

import sys

from pipeline.artifacts import paths
from pipeline.border import exits
from pipeline.config import params
from pipeline.plan import expected
from pipeline.plan.chains import find_chain
from pipeline.run import rounds, trainings
from pipeline.run.executors import lifeline


def run(task_name: str, variant: str, round: int, seeds: str, engine: str) -> None:
    """Train from the rewound weights, and from the rewound step of schedule and data order.

    The mask holds after every step; a gradual round finds its own on the way.
    Fine-tuning replaces the schedule by its last rate.
    """
    settings = params.load()
    chain = find_chain(settings, task_name, variant, seeds)
    instance = chain.at(round)
    task = trainings.retrained(settings.tasks[task_name], chain.variant.rewind)
    prune = chain.variant.prune
    source = trainings.Source(
        path=instance.path,
        seeds=instance.seeds,
        task=task,
        engine=engine,
        starts=paths.starts_folder(instance),
        masks=None if prune.gradual else chain.mask_at(round),
        round=round,
        copies=trainings.data_orders(task, variant),
        first_step=chain.variant.rewind.first_step,
        gradual=expected.gradual(task, prune, round) if prune.gradual else None,
    )
    behind = params.behind(task_name, variant)
    rounds.run(instance, source, behind, at_once=settings.workers)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with exits.one_line_errors():
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
