"""Executors run pieces of work: on this machine, or on the machines of a cluster.

``lt-pipeline run --on NAME`` chooses one, ``--on NAME://ADDRESS`` where it has an address.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pipeline.border.errors import UserError
from pipeline.core.registry import Entry, Registry

if TYPE_CHECKING:
    from pipeline.run.executors.executor import Executor


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutorRecord(Entry):
    """The record of an executor: the package it needs, and how it is addressed."""

    package: str = ""
    """that must be installed beside what the software needs; empty = none"""
    extra: str = ""
    """the extra of this software that installs it"""
    address: str = ""
    """an example of an address that may follow its name; empty = it takes none"""

    @property
    def is_here(self) -> bool:
        """Whether it needs nothing but this machine."""
        return not self.package


_ADDRESS = re.compile(r"[^/\s]+:[0-9]+")
"""host and port"""
DEFAULT = "processes"
EXECUTORS = Registry(
    "executor",
    __name__,
    {
        DEFAULT: ExecutorRecord(module="warm"),
        "ray": ExecutorRecord(
            module="ray_cluster", package="ray", extra="ray", address="ray://HOST:10001"
        ),
        "slurm": ExecutorRecord(module="slurm", package="submitit", extra="slurm"),
    },
    offers="opened",
)


class ExecutorError(UserError):
    """An executor cannot be used; one line that says why, and what to do."""


def shown() -> str:
    """All of them, as ``--on`` takes them, such as ``processes, slurm``."""
    return ", ".join(
        f"{name} or {record.address}" if record.address else name
        for name, record in EXECUTORS.items()
    )


def record_of(on: str) -> ExecutorRecord:
    """The record of the executor that ``--on`` names.

    Raises:
        ExecutorError: if there is none, if it takes no address or not this one, or if it
            is not installed.
    """
    name, at, address = on.partition("://")
    if problem := EXECUTORS.problem(name):
        raise ExecutorError(f"--on: {problem}")
    record = EXECUTORS[name]
    if at and not record.address:
        raise ExecutorError(f"--on {on}: {name} takes no address; write --on {name}")
    if at and not _ADDRESS.fullmatch(address):
        raise ExecutorError(
            f"--on {on}: an address has a host and the number of a port; write --on "
            f"{record.address}, or --on {name} without any"
        )
    if record.package and find_spec(record.package) is None:
        raise ExecutorError(
            f"--on {on}: {record.package} is not installed; run "
            f"`pip install '/path/to/lt-pipeline[{record.extra}]'`"
        )
    return record


def opened(on: str, num: int, preload: Iterable[str]) -> "Executor[Any]":
    """The executor that ``--on`` names, ready for work.

    Args:
        on: its name, or its name and address.
        num: works that run side by side, where it runs them on this machine.
        preload: modules that works need, which processes of this machine may share.

    Raises:
        ExecutorError: if it cannot be used.
    """
    record_of(on)
    executor: Executor[Any] = EXECUTORS.load(on.partition("://")[0])(on, num, preload)
    return executor
