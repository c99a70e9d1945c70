"""Findings about artifacts, and how a check becomes one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import DENSE
from pipeline.border.exits import of_system
from pipeline.config import params
from pipeline.config.settings import Settings, Task, Variant, build_network
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Network
from pipeline.plan.items import Item

FILES, OUTPUTS = "files", "outputs"
ROUNDS = "rounds"
DAMAGE = (
    ArtifactError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)
"""what code raises that computes with a file of other content than a stage writes, or with
one that the system does not give"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One promise, checked on one chain or one file."""

    subject: str
    """the chain, or the file"""
    promise: str
    num_checked: int
    unit: str
    """of what so many were checked: FILES, OUTPUTS or ROUNDS"""
    broken: str
    """the first place where the promise does not hold; empty = it holds everywhere"""


Look = Callable[[], str]
"""looks at one file and returns what is wrong; empty = nothing"""
Looks = Iterator[tuple[Path, Look]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One instance, with the settings and data behind it; what is read is kept."""

    settings: Settings
    item: Item
    raw: dict[str, Any]
    """params.yaml as nested dicts"""
    datasets: dict[Path, Dataset]
    """those that were read so far"""

    @cached_property
    def task(self) -> Task:
        """The task of the instance."""
        return self.settings.tasks[self.item["task"]]

    @cached_property
    def variant(self) -> Variant | None:
        """The variant of the instance; None for the dense network."""
        name = self.item["variant"]
        return None if name == DENSE else self.settings.variants[name]

    @cached_property
    def network(self) -> Network:
        """The network of the task."""
        return build_network(self.task)

    @property
    def data(self) -> Dataset:
        """The prepared data set."""
        path = self.item.path("data")
        if path not in self.datasets:
            self.datasets[path] = files.load_dataset(path)
        return self.datasets[path]

    @property
    def behind(self) -> dict[str, Any]:
        """The settings that stand in a result file."""
        name = None if self.variant is None else self.item["variant"]
        return params.behind_in(self.raw, self.item["task"], name)


def said(path: Path, look: Look) -> str:
    """The faults of a file; one that the check cannot work with is damaged, too."""
    try:
        return look()
    except DAMAGE as error:
        return text_of(error).removeprefix(f"{path}: ")


def text_of(error: Exception) -> str:
    """The line of an error of DAMAGE about the file that was being looked at."""
    text = " ".join(str(error).split())
    if isinstance(error, ArtifactError):
        return text
    if isinstance(error, OSError):
        return of_system(error)
    return f"is not what a stage writes ({type(error).__name__}: {text})"


def difference(wanted: object, found: object) -> str:
    """The first difference between two values as JSON has them; empty if there is none."""
    return _difference(json.loads(files.json_text(wanted)), found, "")


def _difference(wanted: object, found: object, where: str) -> str:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _in_keys(wanted, found, where)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        inner = (_difference(*pair, f"{where}[{i}]") for i, pair in pairs)
        return next(filter(None, inner), "")
    if type(wanted) is type(found) and wanted == found:
        return ""
    return f"{where or 'it'} is {_short(found)}, {_short(wanted)} expected"


def _in_keys(wanted: dict[str, Any], found: dict[str, Any], where: str) -> str:
    for key in sorted(wanted.keys() | found.keys()):
        place = f"{where}.{key}" if where else key
        if key not in found:
            return f"{place} is missing"
        if key not in wanted:
            return f"{place} does not belong there"
        if inner := _difference(wanted[key], found[key], place):
            return inner
    return ""


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]} …"
