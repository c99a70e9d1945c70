"""List the places of analyses: rounds and steps, with the files of their networks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.config.analysis import PREVIOUS, PRUNED, Analysis
from pipeline.config.settings import Settings
from pipeline.core.analysis.pairs import OTHER_SEED, seeds_between
from pipeline.plan.chains import chain_group


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One analysis at one round and step of one task, for a group of seeds."""

    task: str
    analysis: str
    round: int
    step: int
    """where the copies part; 0 for a connection"""
    trains: bool
    seeds: tuple[int, ...]

    @property
    def path(self) -> str:
        """Where its files lie below copies and lines."""
        where = f"r{self.round:02d}" + (f"-k{self.step:06d}" if self.trains else "")
        return f"{self.task}/{self.analysis}/{where}/{paths.group_name(self.seeds)}"

    @property
    def key(self) -> str:
        """Its name among the instances of a DVC stage."""
        return self.path.replace("/", "-")

    @property
    def copies(self) -> Path:
        """Folder of the trained copies."""
        return paths.FOLDER / "copies" / self.path

    @property
    def lines(self) -> Path:
        """Folder of the lines between the ends."""
        return paths.FOLDER / "lines" / self.path


def copy_file(folder: Path, seed: int, copy: int | str, part: str) -> Path:
    """The weights or the mask of one copy: ``s0.instability-0-a.weights``."""
    return paths.seed_file(folder, seed, f"{str(copy).replace('/', '-')}.{part}")


def places(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[Place]:
    """The places of all analyses, in the order of params.yaml.

    A group without a pair, of one seed that would need another, is passed over.
    """
    for name, analysis in settings.analyses.items():
        paired = [seeds for seeds in groups if seeds_between(analysis.to, seeds)]
        for task in analysis.tasks:
            for round in analysis.rounds or (0,):
                for step in analysis.steps or (_first_step(settings, analysis),):
                    for seeds in paired:
                        yield Place(
                            task=task,
                            analysis=name,
                            round=round,
                            step=step,
                            trains=analysis.trains,
                            seeds=seeds,
                        )


def _first_step(settings: Settings, analysis: Analysis) -> int:
    return settings.variants[analysis.of].rewind.first_step if analysis.trains else 0


def start_of(settings: Settings, place: Place) -> Path:
    """The folder of the weights that the copies of an analysis begin with."""
    of = settings.analyses[place.analysis].of
    if of != DENSE:
        return paths.starts_folder(
            chain_group(settings, place.task, of, place.seeds).at(place.round)
        )
    if place.step == 0:
        return paths.theta0_folder(place.task, place.seeds)
    return paths.early_folder(place.task, place.step, place.seeds)


def mask_of(settings: Settings, place: Place) -> Path:
    """The folder of the masks of an analysis's copies.

    The dense network's, which keep everything, lie beside its trained weights.
    """
    of = settings.analyses[place.analysis].of
    if of != DENSE:
        return chain_group(settings, place.task, of, place.seeds).mask_at(place.round)
    return _dense(place)


def _dense(place: Place) -> Path:
    return paths.trained_folder(
        Instance(task=place.task, variant=DENSE, round=0, seeds=place.seeds)
    )


def ends_of(settings: Settings, place: Place) -> tuple[Path, Path]:
    """The folders of the networks that a connection connects, with their masks.

    Those at a ``pruned`` end are as they were trained; its mask lies in the first folder.
    """
    analysis = settings.analyses[place.analysis]
    if analysis.of == DENSE:
        return _dense(place), _dense(place)
    own = chain_group(settings, place.task, analysis.of, place.seeds)
    here = paths.trained_folder(own.at(place.round))
    assert analysis.to is not None
    if analysis.to == OTHER_SEED:
        return here, here
    if analysis.to == PREVIOUS:
        return here, paths.trained_folder(own.at(place.round - 1))
    if analysis.to == PRUNED:
        return here, own.cut_from(place.round)
    if analysis.to == DENSE:
        return here, _dense(place)
    other = chain_group(settings, place.task, analysis.to, place.seeds)
    return here, paths.trained_folder(other.at(place.round))
