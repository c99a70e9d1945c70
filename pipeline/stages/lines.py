"""Stage ``lines``: what lies on the straight line between two networks.

    python -m pipeline.stages.lines main stable 3 500 0,1,2,3

Reads the copies of an instability analysis, or the trained rounds of a connection.
"""

import sys
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.border import exits
from pipeline.config import params
from pipeline.config.analysis import PRUNED
from pipeline.config.settings import Settings
from pipeline.plan import places
from pipeline.plan.places import Spot
from pipeline.run import lines
from pipeline.run.executors import lifeline
from pipeline.run.lines import Ends


def run(place: tuple[str, str, int, int], seeds: tuple[int, ...]) -> None:
    """Save the lines of every seed and pair, and what they and their ends say.

    Args:
        place: task, analysis, round, and step (0 for a connection).
        seeds: of the group.
    """
    settings = params.load()
    task, name, round, step = place
    analysis = settings.analyses[name]
    spot = Spot(
        task=task,
        analysis=name,
        round=round,
        step=step,
        trains=analysis.trains,
        seeds=seeds,
    )
    ends = _copies(settings, spot) if spot.trains else _trained(settings, spot)
    found = lines.run(
        spot.path, settings.tasks[task], analysis, ends, at_once=settings.workers
    )
    with files.atomic_folder(spot.lines) as folder:
        rows = [row for seen in found for row in seen.rows]
        files.save_lines(folder / "lines.parquet", rows)
        facts = {
            seed: {s.ends.pair: s.facts for s in found if s.ends.seed == seed}
            for seed, _ in analysis.between(seeds)
        }
        files.save_json(folder / "lines.json", _head(spot) | {"seeds": facts})


def _head(spot: Spot) -> dict[str, Any]:
    """What stands above the seeds: where, and what was asked."""
    return {
        "task": spot.task,
        "analysis": spot.analysis,
        "round": spot.round,
        "step": spot.step,
        "settings": params.resolved()["analyses"][spot.analysis],
    }


def _copies(settings: Settings, spot: Spot) -> list[Ends]:
    start = places.start_of(settings, spot)
    copies = settings.analyses[spot.analysis].copies()
    return [
        Ends(
            seed=seed,
            pair=pair,
            round=spot.round,
            weights=_files(spot, seed, copies[2 * pair : 2 * pair + 2], "weights"),
            masks=_files(spot, seed, copies[2 * pair : 2 * pair + 2], "mask"),
            start=paths.seed_file(start, seed),
        )
        for seed in spot.seeds
        for pair in range(len(copies) // 2)
    ]


def _files(spot: Spot, seed: int, pair: tuple[str, ...], part: str) -> tuple[Path, Path]:
    a, b = (spot.copy_file(seed, copy, part, spot.copies) for copy in pair)
    return a, b


def _trained(settings: Settings, spot: Spot) -> list[Ends]:
    analysis = settings.analyses[spot.analysis]
    a, b = places.ends_of(settings, spot)
    masks_of_b = a if analysis.to == PRUNED else b
    return [
        Ends(
            seed=seed,
            pair=0,
            round=spot.round,
            weights=(
                paths.seed_file(a, seed, "weights"),
                paths.seed_file(b, other, "weights"),
            ),
            masks=(
                paths.seed_file(a, seed, "mask"),
                paths.seed_file(masks_of_b, other, "mask"),
            ),
            start=None,
        )
        for seed, other in analysis.between(spot.seeds)
    ]


if __name__ == "__main__":
    lifeline.end_with_dvc()
    with exits.one_line_errors():
        run(
            (sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])),
            paths.parse_seeds(sys.argv[5]),
        )
