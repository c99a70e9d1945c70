"""Which code a stage runs, which settings it reads, and one small file for both.

An edit must make stale exactly what it may change, so every stage depends on the code
that it imports and on the settings that decide its result. DVC pays for every dependency
and every tracked setting of every instance, at each ``dvc repro``: of 182 instances with
15 files of code each a third of the time, for their settings another eighth. So the stage
``plan``, which depends on all of this, writes one file per kind of instance, and that is
what instances depend on. It has the settings as comments and the hashes of the code as
``sha256sum --check`` reads them.

The closure follows import statements at any depth. It does not follow registries: what
they import on use is named beside the stage, in the name of the file:
``train-models.mlp-training.dense.txt``.
"""

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from pipeline import engines
from pipeline.artifacts import files, paths
from pipeline.border.errors import UserError
from pipeline.core import criteria, models, starts, transforms

FOLDER = paths.FOLDER / "inputs"
CORE = Path("pipeline/core")
STAGES = Path("pipeline/stages")
ENTRIES: dict[str, Callable[[str], str]] = {
    "models": models.MODELS.file_of,
    "training": engines.ENGINES.file_of,
    "criteria": criteria.CRITERIA.file_of,
    "transforms": transforms.TRANSFORMS.file_of,
    "starts": starts.STARTS.file_of,
}
"""by folder of the core: the file, or package, of an entry of its registry"""
REGISTRIES = frozenset(CORE / name / "__init__.py" for name in ("", *ENTRIES))
"""map names to modules imported on use: adding a method must not touch other results"""
PLUMBING = frozenset(
    Path("pipeline", name)
    for name in (
        "__init__.py",
        "analyses.py",
        "artifacts.py",
        "border.py",
        "chains.py",
        "checkpoints.py",
        "compat.py",
        "errors.py",
        "lifeline.py",
        "params.py",
        "plan.py",
        "preloads/__init__.py",
        "progress.py",
        "rewinds.py",
        "root.py",
        "settings.py",
        "stale.py",
        "spots.py",
        "stages/__init__.py",
        "torchvision_import.py",
        "workers.py",
        "yaml_shape.py",
    )
)
"""read settings, find, move and show things: decide no result, and are in no closure"""
_NETWORK = ("tasks.{task}.data", "tasks.{task}.model")
_TRAINING = (*_NETWORK, "tasks.{task}.train", "tasks.{task}.compat")
SETTINGS: dict[str, tuple[str, ...]] = {
    "data": (),
    "init": _NETWORK,
    "train": _TRAINING,
    "early": _TRAINING,
    "prune": (*_NETWORK, "tasks.{task}.compat", "variants.{variant}.prune"),
    "rewind": (
        *_NETWORK,
        "tasks.{task}.compat",
        "variants.{variant}.prune.mask",
        "variants.{variant}.rewind",
    ),
    "retrain": (
        *_TRAINING,
        "variants.{mask_owner}.prune",
        "variants.{variant}.prune.mask",
        "variants.{variant}.prune.transform",
        "variants.{variant}.rewind",
    ),
    "copies": (
        *_TRAINING,
        "analyses.{analysis}.of",
        "analyses.{analysis}.pairs",
        "{recipe}",
    ),
    "lines": (*_NETWORK, "tasks.{task}.train", "analyses.{analysis}"),
}
"""by stage: the settings that decide a result; braces name fields of the plan's items"""


class CodeError(UserError):
    """A file of code is not Python; one line that says where."""


def inputs_file(stage: str, *names: str, **used: str | None) -> Path:
    """The file of a stage for a task (and variant, or analysis) that uses these entries.

    >>> inputs_file("train", "main", models="lenet-300-100", training="sparse").as_posix()
    'artifacts/inputs/main/train-models.mlp-training.sparse.txt'
    >>> inputs_file("prune", models="mlp", criteria=None, transforms="shuffle").name
    'prune-models.mlp-transforms.shuffle.txt'
    """
    entries = [
        f"{registry}.{ENTRIES[registry](name).removesuffix('.py')}"
        for registry, name in used.items()
        if name is not None
    ]
    return FOLDER.joinpath(*names, f"{'-'.join((stage, *entries))}.txt")


def settings_of(stage: str, item: Mapping[str, str | int]) -> list[str]:
    """The keys of the settings that decide the result of an instance, sorted.

    >>> settings_of("init", {"task": "main", "seeds": "0,1"})
    ['tasks.main.data', 'tasks.main.model']
    """
    return sorted({key.format(**item) for key in SETTINGS[stage]})


def code_behind(inputs: Path, root: Path = Path()) -> list[Path]:
    """The files whose hashes stand in a file of ``inputs_file``, sorted."""
    stage, *entries = inputs.name.removesuffix(".txt").split("-")
    starts = {STAGES / f"{stage}.py"}
    for entry in entries:
        starts |= _files_of_entry(CORE.joinpath(*entry.split(".")), root)
    return sorted(closure(starts, root))


def closure(starts: Iterable[Path], root: Path = Path()) -> set[Path]:
    """Files of the project that these import, themselves included.

    Raises:
        CodeError: if one of them is not Python.
    """
    found = set(starts)
    waiting = list(found)
    while waiting:
        imported = _imported(waiting.pop(), root)
        new = imported - found - REGISTRIES - PLUMBING
        found |= new
        waiting.extend(new)
    return found


def text(
    inputs: Path, keys: Iterable[str], settings: Mapping[str, Any], root: Path = Path()
) -> str:
    """What stands in a file of ``inputs_file``: a line per setting and file of code.

    Args:
        inputs: the file.
        keys: of its settings, as ``settings_of`` names them.
        settings: params.yaml as nested dicts.
        root: of the repository.
    """
    lines = [f"# {key}: {_value(settings, key)}\n" for key in keys]
    lines += [f"{_hash(root / file)}  {file}\n" for file in code_behind(inputs, root)]
    return "".join(lines)


def write(
    kinds: Mapping[Path, Iterable[str]], settings: Mapping[str, Any], root: Path = Path()
) -> None:
    """Write the files of these kinds of instances, and nothing else, into FOLDER."""
    with files.atomic_folder(root / FOLDER) as folder:
        for inputs, keys in kinds.items():
            path = folder / inputs.relative_to(FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(inputs, keys, settings, root), encoding="utf-8")


def _value(settings: Mapping[str, Any], key: str) -> str:
    value = reduce(lambda place, name: place[name], key.split("."), settings)
    return json.dumps(value, sort_keys=True)


def _files_of_entry(path: Path, root: Path) -> set[Path]:
    if not (root / path).is_dir():
        return {path.with_suffix(".py")}
    return {file.relative_to(root) for file in (root / path).rglob("*.py")}


def _imported(path: Path, root: Path) -> set[Path]:
    try:
        modules = _modules_named((root / path).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise CodeError(f"{path}: line {error.lineno} is not Python; mend it") from None
    return {file for module in modules if (file := _file_of(module, root))}


@cache
def _modules_named(text: str) -> frozenset[str]:
    """Modules of the project, and names in them, that a file's imports mention."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    own = (name.split(".") for name in names if name.startswith("pipeline."))
    return frozenset(
        ".".join(parts[:length]) for parts in own for length in range(1, len(parts) + 1)
    )


def _file_of(module: str, root: Path) -> Path | None:
    path = Path(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if (root / file).is_file()), None)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
