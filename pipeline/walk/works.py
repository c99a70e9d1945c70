"""The pieces of work of a walk: what a stage makes of one seed, put into the walk's folder.

They call the files of the stages, so that a walk and DVC cannot come to different results.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import SHADOW
from pipeline.config.settings import Resources, Settings
from pipeline.plan.items import Item
from pipeline.run import checkpoints, rounds
from pipeline.run.executors import preloads, processes
from pipeline.run.executors.portable import Parcel
from pipeline.run.executors.processes import Notice, Tell
from pipeline.run.kept import Kept, places
from pipeline.run.seeds_work import SeedsWork, without_examples
from pipeline.run.sources import Source

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
    numerics: str | None = None
    """the class that a machine must have to train it; None = that of any machine"""
    behind: dict[str, Any] | None = None
    """the settings behind its result, which is shown at once; None = it is not"""

    @property
    def needs(self) -> Resources:
        """The part of a machine of a cluster that it takes."""
        return self.source.task.takes

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Leave the training where its stage finds it, and where the walk does."""
        self.train(report, stop)
        self._show()

    def train(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Leave the training among the checkpoints alone."""
        for work in self._works():
            work.run(report, stop)

    def is_done(self, tell: Tell) -> bool:
        """Whether it was trained before; then it is left in both places."""
        done = all(work.is_there(lambda li: tell(Notice(li))) for work in self._works())
        if done:
            self._show()
        return done

    def parcel(self) -> Parcel:
        """The training, for a machine that has nothing of it."""
        source = self.source
        folders = [source.starts, *([source.masks] if source.masks else [])]
        read = {
            file: file.read_bytes()
            for folder in folders
            for file in sorted(folder.glob(f"s{self.seed}.*safetensors"))
        }
        kept = (
            self.kept if self.kept.is_url else replace(self.kept, place=str(places.DEFAULT))
        )
        return Parcel(
            work=Alone(work=replace(self, kept=kept)),
            shared=(source.data,),
            files=read,
            leaves=checkpoints.FOLDER / source.key,
        )

    def take_in(self, left: Mapping[Path, bytes], tell: Tell) -> None:
        """Leave what another machine has trained as if it had been trained here.

        Args:
            left: files below the working directory, with their contents.
            tell: told, in a line, what cannot be kept.

        Raises:
            ArtifactError: if the files are not what was written there.
        """
        for path, content in left.items():
            if checkpoints.FOLDER / self.source.key not in path.parents:
                raise files.ArtifactError(f"{path} is no file of a training")
            with files.atomic(path) as temporary:
                temporary.write_bytes(content)
        self._show()
        if not self.kept.is_url:
            for work in self._works():
                work.put(lambda line: tell(Notice(line)))

    def _works(self) -> list[SeedsWork]:
        return [
            SeedsWork(
                source=self.source,
                copy=copy,
                seeds=(self.seed,),
                kept=self.kept,
                numerics=self.numerics,
            )
            for copy in self.source.copies
        ]

    def _show(self) -> None:
        """Let the walk find what was trained, and those who look on."""
        source = self.source
        (one,) = self._works()[0].left()
        written = self.item.kind.writes[0]
        folder, stage = SHADOW / self.item[written], stage_of(self.item)
        if written == TRAINED:
            for part in source.parts:
                kept = paths.seed_file(one.folder, self.seed, part)
                _link(kept, folder / kept.name)
        if self.behind is not None and "results" in self.item.kind.writes:
            rounds.show(self.item, source, self.behind, one, SHADOW)
        if written != TRAINED and hasattr(
            stage, "made"
        ):  # what others read of such a training
            arrays, facts = stage.made(source, one)
            files.save_arrays(paths.seed_file(folder, self.seed), arrays, **facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone:
    """A training as another machine does it: nothing there reads what it leaves."""

    work: Trains

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Leave it among the checkpoints."""
        self.work.train(report, stop)


@dataclass(frozen=True, kw_only=True, slots=True)
class Numerics:
    """Find the numerics class of this machine for the trainings of a source."""

    source: Source
    seed: int

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Let it be known from now on."""
        work = SeedsWork(
            source=self.source,
            copy=self.source.copies[0],
            seeds=(self.seed,),
            kept=Kept(place=str(places.DEFAULT), others=False),
        )
        work.find_class(report, stop)


def numerics_here(source: Source, seed: int, watch: Tell) -> str:
    """The numerics class of this machine, found in a process of its own if need be."""
    description = files.load_description(source.data)
    data = without_examples(description)
    canary = source.canary(source.job(data, source.network(), seed, source.copies[0]))
    known = canary.known()
    if known is None:
        processes.run_all(
            [Numerics(source=source, seed=seed)],
            at_once=1,
            preload=preloads.module_for(source.engine, source.network()),
            watch=watch,
        )
        known = canary.known()
    assert known is not None, "the process has left it"
    return known


def _link(source: Path, target: Path) -> None:
    """Let a finished file stand in a second place; copied where links are impossible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        files.copy(source, target)
