"""Tags that say who tracked a run, and from which commit."""

import getpass
import os
import subprocess
from pathlib import Path

from pipeline.tracking.formats import flag

COMMIT = "mlflow.source.git.commit"


def source_tags(root: Path) -> dict[str, str]:
    """The user, the program and the commit that is checked out; no commit without git."""
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": "lt-pipeline",
        "mlflow.source.type": "LOCAL",
    }
    commit = _git(root, "rev-parse", "HEAD")
    if commit.returncode == 0:
        tags[COMMIT] = commit.stdout.strip()
        changed = _git(root, "diff", "--quiet", "HEAD").returncode
        tags["mlflow.source.git.dirty"] = flag(changed != 0)
    return tags


def _user() -> str:
    """The user's name; the number where the system knows no name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _git(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=False
    )
