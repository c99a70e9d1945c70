"""Read the JSON results of analyses and approximations, seed by seed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.results.tables import RoundResult, round_results

NetworkKey = tuple[str, str, int, int]
"""task, variant or dense, round, seed"""


def saved_of_seeds(
    place: Path, file: str, seeds: Collection[int]
) -> dict[int, tuple[Path, Mapping[str, Any]]]:
    """Seed -> the folder that holds it, and the content of its file, by seed.

    Args:
        place: the folder with a folder for each group of seeds.
        file: name of the JSON file in these; it has ``seeds`` and ``settings``.
        seeds: that are wanted.

    Raises:
        ArtifactError: a file is unreadable, or two folders hold the same seed.
    """
    found: dict[int, tuple[Path, Mapping[str, Any]]] = {}
    for path in sorted(place.glob(f"s*/{file}")):
        content = files.load_json(path)
        with files.understood(path):
            held = {int(seed) for seed in content["seeds"]}
            dict(content["settings"])
        for seed in sorted(held & set(seeds)):
            if seed in found:
                raise ArtifactError(
                    f"{path.parent} and {found[seed][0]} both hold seed {seed}; "
                    "delete the older one and run `dvc repro`"
                )
            found[seed] = (path.parent, content)
    return {seed: found[seed] for seed in sorted(found)}


def network_results(
    root: Path, wanted: Iterable[NetworkKey]
) -> dict[NetworkKey, RoundResult]:
    """The results of these networks, of those that have one.

    Args:
        root: the folder with ``artifacts``.
        wanted: the networks.
    """
    active: dict[str, dict[str, tuple[set[int], set[int]]]] = defaultdict(dict)
    for task, variant, round, seed in wanted:
        empty: tuple[set[int], set[int]] = (set(), set())
        rounds, seeds = active[task].setdefault(variant, empty)
        rounds.add(round)
        seeds.add(seed)
    if not active:
        return {}
    results = round_results(root, active)
    return {(r.task, r.variant, r.round, r.seed): r for r in results}
