"""Read from the user's data sets what settings depend on: sizes, and kinds of examples.

A data set is read for this once, and again when its files, its settings or its code have
changed; what was found is kept in ``.lt/datasets``.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.descriptions import described, description_in
from pipeline.border import user_code
from pipeline.config.settings import Settings
from pipeline.data.facts import FACTS
from pipeline.data.known import Known
from pipeline.data.own import read
from pipeline.data.own.source import Source

FOLDER = Path(".lt/datasets")
_SIZES = ("num_train", "num_validation", "num_test")


def problems(settings: Settings) -> Iterator[str]:
    """Yield one line for each data set whose name is taken."""
    for name in settings.datasets:
        if name in FACTS:
            yield f"datasets.{name}: a built-in data set has this name; choose another"


def with_known(settings: Settings, root: Path) -> Settings:
    """The same settings, each task with what is known of the user's data set it has.

    Raises:
        OwnDataError: if a data set that a task needs cannot be used.
        CodeError: if its function cannot be imported, or fails.
    """
    tasks = {
        name: replace(task, known=known(task.data, settings.datasets[task.data], root))
        if task.data in settings.datasets
        else task
        for name, task in settings.tasks.items()
    }
    return replace(settings, tasks=tasks)


def known(name: str, source: Source, root: Path) -> Known:
    """The facts of a data set; it is read only if something has changed."""
    kept = root / FOLDER / f"{name}-{_stamp(source, root)}.json"
    if kept.exists():
        values = files.load_json(kept)
        sizes = {size: values[size] for size in _SIZES}
        return Known(description=description_in(values), **sizes)
    found = read.known(read.read(name, source, root))
    sizes = {size: getattr(found, size) for size in _SIZES}
    files.save_json(kept, described(found.description) | sizes)
    return found


def _stamp(source: Source, root: Path) -> str:
    """A short digest of all that may change what is known."""
    facts: dict[str, Any] = {"source": asdict(source), "reader": _readers()}
    if source.own_module is not None:
        facts["code"] = user_code.digest_behind(source.own_module, root=root)
    if source.path is not None:
        facts["files"] = list(_files(root / source.path))
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of all files below a folder."""
    paths = [path] if path.is_file() else sorted(path.rglob("*"))
    for file in paths:
        about = os.stat(file)  # noqa: PTH116 - half the time of Path.stat
        yield str(file.relative_to(path)), about.st_size, about.st_mtime_ns


def _readers() -> str:
    """The hash of the code that reads."""
    content = hashlib.sha256()
    for file in sorted(Path(read.__file__).parent.glob("*.py")):
        content.update(file.read_bytes())
    return content.hexdigest()
