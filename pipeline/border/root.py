"""Where the experiment is: the nearest folder upward with a dvc.yaml.

Never ``__file__``: an installed command must work in whatever clone or worktree it is
called from.
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
    """The repository that a temporary DVC experiment belongs to; else the root itself.

    ``dvc exp run --temp`` works in a copy below ``.dvc/tmp/exps`` that it deletes: what
    is relative to the repository (data, the default store) must not vanish with it.
    """
    parts = root.resolve().parts
    for i in range(len(parts) - 2):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:i])
    return root
