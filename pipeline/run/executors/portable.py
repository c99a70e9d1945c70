"""The interface of work that can be done on a machine other than the walk's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.border.errors import UserError
from pipeline.config.settings import Resources
from pipeline.run.executors.processes import Tell, Work


class UnfitError(UserError):
    """A machine cannot do a work that others may do; one line that says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """Work with the files that it reads, for a machine that has none of them.

    Paths are below the working directory, here and there.
    """

    work: Work
    shared: tuple[Path, ...]
    """files that the works of many parcels read, such as a data set"""
    files: Mapping[Path, bytes]
    """those that only this work reads"""
    leaves: Path
    """the folder that holds what it leaves"""


class Portable(Work, Protocol):
    """Work that other machines can do, which may share a folder with this one or not."""

    @property
    def needs(self) -> Resources:
        """The resources that it takes of a machine."""

    def is_done(self, tell: Tell) -> bool:
        """Whether it was done before, and what it leaves is in its place."""

    def parcel(self) -> Parcel:
        """The same work for a machine that shares no folder."""

    def take_in(self, left: Mapping[Path, bytes], tell: Tell) -> None:
        """Leave what was done elsewhere as ``run`` does.

        Args:
            left: the files of the parcel, with their contents.
            tell: told what the user has to know of it.
        """
