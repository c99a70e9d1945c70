"""Make an experiment in a repository of the user's, where the package is only installed.

What it is made of: ``params.yaml`` and its plan, ``dvc.yaml``, ``MLproject``, the schema
that editors check params.yaml with, DVC's template for plots, and lines in ``.gitignore``
and ``.dvcignore``. The files that follow from the version of the package are *ours*: their
first lines say so, and ``init --update`` brings them to the version that is installed.
``templates/`` has them as ``.ci/reference.py`` makes them from this repository's own.
"""

import difflib
import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.border.root import holds_code
from pipeline.config import params, schema
from pipeline.plan import plan_file
from pipeline.plan.items import plan_path

MARK = "# Written by `lt-pipeline init`"
"""begins what is ours and may be replaced"""
DVC = Path(".dvc")
PLOTS = DVC / "plots" / "rounds.json"
"""below the folder that holds ``.dvc``: the template that dvc.yaml's plots name"""
IGNORED = {
    ".gitignore": (
        "/artifacts/",
        "/figures/",
        "/mlflow.db*",
        "/mlruns/",
        "/mlartifacts/",
        "/.lt/",
        "/.venv/",
        "__pycache__/",
    ),
    ".dvcignore": ("/.venv/", "/figures/", "/.lt/", "__pycache__/", "*.pyc"),
}
"""file -> the lines that it needs"""


class InitError(UserError):
    """An experiment cannot be made here; one line that says why and what to do."""


def make(folder: Path, settings: str) -> list[Path]:
    """Make an experiment in a folder of a git repository; what is there already stays.

    Args:
        folder: may be new; its parent must be in a git repository.
        settings: a params.yaml, written if there is none.

    Returns:
        What was written.

    Raises:
        InitError: the folder is a clone of this repository, lies in no git repository, or
            has files of other content where ours belong. Nothing is written then.
        ParamsError: the folder's own params.yaml is wrong; likewise.
    """
    top = _git_top(folder)
    _refuse_clone(folder, top)
    dvc = _dvc_root(folder, top)
    differing = [path for path, text in _ours(folder, dvc).items() if _differs(path, text)]
    if differing:
        raise InitError(
            f"{_listed(differing, folder)} of other content lie there; see the difference "
            "with `lt-pipeline init --update`, or name a folder of its own"
        )
    if (folder / params.FILE).exists():
        params.load(folder)  # before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    if dvc is None:
        _init_dvc(folder, top)
    written = _write(_missing(_ours(folder, _dvc_root(folder, top))))
    return [*written, *_append(folder), *_settings(folder, settings)]


def update(folder: Path, *, write: bool) -> str:
    """Bring our files to the version that is installed.

    Args:
        folder: of the experiment.
        write: whether to write them; otherwise they stay as they are.

    Returns:
        The difference, as ``diff -u`` has it; empty if there is none.

    Raises:
        InitError: as ``make``, or one of them was not written by ``make``.
    """
    top = _git_top(folder)
    _refuse_clone(folder, top)
    if not (folder / "dvc.yaml").is_file():
        raise InitError(f"{folder} has no dvc.yaml; make an experiment: `lt-pipeline init`")
    ours = _ours(folder, _dvc_root(folder, top))
    changed = {path: text for path, text in ours.items() if _read(path) != text}
    foreign = [path for path in changed if path.exists() and not _is_ours(path)]
    if foreign:
        raise InitError(
            f"{_listed(foreign, folder)} was not written by `lt-pipeline init`; make the "
            "experiment in a folder of its own: `lt-pipeline init lottery`"
        )
    difference = "".join(_difference(path, text, folder) for path, text in changed.items())
    if write:
        _write(changed)
        _append(folder)
    return difference


def _ours(folder: Path, dvc: Path | None) -> dict[Path, str]:
    """Path -> text of the files that follow from the version of the package."""
    return {
        folder / "dvc.yaml": _template("dvc.yaml"),
        folder / "MLproject": _template("MLproject"),
        folder / schema.FILE: json.dumps(schema.schema(), indent=2, ensure_ascii=False)
        + "\n",
        (dvc or folder) / PLOTS: _template("rounds.json"),
    }


def _template(name: str) -> str:
    found = resources("pipeline.launch") / "templates" / f"{name}.txt"
    return found.read_text(encoding="utf-8")


def _missing(ours: Mapping[Path, str]) -> dict[Path, str]:
    return {path: text for path, text in ours.items() if not path.exists()}


def _differs(path: Path, text: str) -> bool:
    return path.exists() and _read(path) != text


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _is_ours(path: Path) -> bool:
    """Whether it may be replaced: JSON has no comments, and its names are our own."""
    return path.suffix == ".json" or _read(path).startswith(MARK)


def _listed(found: list[Path], folder: Path) -> str:
    return ", ".join(_short(path, folder) for path in found)


def _short(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _difference(path: Path, text: str, folder: Path) -> str:
    name = _short(path, folder)
    lines = difflib.unified_diff(
        _read(path).splitlines(keepends=True),
        text.splitlines(keepends=True),
        f"{name} (here)",
        f"{name} (installed version)",
    )
    return "".join(lines)


def _write(texts: Mapping[Path, str]) -> list[Path]:
    for path, text in texts.items():
        with files.atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def _append(folder: Path) -> list[Path]:
    """Add the lines that ignore files lack, below those that are there.

    The lines that are there stay byte for byte: names of files need not be UTF-8.
    """
    written = []
    for name, wanted in IGNORED.items():
        path = folder / name
        there = _read(path)
        lacking = [line for line in wanted if line not in there.splitlines()]
        if lacking:
            gap = "\n" if there and not there.endswith("\n") else ""
            added = "\n".join([f"{gap}{MARK}", *lacking, ""])
            before = path.read_bytes() if there else b""
            with files.atomic(path) as temporary:
                temporary.write_bytes(before + added.encode())
            written.append(path)
    return written


def _settings(folder: Path, text: str) -> list[Path]:
    """params.yaml, if there is none, and its plan."""
    written = _write(_missing({folder / params.FILE: text}))
    plan = folder / plan_path(folder)
    before = _read(plan)
    plan_file.write(params.load(folder), folder, fresh=bool(written))
    return written if _read(plan) == before else [*written, plan]


def _refuse_clone(folder: Path, top: Path) -> None:
    if holds_code(folder) or holds_code(top):
        raise InitError(
            f"{top} is a clone of lt-pipeline, which is an experiment already; `init` is "
            "for a repository of your own"
        )


def _git_top(folder: Path) -> Path:
    """The top folder of the git repository that a folder lies in, or would lie in."""
    here = next(one for one in (folder, *folder.parents) if one.is_dir())
    try:
        done = _run(["git", "rev-parse", "--show-toplevel"], here)
        refused = done.stderr if done.returncode else ""
    except OSError as error:
        refused = str(error)
    if refused:
        raise InitError(
            f"{here} lies in no git repository ({' '.join(refused.split())}); run `git "
            "init` in your repository first"
        )
    return Path(done.stdout.rstrip("\n"))


def _dvc_root(folder: Path, top: Path) -> Path | None:
    """The nearest folder with ``.dvc``, from here up to the top of the git repository."""
    here = folder.resolve()
    found = (one for one in (here, *here.parents) if (one / DVC).is_dir())
    root = next(found, None)
    return root if root and root.is_relative_to(top.resolve()) else None


def _init_dvc(folder: Path, top: Path) -> None:
    below = [] if folder.resolve() == top.resolve() else ["--subdir"]
    commands = (["init", "--quiet", *below], ["config", "core.analytics", "false"])
    for command in commands:
        done = _run([sys.executable, "-P", "-m", "dvc", *command], folder)
        if done.returncode:
            raise InitError(f"`dvc {command[0]}` fails: {' '.join(done.stderr.split())}")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
