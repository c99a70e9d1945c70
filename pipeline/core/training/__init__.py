"""Training: the plain reference engine, faster ones beside it, and the loop over them.

This is the one place that decides which engine trains a network. A name maps to a
module that is imported on use, so that planning needs no torch.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Engine, Job

ENGINES: dict[str, str] = {
    "reference": "pipeline.core.training.reference",
}
"""The module of each engine; its ``make(jobs)`` makes the engine."""

BATCHED: frozenset[str] = frozenset()
"""engines that train several networks as one stacked computation"""


class EngineModule(Protocol):
    """What the module of an engine offers."""

    def make(self, jobs: Sequence[Job]) -> Engine:
        """An engine at the start of these jobs, one lane each."""

    def supports(self, network: Network) -> bool:
        """Whether the engine can train such a network."""


def engine_module(name: str) -> EngineModule:
    """The module of an engine, imported now.

    Raises:
        ValueError: if there is no such engine.
    """
    return cast(EngineModule, import_module(_known(name)))


def make_engine(name: str, jobs: Sequence[Job]) -> Engine:
    """The named engine at the start of these jobs.

    Raises:
        ValueError: if there is no such engine, or it cannot train these jobs.
    """
    return engine_module(name).make(jobs)


def file_of(name: str) -> str:
    """The file in this folder that an engine stands in; the plan makes it a DVC dep.

    >>> file_of("reference")
    'reference.py'
    """
    return _known(name).rpartition(".")[2] + ".py"


def is_batched(name: str) -> bool:
    """Whether an engine takes several jobs at once; the others take one.

    Raises:
        ValueError: if there is no such engine.
    """
    _known(name)
    return name in BATCHED


def resolve(setting: str, network: Network, density: float, device: str) -> str:  # noqa: ARG001
    """Which engine trains a network.

    Args:
        setting: ``train.engine``: ``auto``, or the name of an engine.
        network: its layers.
        density: fraction of the prunable weights kept, (0, 1].
        device: ``train.device``.

    Returns:
        A name in ENGINES.

    Raises:
        ValueError: if there is no such engine.
    """
    name = "reference" if setting == "auto" else setting
    _known(name)
    return name


def _known(name: str) -> str:
    if name not in ENGINES:
        raise ValueError(
            f"unknown engine {name!r}; give auto or one of {', '.join(sorted(ENGINES))}"
        )
    return ENGINES[name]
