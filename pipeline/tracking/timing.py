"""Read from timing files when a training ran and how long it took."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.results.tables import RoundResult

FIRST_WITHOUT_FILE = 1_577_836_800_000
"""ms, 2020-01-01: when a chain without timing files is said to begin"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """When the trainings of one round or place ran."""

    started: int
    """ms since 1970"""
    ended: int
    """ms since 1970"""
    content: Mapping[str, Any]
    """of the timing file; empty where there is none"""

    def of_seed(self, seed: int) -> Mapping[str, Any]:
        """The entry of one seed in the timing file; empty where there is none."""
        entry: Mapping[str, Any] = self.content.get("seeds", {}).get(str(seed), {})
        return entry

    @property
    def machine(self) -> dict[str, str]:
        """``host``, ``cpu`` and ``versions``, as far as the timing file names them."""
        names = [name for name in ("host", "cpu") if name in self.content]
        versions = self.content.get("versions", {})
        listed = ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
        return {name: str(self.content[name]) for name in names} | (
            {"versions": listed} if listed else {}
        )


def timing_of(root: Path, result: RoundResult) -> Timing:
    """When a round was trained.

    Args:
        root: the folder with ``artifacts``.
        result: of the round.
    """
    path = result.folder.relative_to(root / paths.FOLDER / "results")
    return timing_at(root, str(path), result.round)


def timing_at(root: Path, path: str, position: int) -> Timing:
    """When the trainings of a round or a place ran.

    Args:
        root: the folder with ``artifacts``.
        path: of the timing file below its folder, without suffix.
        position: of the round or the place among its siblings. Without a timing file
            each one gets a second of its own, in this order.
    """
    file = root / paths.timing_at(path)
    if not file.exists():
        start = FIRST_WITHOUT_FILE + 1000 * position
        return Timing(started=start, ended=start + 1000, content={})
    content = files.load_json(file)
    with files.understood(file):
        started, ended = (_milliseconds(content[name]) for name in ("started", "ended"))
        timing = Timing(started=started, ended=ended, content=content)
        for entry in content["seeds"].values():
            entry.items()
        timing.machine.items()
    return timing


def seconds(root: Path, result: RoundResult) -> float:
    """How long the training of a round took; NaN where no timing file says it."""
    entry = timing_of(root, result).of_seed(result.seed)
    return float(entry.get("seconds", math.nan))


def _milliseconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
