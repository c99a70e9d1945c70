"""Read the files of approximations and group them; each group becomes one MLflow run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.plan.targets import TargetPlace
from pipeline.results.tables import RoundResult
from pipeline.tracking.behind import network_results, saved_of_seeds
from pipeline.tracking.chains import chain_key, chain_name, digest_of

COMMON_SETTINGS = ("of", "construction", "candidates", "epsilon")
"""settings of an approximation that are the same for each of its targets"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetResult:
    """How close a random network comes to one trained network, its target."""

    approximation: str
    network: RoundResult
    """the target"""
    settings: Mapping[str, Any]
    """all settings behind the result: those of the network, and ``approximation``"""
    facts: Mapping[str, Any]
    """in approximation.json"""
    path: str
    """of its files, below the folder approximations"""

    @property
    def name(self) -> str:
        """The round as in the path: ``r03``."""
        return f"r{self.network.round:02d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedApproximation:
    """One approximation on one task with one seed, over all targets: one MLflow run."""

    name: str
    """of the run: ``approximation strong-s0``"""
    key: str
    """task, approximation, seed and the digest of the settings"""
    targets: Sequence[TargetResult]
    """all with the same settings, by round; at least one"""
    digests: Mapping[str, str]
    """name of a target -> digest of its result"""

    @property
    def first(self) -> TargetResult:
        """The target of the first round."""
        return self.targets[0]


def tracked_approximations(
    root: Path, places: Iterable[TargetPlace]
) -> list[TrackedApproximation]:
    """Read the results of approximations.

    A target is left out until its training has a result, because its settings are part of
    those here. While `dvc repro` is under way, a target whose settings differ from those
    of the first one is left out too.

    Args:
        root: the folder with ``artifacts``.
        places: of the plan, each with all of its seeds.

    Returns:
        By approximation, in the order of the places, then by seed.

    Raises:
        ArtifactError: a file is unreadable, or two folders hold the same seed.
    """
    groups: dict[tuple[str, str, int], list[TargetResult]] = defaultdict(list)
    order: dict[tuple[str, str], int] = {}
    for place in places:
        order.setdefault((place.task, place.approximation), len(order))
        for seed, result in _results(root, place).items():
            groups[place.task, place.approximation, seed].append(result)
    keys = sorted(groups, key=lambda key: (order[key[:2]], key[2]))
    return [_tracked(groups[key]) for key in keys]


def approximation_settings(
    asked: Mapping[str, Any], behind: Mapping[str, Any]
) -> dict[str, Any]:
    """All settings behind an approximation's results.

    Args:
        asked: the settings of the approximation, as in params.yaml.
        behind: the settings of the target.
    """
    return dict(behind) | {"approximation": {name: asked[name] for name in COMMON_SETTINGS}}


def approximation_name(task: str, approximation: str, seed: int) -> str:
    """The name of an approximation's run; no name of a chain or an analysis is like it."""
    return f"approximation {chain_name(task, approximation, seed)}"


def approximation_key(
    task: str, approximation: str, seed: int, settings: Mapping[str, Any]
) -> str:
    """The key of an approximation's run."""
    return chain_key(task, approximation, seed, settings)


def _results(root: Path, place: TargetPlace) -> dict[int, TargetResult]:
    """Seed -> the result, where there is one of the target as well."""
    folder = (root / place.folder).parent
    found = saved_of_seeds(folder, "approximation.json", place.seeds)
    keys = {
        seed: (place.task, content["settings"]["of"], place.round, seed)
        for seed, (_, content) in found.items()
    }
    networks = network_results(root, keys.values())
    return {
        seed: TargetResult(
            approximation=place.approximation,
            network=network,
            settings=approximation_settings(content["settings"], network.settings),
            facts=content["seeds"][str(seed)],
            path=f"{place.path.rpartition('/')[0]}/{where.name}",
        )
        for seed, (where, content) in found.items()
        if (network := networks.get(keys[seed])) is not None
    }


def _tracked(results: Sequence[TargetResult]) -> TrackedApproximation:
    first, *others = sorted(results, key=lambda result: result.network.round)
    same = [first, *(other for other in others if other.settings == first.settings)]
    which = first.network.task, first.approximation, first.network.seed
    return TrackedApproximation(
        name=approximation_name(*which),
        key=approximation_key(*which, first.settings),
        targets=same,
        digests={
            target.name: digest_of([target.network.facts["density"], dict(target.facts)])
            for target in same
        },
    )
