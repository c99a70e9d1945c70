"""Training: the plain reference engine, faster ones beside it, and the loop over them.

This is the one place that decides which engine trains a network. A name maps to a
module that is imported on use, so that planning needs no torch.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Engine, Job
from pipeline.engines import suitability

ENGINES: dict[str, str] = {
    "reference": "pipeline.engines.reference",
    "dense": "pipeline.engines.dense",
    "sparse": "pipeline.engines.sparse",
    "sparse-conv": "pipeline.engines.sparse_conv",
    "batched": "pipeline.engines.batched",
    "southampton": "pipeline.engines.dense.southampton",
}
"""The module of each engine; its ``make(jobs)`` makes the engine."""

COMPAT: frozenset[str] = frozenset({"southampton"})
"""engines that train as somebody's program did, not as the reference: a task's ``compat``
names them, ``train.engine`` cannot"""

BATCHED: frozenset[str] = frozenset({"batched"})
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
    """Where an engine stands in this folder: a file, or a package of its own.

    The plan makes it a DVC dep, so an engine keeps what only it uses in its package.

    >>> file_of("reference"), file_of("sparse"), file_of("southampton")
    ('reference.py', 'sparse', 'dense')
    """
    first = _known(name).removeprefix(f"{__name__}.").partition(".")[0]
    spec = find_spec(f"{__name__}.{first}")
    assert spec is not None, f"{name} has no module"
    return f"{first}.py" if spec.submodule_search_locations is None else first


def is_batched(name: str) -> bool:
    """Whether an engine takes several jobs at once; the others take one.

    Raises:
        ValueError: if there is no such engine.
    """
    _known(name)
    return name in BATCHED


SERVES: dict[str, Callable[[Network], bool]] = {
    "reference": suitability.any_network,
    "dense": suitability.without_norm,
    "sparse": suitability.fully_connected,
    "sparse-conv": suitability.plain_convolutional,
    "batched": suitability.any_network,
    "southampton": suitability.without_norm,
}
"""which networks an engine can train, known without importing it"""

COMPILES: dict[str, Callable[[Network], bool]] = {
    "dense": suitability.fully_connected,
    "sparse": suitability.fully_connected,
    "sparse-conv": suitability.plain_convolutional,
}
"""which networks an engine trains by kernels of its own, without torch"""

FREEZES = frozenset({"reference", "dense"})
"""engines that hold pruned weights at other values than 0 (``freeze-init``)"""
CPU_ONLY = frozenset({"dense", "sparse", "sparse-conv", "southampton"})
SPARSE_BELOW = 0.7
"""density up to which only the kept weights are computed with: there a dense step of
LeNet-300-100 takes 0.83 ms and a sparse one 0.89, evaluation evens it out (Intel Xeon with
AVX-512, one thread)"""
SPARSE_CONV_BELOW = 0.4
"""likewise with convolutions, of which pruning keeps more than of the rest: with the masks
of the papers the sparse engine is even at .5 and 1.2 to 1.5 times as fast at .3"""


def resolve(
    setting: str, network: Network, density: float, device: str, *, frozen: bool = False
) -> str:
    """Which engine trains a network: the fastest that was shown to give equal results.

    Args:
        setting: ``train.engine``: ``auto``, or the name of an engine.
        network: its layers.
        density: fraction of the prunable weights kept, (0, 1].
        device: ``train.device``.
        frozen: whether pruned weights are frozen at other values than 0.

    Returns:
        A name in ENGINES, none of COMPAT unless it is asked for.

    Raises:
        ValueError: if there is no such engine, or it cannot train this network there.
    """
    if setting != "auto":
        _known(setting)
        _refuse_unfit(setting, network, device, frozen=frozen)
        return setting
    if frozen:
        return "dense" if device == "cpu" and SERVES["dense"](network) else "reference"
    if device != "cpu":
        return "batched"
    if density <= SPARSE_BELOW and SERVES["sparse"](network):
        return "sparse"
    if density <= SPARSE_CONV_BELOW and SERVES["sparse-conv"](network):
        return "sparse-conv"
    return "dense" if SERVES["dense"](network) else "reference"


PRUNING = frozenset({"reference", "dense"})
"""engines whose masks can shrink while they train"""


def resolve_pruning(setting: str, network: Network, device: str) -> str:
    """Which engine trains a network that is pruned while it trains; as ``resolve``."""
    found = resolve(setting, network, 1.0, device)
    if found in PRUNING:
        return found
    if setting != "auto":
        raise ValueError(
            f"engine {setting} cannot change its mask while it trains; give auto, or one "
            f"of {', '.join(sorted(PRUNING))}"
        )
    return "reference"


def _refuse_unfit(name: str, network: Network, device: str, *, frozen: bool) -> None:
    if frozen and name not in FREEZES:
        raise ValueError(
            f"engine {name} holds pruned weights at 0; give auto, or one of "
            f"{', '.join(sorted(FREEZES))}"
        )
    if name in CPU_ONLY and device != "cpu":
        raise ValueError(f"engine {name} works on cpu, not on {device}; give auto")
    if not SERVES[name](network):
        fit = ", ".join(
            n for n, serves in SERVES.items() if n not in COMPAT and serves(network)
        )
        raise ValueError(
            f"engine {name} cannot train this network; give auto, or one of {fit}"
        )


def _known(name: str) -> str:
    if name not in ENGINES:
        known = ", ".join(sorted(ENGINES.keys() - COMPAT))
        raise ValueError(f"unknown engine {name!r}; give auto or one of {known}")
    return ENGINES[name]
