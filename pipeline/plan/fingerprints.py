"""Write down the code and the settings behind each stage, so that DVC sees edits.

An edit must make stale exactly what it may change, so every stage depends on the code
that it imports and on the settings that decide its result. DVC pays for every dependency
and every tracked setting of every instance, at each ``dvc repro``: of 182 instances with
15 files of code each a third of the time, for their settings another eighth. So the stage
``plan``, which depends on all of this, writes one file per kind of instance, and that is
what instances depend on. It has the settings as comments and the hashes of the code as
``sha256sum --check`` reads them.

Folders are the rule: what lies below DECIDING decides results, and so does a stage's own
file; nothing else does. The closure follows import statements at any depth, through what
decides and through ``run``, which calls it. It does not follow a registry's records: what
these import on use is named beside the stage, in the name of the file
(``train-models.mlp-engines.dense-metrics.at_end.txt``), and of the registry's own file what
lies outside the records counts, so that adding a method touches no other result.
"""

import ast
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from string import Formatter
from typing import Any

from pipeline import engines
from pipeline.artifacts import files, paths
from pipeline.border import user_code
from pipeline.border.errors import UserError
from pipeline.border.root import code_root
from pipeline.core import (
    augmentations,
    constructions,
    criteria,
    cuts,
    measures,
    metrics,
    models,
    optimizers,
    policies,
    starts,
    transforms,
)
from pipeline.core.functions import function_in, is_function
from pipeline.core.registry import Registry
from pipeline.plan.items import Item

FOLDER = paths.FOLDER / "inputs"
PIPELINE = Path("pipeline")
STAGES = PIPELINE / "stages"
DECIDING = ("core", "engines", "data", "results")
"""folders whose code decides results, as a stage's own file does"""
CALLING = PIPELINE / "run"
"""the folder that calls it: imports are followed through its files, not its executors'"""
PREDICTING = ("forecast",)
"""fields of records that decide no result"""
ENTRIES: dict[str, Registry[Any]] = {
    "models": models.MODELS,
    "engines": engines.ENGINES,
    "criteria": criteria.CRITERIA,
    "transforms": transforms.TRANSFORMS,
    "starts": starts.STARTS,
    "cuts": cuts.CUTS,
    "constructions": constructions.CONSTRUCTIONS,
    "policies": policies.POLICIES,
    "metrics": metrics.METRICS,
    "measures": measures.MEASURES,
    "optimizers": optimizers.OPTIMIZERS,
    "augmentations": augmentations.AUGMENTATIONS,
}
"""the registries whose entries stand in the names of inputs files"""
USERS = "own"
"""what stands in the names of inputs files before a module of the user's"""
FOLDERS = {name: Path(*known.package.split(".")) for name, known in ENTRIES.items()}
"""by registry: where its entries lie"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """The facts and settings that decide instances of one inputs file, beside code."""

    facts: tuple[tuple[str, str | int], ...]
    """fields of their items, by name, that DVC sees nowhere else"""
    settings: tuple[str, ...]
    """keys of settings, sorted"""


NOTHING = Decided(facts=(), settings=())


class CodeError(UserError):
    """A file of code is not Python; one line that says where."""


def inputs_file(stage: str, *names: str, **used: str | tuple[str, ...] | None) -> Path:
    """The file of a stage for a task (and variant, or analysis) that uses these entries.

    Args:
        stage: its name.
        names: of the task, and so on.
        used: registry -> the entry that is used, or several; None = none.

    >>> inputs_file("train", "main", models="lenet-300-100", engines="sparse").as_posix()
    'artifacts/inputs/main/train-models.mlp-engines.sparse.txt'
    >>> inputs_file("prune", models="mlp", criteria=None, transforms="shuffle").name
    'prune-models.mlp-transforms.shuffle.txt'
    >>> inputs_file("train", own="mypkg.nets").name
    'train-own.mypkg.nets.txt'
    >>> inputs_file("prune", models="mlp", criteria="mypkg.scores:mine(power=2)").name
    'prune-own.mypkg.scores-models.mlp.txt'
    """
    named = [
        (registry, name)
        for registry, found in used.items()
        for name in ((found,) if isinstance(found, str) else found or ())
    ]
    modules = sorted(
        {
            function_in(name).partition(":")[0]
            for registry, name in named
            if registry == USERS or is_function(name)
        }
    )
    entries = [f"{USERS}.{module}" for module in modules]
    entries += [
        f"{registry}.{ENTRIES[registry].file_of(name).removesuffix('.py')}"
        for registry, name in named
        if registry != USERS and not is_function(name)
    ]
    return FOLDER.joinpath(*names, f"{'-'.join((stage, *entries))}.txt")


def decided_by(item: Item) -> Decided:
    """The facts and the keys of settings that decide the result of an instance."""
    keys = {
        key.format(**item.fields)
        for key in item.kind.settings
        if {name for _, name, _, _ in Formatter().parse(key) if name} <= item.fields.keys()
    }
    return Decided(facts=tuple(sorted(item.facts.items())), settings=tuple(sorted(keys)))


def code_behind(inputs: Path, root: Path = Path()) -> list[Path]:
    """The files whose hashes stand in a file of ``inputs_file``, sorted.

    Those of this package are relative to the folder that holds it, so that an experiment
    is the same wherever the package is installed; those of the user's to the root.
    """
    code = code_root(root)
    stage, *entries = inputs.name.removesuffix(".txt").split("-")
    starts = {STAGES / f"{stage}.py"}
    users: set[Path] = set()
    for entry in entries:
        registry, _, name = entry.partition(".")
        if registry == USERS:
            users |= set(user_code.files_behind(name, root=root))
        else:
            starts |= _files_of_entry(FOLDERS[registry] / name, code)
    return sorted(closure(starts, code) | users)


def closure(starts: Iterable[Path], root: Path = Path()) -> set[Path]:
    """Files that decide results and that these reach, themselves included.

    Raises:
        CodeError: if one of them is not Python.
    """
    begun = set(starts)
    return {file for file in reached(begun, root) if file in begun or decides(file)}


def reached(starts: Iterable[Path], root: Path = Path()) -> set[Path]:
    """Files that these import at any depth, through deciding code and what calls it.

    Raises:
        CodeError: if one of them is not Python.
    """
    found = set(starts)
    waiting = list(found)
    while waiting:
        imported = _imported(waiting.pop(), root)
        new = {file for file in imported - found if _followed(file)}
        found |= new
        waiting.extend(new)
    return found


def decides(file: Path) -> bool:
    """Whether the code of a file decides results."""
    return file.parts[1] in DECIDING


def _followed(file: Path) -> bool:
    return decides(file) or file.parent == CALLING


def text(
    inputs: Path, decided: Decided, settings: Mapping[str, Any], root: Path = Path()
) -> str:
    """The content of an inputs file: a line per fact, setting, record and file of code.

    Args:
        inputs: the file.
        decided: the facts and the keys of its settings.
        settings: params.yaml as nested dicts.
        root: of the repository.
    """
    lines = [f"# {name}: {json.dumps(value)}\n" for name, value in decided.facts]
    lines += [f"# {key}: {_value(settings, key)}\n" for key in decided.settings]
    lines += [f"# {record}\n" for record in _records(inputs, code_root(root))]
    lines += [_code_line(file, _base(file, root)) for file in code_behind(inputs, root)]
    return "".join(lines)


def changed_since(
    inputs: Path, decided: Decided, settings: Mapping[str, Any], root: Path = Path()
) -> list[str]:
    """The settings and files of code that differ from an inputs file, sorted.

    Only comparisons of milliseconds are made: records of registries and new files of code
    are left out.

    Args:
        inputs: the file, below the root.
        decided: the keys of its settings.
        settings: params.yaml as nested dicts.
        root: of the repository.
    """
    lines = (root / inputs).read_text(encoding="utf-8").splitlines()
    known = set(lines)
    found = [key for key in decided.settings if not _is_known(key, settings, known)]
    for line in lines:
        if not line.startswith("#"):
            file = Path(line.partition("  ")[2])
            base = _base(file, root)
            if not (base / file).is_file() or line != _code_line(file, base).rstrip():
                found.append(str(file))
    return sorted(found)


def _is_known(key: str, settings: Mapping[str, Any], lines: Collection[str]) -> bool:
    try:
        return f"# {key}: {_value(settings, key)}" in lines
    except (LookupError, TypeError):  # a variant that is not there any more
        return False


def _base(file: Path, root: Path) -> Path:
    return code_root(root) if file.parts[:1] == PIPELINE.parts else root


def write(
    wanted: Mapping[Path, Decided], settings: Mapping[str, Any], root: Path = Path()
) -> None:
    """Write these inputs files, and nothing else, into FOLDER."""
    with files.atomic_folder(root / FOLDER) as folder:
        for inputs, decided in wanted.items():
            path = folder / inputs.relative_to(FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(inputs, decided, settings, root), encoding="utf-8")


def clear_outdated(wanted: Mapping[str, str], root: Path = Path()) -> None:
    """Delete the inputs files if one of them is not as it would be written now.

    DVC then runs the stage that writes them, also after an edit that it cannot see: of
    code of the user's outside of a clone.

    Args:
        wanted: path -> text of each.
        root: of the repository.
    """
    for name, text in wanted.items():
        path = root / name
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            files.remove(root / FOLDER)
            return


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


def _records(inputs: Path, root: Path) -> Iterator[str]:
    """The records, as code, of the entries that stand in the name of an inputs file."""
    for entry in inputs.name.removesuffix(".txt").split("-")[1:]:
        registry, _, stem = entry.partition(".")
        if registry == USERS:
            continue
        known = ENTRIES[registry]
        code = (root / FOLDERS[registry] / "__init__.py").read_text(encoding="utf-8")
        for name, record in _records_in(code).items():
            if known[name].module and known.file_of(name).removesuffix(".py") == stem:
                yield f"{registry}.{name}: {record}"


@cache
def _records_in(text: str) -> dict[str, str]:
    """The records of a registry's file, by entry.

    As code and not as values: a value may hold a function or a set, whose text is another
    one in every process.
    """
    return {
        str(key.value): ast.unparse(_deciding(record))
        for made in ast.walk(ast.parse(text))
        if _makes_registry(made) and isinstance(made, ast.Call)
        for entries in made.args
        if isinstance(entries, ast.Dict)
        for key, record in zip(entries.keys, entries.values, strict=True)
        if isinstance(key, ast.Constant)
    }


def _deciding(record: ast.expr) -> ast.expr:
    """A record without the fields that only predict."""
    if isinstance(record, ast.Call):
        record.keywords = [one for one in record.keywords if one.arg not in PREDICTING]
    return record


def _code_line(file: Path, root: Path) -> str:
    text = (root / file).read_text(encoding="utf-8")
    beside = _beside_records(text)
    if beside is None:
        return f"{_hash(text)}  {file}\n"
    return f"# {file}, beside its records: {_hash(beside)}\n"


@cache
def _beside_records(text: str) -> str | None:
    """The code of a registry's file without its records; None of any other file."""
    if "Registry(" not in text:
        return None
    tree = ast.parse(text)
    others = [node for node in tree.body if not _has_records(node)]
    if len(others) == len(tree.body):
        return None
    return ast.unparse(ast.Module(body=others, type_ignores=[]))


def _has_records(node: ast.stmt) -> bool:
    """Whether a statement makes a registry: ``MODELS = Registry(…)``."""
    made = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return made is not None and _makes_registry(made)


def _makes_registry(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == Registry.__name__


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
