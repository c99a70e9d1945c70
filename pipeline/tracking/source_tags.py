"""Tags that say who tracked a run, and from which commit."""

import subprocess
from pathlib import Path

from pipeline.border import account
from pipeline.tracking.formats import flag

COMMIT = "mlflow.source.git.commit"


def source_tags(root: Path) -> dict[str, str]:
    """The user, the program and the commit that is checked out; no commit without git."""
    tags = {
        "mlflow.user": account.name(),
        "mlflow.source.name": "lt-pipeline",
        "mlflow.source.type": "LOCAL",
    }
    commit = _git(root, "rev-parse", "HEAD")
    if commit.returncode == 0:
        tags[COMMIT] = commit.stdout.strip()
        changed = _git(root, "diff", "--quiet", "HEAD").returncode
        tags["mlflow.source.git.dirty"] = flag(changed != 0)
    return tags


def _git(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=False
    )
