"""Evaluate the lines between networks, pair by pair in worker processes.

A worker leaves what it has seen in ``.lt/lines``; the stage collects it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import files, paths
from pipeline.config.analysis import PRUNED, Analysis
from pipeline.config.settings import Task, network_for
from pipeline.core import masks
from pipeline.core.arrays import Weights
from pipeline.core.models import units
from pipeline.core.training.engine import Evaluation
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.processes import Tell

if TYPE_CHECKING:
    from pipeline.core.analysis.lines import Way

FOLDER = Path(".lt/lines")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """Two networks, as files."""

    seed: int
    """seed of the first network; also of the second, unless that is another seed"""
    pair: int
    round: int
    weights: tuple[Path, Path]
    masks: tuple[Path, Path]
    start: Path | None
    """the start of both, if they have one"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The line between two networks, evaluated."""

    ends: Ends
    rows: list[dict[str, Any]]
    """rows of lines.parquet"""
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairWork:
    """The work of one worker: the lines between two networks."""

    folder: Path
    data: Path
    task: Task
    analysis: Analysis
    ends: Ends

    def run(
        self,
        report: Tell,  # noqa: ARG002 - every piece of work takes it
        stop: Callable[[], bool],
    ) -> None:
        """Evaluate every point on the test set and leave rows and facts."""
        import torch

        from pipeline.core import matching
        from pipeline.core.analysis import lines

        torch.set_num_threads(1)
        data = files.load_dataset(self.data)
        network = network_for(self.task, files.load_description(self.data))
        ends = self.ends
        a, b = (files.load_arrays(file) for file in ends.weights)
        mask_a, mask_b = (files.load_arrays(file) for file in ends.masks)
        if self.analysis.match_units:
            found = matching.orders(network, a, b, data)
            b, mask_b = (units.permuted(network, one, found) for one in (b, mask_b))
        ways = lines.ways(
            network,
            data,
            batches=self.analysis.recalibration_batches,
            batch_size=self.task.train.batch_size,
            seed=ends.seed,
            round=ends.round,
        )
        rows, facts = lines.between(
            lines.Ends(
                a=a,
                b=masks.apply(b, mask_b) if self.analysis.to == PRUNED else b,
                mask_a=mask_a,
                mask_b=mask_b,
                start=files.load_arrays(ends.start) if ends.start else None,
            ),
            network,
            {name: _stopped(way, stop) for name, way in ways.items()},
            num_points=self.analysis.points,
        )
        where = {"seed": ends.seed, "pair": ends.pair}
        left = {"rows": [where | row for row in rows], "facts": facts}
        files.save_json(_file(self.folder, ends), left)


def _stopped(way: "Way", stop: Callable[[], bool]) -> "Way":
    """Evaluate as given, but end the work when it is asked to stop."""
    end_if_asked = processes.ending(stop)

    def look(weights: Weights) -> Evaluation:
        end_if_asked()
        return way(weights)

    return look


def run(
    label: str,
    task: Task,
    analysis: Analysis,
    ends: Sequence[Ends],
    *,
    data: Path,
    at_once: int | None,
) -> list[Seen]:
    """Evaluate the lines of all pairs.

    Args:
        label: of the place; names the folder that workers write into.
        task: whose network.
        analysis: how many points, which statistics.
        ends: pairs of networks.
        data: the prepared data set.
        at_once: pairs side by side; None = as many as cores.

    Returns:
        One per pair, in the order given.
    """
    folder = FOLDER / paths.short(label.replace("/", "-"))
    works = [
        PairWork(folder=folder, data=data, task=task, analysis=analysis, ends=one)
        for one in ends
    ]
    try:
        processes.run_all(
            works,
            at_once=at_once or cores.available_cores(),
            preload=preloads.FORWARD,
            watch=lambda _: None,
        )
        left = [files.load_json(_file(folder, one)) for one in ends]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [Seen(ends=one, **found) for one, found in zip(ends, left, strict=True)]


def _file(folder: Path, ends: Ends) -> Path:
    return folder / f"s{ends.seed}-{ends.pair}.json"
