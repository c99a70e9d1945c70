"""params.yaml files of known experiments; the first line of each says what it is."""

import subprocess
from importlib import resources
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.config import params
from pipeline.plan import compiler, plan_file


class PresetError(UserError):
    """A preset cannot be used; one line that says why and what to do."""


def names() -> list[str]:
    """Every preset, sorted."""
    entries = (entry.name for entry in resources.files(__package__).iterdir())
    return sorted(n.removesuffix(".yaml") for n in entries if n.endswith(".yaml"))


def text_of(name: str) -> str:
    """The params.yaml of a preset.

    Raises:
        PresetError: if there is no such preset.
    """
    if name not in names():
        raise PresetError(f"unknown preset {name!r}; the presets are {', '.join(names())}")
    return (resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")


def description(name: str) -> str:
    """The first line of a preset."""
    return text_of(name).splitlines()[0].removeprefix("# ")


def use(name: str, root: Path, *, force: bool) -> compiler.Plan:
    """Write params.yaml and the plan of a preset.

    Args:
        name: of the preset.
        root: of the repository.
        force: also over edits that git does not have.

    Raises:
        PresetError: if there is no such preset, or edits would be lost.
    """
    text = text_of(name)
    path = root / params.FILE
    if not force and path.exists() and path.read_bytes() != text.encode():
        _refuse_uncommitted(root)
    settings = params.parse(params.parse_yaml(text))
    plan_file.read(root)  # refuses a damaged one before anything is written
    with files.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return plan_file.write(settings, root, fresh=True)


def _refuse_uncommitted(root: Path) -> None:
    command = [
        "git",
        "--no-optional-locks",
        "status",
        "--porcelain",
        "--",
        str(params.FILE),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.strip():
        raise PresetError(
            f"{params.FILE} has edits that are not committed; commit them, or "
            "overwrite them with --force"
        )
