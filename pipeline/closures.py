"""Which code a stage runs, and one small file of hashes that stands for it.

An edit must make stale exactly what it may change, so every stage depends on the code
that it imports. DVC pays for every dependency of every instance, at each ``dvc repro``:
of 182 instances with 15 files of code each a third of the time. So the stage ``plan``,
which depends on all of this code, writes one file per kind of instance, and that is
what instances depend on. ``sha256sum --check`` reads the files.

The closure follows import statements at any depth. It does not follow registries: what
they import on use is named beside the stage, in the name of the file:
``train-models.mlp-training.dense.txt``.
"""

import ast
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from pipeline import artifacts
from pipeline.core import criteria, models, starts, training, transforms
from pipeline.errors import UserError

FOLDER = artifacts.FOLDER / "code"
CORE = Path("pipeline/core")
STAGES = Path("pipeline/stages")
ENTRIES: dict[str, Callable[[str], str]] = {
    "models": models.file_of,
    "training": training.file_of,
    "criteria": criteria.file_of,
    "transforms": transforms.file_of,
    "starts": starts.file_of,
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


class CodeError(UserError):
    """A file of code is not Python; one line that says where."""


def digest_file(stage: str, **used: str | None) -> Path:
    """The file of hashes of a stage that uses these entries of registries.

    >>> digest_file("train", models="lenet-300-100", training="sparse").as_posix()
    'artifacts/code/train-models.mlp-training.sparse.txt'
    >>> digest_file("prune", models="mlp", criteria=None, transforms="shuffle").name
    'prune-models.mlp-transforms.shuffle.txt'
    """
    entries = [
        f"{registry}.{ENTRIES[registry](name).removesuffix('.py')}"
        for registry, name in used.items()
        if name is not None
    ]
    return FOLDER / f"{'-'.join((stage, *entries))}.txt"


def code_behind(digest: Path, root: Path = Path()) -> list[Path]:
    """The files whose hashes stand in a file of ``digest_file``, sorted."""
    stage, *entries = digest.name.removesuffix(".txt").split("-")
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


def write(digests: Iterable[Path], root: Path = Path()) -> None:
    """Write these files of hashes, and nothing else, into FOLDER."""
    with artifacts.atomic_folder(root / FOLDER) as folder:
        for digest in digests:
            lines = [
                f"{_hash(root / file)}  {file}\n" for file in code_behind(digest, root)
            ]
            (folder / digest.name).write_text("".join(lines), encoding="utf-8")


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
