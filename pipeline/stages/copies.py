"""Stage ``copies``: train copies of one start that differ in their data order only.

    python -m pipeline.stages.copies main stable 3 500 0,1,2,3 reference

Instability analysis, Frankle et al. 2020, arXiv:1912.05671: the two copies of a pair have
start, mask, schedule and optimizer in common; data order and augmentation differ.
"""

import sys
from datetime import UTC, datetime

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import DENSE
from pipeline.border import exits
from pipeline.config import params
from pipeline.plan import places
from pipeline.plan.places import Spot
from pipeline.run import trainings
from pipeline.run.executors import lifeline


def run(place: tuple[str, str, int, int], seeds: tuple[int, ...], engine: str) -> None:
    """Save weights and mask of every copy of every seed.

    Args:
        place: task, analysis, round, and the step where the copies part.
        seeds: of the group.
        engine: that trains them.
    """
    settings = params.load()
    started = datetime.now(UTC)
    task_name, name, round, step = place
    analysis = settings.analyses[name]
    task = settings.tasks[task_name]
    if analysis.of != DENSE:
        task = trainings.retrained(task, settings.variants[analysis.of].rewind)
    spot = Spot(
        task=task_name, analysis=name, round=round, step=step, trains=True, seeds=seeds
    )
    source = trainings.Source(
        path=f"copies/{spot.path}",
        seeds=seeds,
        task=task,
        engine=engine,
        starts=places.start_of(settings, spot),
        masks=None if analysis.of == DENSE else places.mask_of(settings, spot),
        round=round,
        copies=analysis.copies(),
        first_step=step,
    )
    done = trainings.run(source, at_once=settings.workers)
    with files.atomic_folder(spot.copies) as folder:
        for one in done:
            for part in ("weights", "mask"):
                kept = files.load_arrays(paths.seed_file(one.folder, one.seed, part))
                path = spot.copy_file(one.seed, one.copy, part, folder)
                files.save_arrays(path, kept, **one.facts)
    seconds = {f"{one.seed} {one.copy}": one.timing for one in done}
    files.save_json(paths.timing_at(spot.path), trainings.timing(seconds, started))
    trainings.forget(source)


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with exits.one_line_errors():
        run(
            (sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])),
            paths.parse_seeds(sys.argv[5]),
            sys.argv[6],
        )
