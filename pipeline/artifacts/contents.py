"""Read result files, and refuse one that lacks what its readers take for granted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from pipeline.artifacts import files
from pipeline.artifacts.paths import FOLDER


@dataclass(frozen=True, slots=True)
class _Facts:
    """The content of a result file for one seed; null for numbers that are not finite."""

    density: float
    kept: dict[str, int]
    steps: int
    early_stop_step: int | None
    censored: bool | None
    diverged: bool
    validation_loss: float | None
    validation_accuracy: float | None
    test_accuracy_early_stop: float | None
    test_accuracy: float | None
    test_loss: float | None


@dataclass(frozen=True, slots=True)
class _Result:
    """The content of ``result.json``."""

    task: str
    variant: str
    round: int
    engine: str
    sizes: dict[str, int]
    settings: dict[str, Any]
    seeds: dict[str, _Facts]


_RESULT = pydantic.TypeAdapter(_Result)


def load_result(folder: Path) -> dict[str, Any]:
    """The result file in a folder.

    Raises:
        ArtifactError: it is missing, or not what a training writes.
    """
    path = folder / "result.json"
    value: dict[str, Any] = files.load_json(path)
    try:
        _RESULT.validate_json(files.json_text(value), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise files.damaged(path, f"{place}: {first['msg']}") from None
    for seed, facts in value["seeds"].items():
        if not seed.isdecimal():
            raise files.damaged(path, f"seeds: {seed} is no number")
        if lacking := sorted(facts["kept"].keys() - value["sizes"].keys()):
            raise files.damaged(path, f"sizes: {lacking[0]} is missing")
    return value


def results(root: Path = Path()) -> list[tuple[Path, dict[str, Any]]]:
    """Every result file below the root with its folder, sorted by path.

    Raises:
        ArtifactError: one is not what a training writes.
    """
    return [(path.parent, load_result(path.parent)) for path in result_files(root)]


def result_files(root: Path = Path()) -> list[Path]:
    """Every ``result.json`` below the root, sorted by path."""
    return sorted((root / FOLDER / "results").glob("*/*/*/s*/result.json"))


def approximation_files(root: Path = Path()) -> list[Path]:
    """Every ``approximation.json`` below the root, sorted by path."""
    found = (root / FOLDER / "approximations").glob("*/*/*/s*/approximation.json")
    return sorted(found)


def line_files(root: Path = Path()) -> list[Path]:
    """Every ``lines.json`` below the root, sorted by path; beside it ``lines.parquet``."""
    return sorted((root / FOLDER / "lines").glob("*/*/*/s*/lines.json"))
