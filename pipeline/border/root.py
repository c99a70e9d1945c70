"""Find the root folder of the experiment: the nearest one upward with a dvc.yaml.

The root is never derived from ``__file__``, because an installed command must work in
the clone or worktree that it is called from.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.border.errors import UserError


class RootError(UserError):
    """The working directory is not inside an experiment."""


def find() -> Path:
    """The nearest parent of the working directory that holds a dvc.yaml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise RootError(
        f"no dvc.yaml in {here} or above it; change into your clone of lt-pipeline"
    )


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
