"""Find the root folder of the experiment, and the code that it runs.

The root is the nearest folder upward with a dvc.yaml. It is never derived from
``__file__``, because an installed command must work in the clone or worktree that it is
called from. A clone of this repository holds the code that it runs. In any other
repository the installed package runs, even if that repository has a folder ``pipeline/``
of its own.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.border.errors import UserError

CODE = Path("pipeline/plan/fingerprints.py")
"""a file that every clone of this repository has, and no other"""
SAFE_PATH = "PYTHONSAFEPATH"
"""the environment variable that is like the option ``-P`` for every Python started"""


class RootError(UserError):
    """The working directory is not inside an experiment."""


def here() -> Path:
    """The working directory.

    Raises:
        RootError: if it was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise RootError(
            "the working directory was deleted; change into the folder of your experiment"
        ) from None


def find() -> Path:
    """The nearest parent of the working directory that holds a dvc.yaml."""
    start = here()
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise RootError(
        f"no dvc.yaml in {start} or above it; change into your clone of lt-pipeline, or "
        "make an experiment here with `lt-pipeline init`"
    )


def holds_code(root: Path) -> bool:
    """Whether it is a clone of this repository, which runs its own code."""
    return (root / CODE).is_file()


def code_root(root: Path) -> Path:
    """The folder that holds the package ``pipeline`` which an experiment runs."""
    return root if holds_code(root) else Path(__file__).parents[2]


def safe_path(root: Path) -> list[str]:
    """Options of Python that run the package with ``-m`` from this working directory.

    A clone runs what lies in it. Elsewhere ``-P`` keeps the working directory out of the
    search for modules: a folder ``pipeline/`` of the user's would be found first.
    """
    return [] if holds_code(root) else ["-P"]


@contextmanager
def safe_path_of_workers(root: Path) -> Iterator[None]:
    """Let workers that are started inside find the package as with ``safe_path``.

    The option cannot be given to them: Python writes the command line of the server that
    forks processes, and Slurm that of a job. The variable is unset afterwards, since stages
    that users add to dvc.yaml may be scripts that import files beside them, which ``-P``
    forbids.
    """
    before = os.environ.get(SAFE_PATH)
    if before or not safe_path(root):
        yield
        return
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]


def make_importable(root: Path) -> None:
    """Let modules of the experiment's folder be found, before installed ones of the name.

    Where the user has a ``pipeline`` that is not this package they are found after
    installed ones: workers look for the package on the same path.
    """
    place = str(root.resolve())
    if place in sys.path:
        return
    hides = (root / "pipeline").exists() and not holds_code(root)
    sys.path.insert(len(sys.path) if hides else 0, place)


def enclosing(root: Path) -> Path:
    """The experiment around a temporary one of DVC; otherwise the root itself.

    ``dvc exp run --temp`` and queued experiments work in a clone below ``.dvc/tmp/exps``
    that DVC deletes. Data and the default store belong to the repository and must not be
    deleted with the clone. In a repository with several experiments, each in a folder of
    its own, that is the folder of the same experiment.
    """
    root = root.resolve()
    parts = root.parts
    for i in range(len(parts) - 3):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            clone = _clone(Path(*parts[: i + 3]), parts[i + 3 :])
            return _repository(Path(*parts[:i])) / root.relative_to(clone)
    return root


def _clone(exps: Path, below: Sequence[str]) -> Path:
    """The top of the temporary clone: ``tmpabc`` or ``standalone/tmpabc``."""
    return exps.joinpath(*below[: 2 if below[0] == "standalone" and below[1:] else 1])


def _repository(folder: Path) -> Path:
    """The top of the git repository that DVC has cloned; the folder itself without git."""
    for top in (folder, *folder.parents):
        if (top / ".git").exists():
            return top
    return folder
