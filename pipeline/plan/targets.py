"""List the trained networks that approximations are of, with their files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.config.settings import Settings
from pipeline.plan.chains import chain_group


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetPlace:
    """One approximation at one round of one task, for a group of seeds."""

    task: str
    approximation: str
    round: int
    seeds: tuple[int, ...]
    target: Path
    """folder of the trained networks"""

    @property
    def path(self) -> str:
        """Where its files lie below ``approximations``."""
        group = paths.group_name(self.seeds)
        return f"{self.task}/{self.approximation}/r{self.round:02d}/{group}"

    @property
    def key(self) -> str:
        """Its name among the instances of its stage."""
        return self.path.replace("/", "-")

    @property
    def folder(self) -> Path:
        """The folder of its results."""
        return paths.FOLDER / "approximations" / self.path


def target_places(
    settings: Settings, groups: list[tuple[int, ...]]
) -> Iterator[TargetPlace]:
    """The places of all approximations, in the order of params.yaml."""
    for name, asked in settings.approximations.items():
        for task in asked.tasks:
            for round in asked.rounds or (0,):
                for seeds in groups:
                    yield TargetPlace(
                        task=task,
                        approximation=name,
                        round=round,
                        seeds=seeds,
                        target=_trained(settings, task, asked.of, round, seeds),
                    )


def _trained(
    settings: Settings, task: str, of: str, round: int, seeds: tuple[int, ...]
) -> Path:
    if of == DENSE:
        dense = Instance(task=task, variant=DENSE, round=0, seeds=seeds)
        return paths.trained_folder(dense)
    return paths.trained_folder(chain_group(settings, task, of, seeds).at(round))
