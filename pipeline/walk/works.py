"""The pieces of work of a walk: what a stage makes of one seed, put into the walk's folder.

They call the files of the stages, so that a walk and DVC cannot come to different results.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pipeline.artifacts import files, paths
from pipeline.config.settings import Settings
from pipeline.plan.items import Item
from pipeline.run import finished
from pipeline.run.executors.processes import Tell
from pipeline.run.kept import Kept
from pipeline.run.trainings import SeedsWork, Source
from pipeline.walk.graph import SHADOW

TRAINED = "trained"
"""the field of folders that hold trainings as their workers left them"""


def stage_of(item: Item) -> ModuleType:
    """The file of an instance's stage."""
    return import_module(f"pipeline.stages.{item.kind.name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Read a data set."""

    item: Item
    settings: Settings

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:  # noqa: ARG002
        """Write it where the walk finds it."""
        made = stage_of(self.item).made(self.item, self.settings)
        files.save_dataset(SHADOW / self.item["data"], made)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """Make the arrays of one seed without training: θ₀, a mask, a start."""

    item: Item
    settings: Settings
    seed: int

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:  # noqa: ARG002
        """Write them where the walk finds them."""
        arrays, facts = stage_of(self.item).made(self.item, self.settings, self.seed)
        (written,) = self.item.kind.writes
        files.save_arrays(
            paths.seed_file(SHADOW / self.item[written], self.seed), arrays, **facts
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trains:
    """Train one seed, or find it trained, with every data order that its stage has."""

    item: Item
    source: Source
    seed: int
    kept: Kept

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Leave the training where its stage finds it, and where the walk does."""
        source = self.source
        for copy in source.copies:
            work = SeedsWork(source=source, copy=copy, seeds=(self.seed,), kept=self.kept)
            work.run(report, stop)
        one = finished.find(
            source.key, source.copies, source.copies[0], self.seed, source.engine
        )
        written = self.item.kind.writes[0]
        folder, stage = SHADOW / self.item[written], stage_of(self.item)
        if written == TRAINED:
            for part in source.parts:
                kept = paths.seed_file(one.folder, self.seed, part)
                _link(kept, folder / kept.name)
        elif hasattr(stage, "made"):  # what others read of such a training
            arrays, facts = stage.made(source, one)
            files.save_arrays(paths.seed_file(folder, self.seed), arrays, **facts)


def _link(source: Path, target: Path) -> None:
    """Let a finished file stand in a second place; copied where links are impossible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        files.copy(source, target)
