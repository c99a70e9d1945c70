"""Find the root folder of the experiment: the nearest one upward with a dvc.yaml.

The root is never derived from ``__file__``, because an installed command must work in
the clone or worktree that it is called from.
"""

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
    """The repository around a temporary DVC experiment; otherwise the root itself.

    ``dvc exp run --temp`` works in a copy below ``.dvc/tmp/exps`` and deletes it. Data
    and the default store belong to the repository and must not be deleted with the copy.
    """
    parts = root.resolve().parts
    for i in range(len(parts) - 2):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:i])
    return root
