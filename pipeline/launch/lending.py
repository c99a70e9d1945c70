"""Change the settings of the workspace for an experiment, and give them back afterwards.

DVC takes the settings of an experiment from the workspace. The earlier settings wait in
``.lt/lent`` meanwhile: if this command is killed, the next one gives them back. Settings
that somebody edits meanwhile stay as they are.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.artifacts import files
from pipeline.artifacts.paths import lock_file
from pipeline.border import locks
from pipeline.border.errors import UserError
from pipeline.config import params
from pipeline.plan.items import plan_path

FOLDER = Path(".lt/lent")
"""holds the earlier settings and plan of the workspace; git and DVC ignore it"""
LOCK = lock_file("lent")
WRITTEN = "written.yaml"
"""a copy of the changed settings; there is none before the settings are changed"""
EARLIER = Path(".lt/params.before.yaml")
"""the earlier settings, if somebody has edited the changed ones"""


class LentError(UserError):
    """The settings of the workspace are those of an experiment that begins just now."""


@dataclass(kw_only=True, slots=True)
class Lent:
    """A workspace that has the settings of an experiment for a while."""

    root: Path
    held: ExitStack
    """the lock, which nobody else has"""
    is_back: bool = False

    def change(self, edit: Callable[[Path], None]) -> None:
        """Change the settings.

        Args:
            edit: changes the file at the path that it is given.
        """
        # Renamed once it is complete: ``WRITTEN`` is never half a file.
        draft = self.root / FOLDER / f"draft{params.FILE.suffix}"
        if (self.root / params.FILE).exists():
            shutil.copy2(self.root / params.FILE, draft)
        edit(draft)
        if draft.exists():
            written = draft.replace(draft.with_name(WRITTEN))
            _copy(written, self.root / params.FILE)

    def keep(self) -> None:
        """Let the workspace keep the settings that it has now; nothing is lent any more."""
        self.is_back = True
        with self.held:
            files.remove(self.root / FOLDER)

    def give_back(self) -> str:
        """Give params.yaml and the plan back, once, and let others lend it.

        Returns:
            What to say of it; mostly empty.
        """
        if self.is_back:
            return ""
        self.is_back = True
        with self.held:
            return _give_back(self.root)


@contextmanager
def lent(root: Path) -> Iterator[Lent]:
    """Lend the workspace: nobody else can meanwhile, and the caller gives it back.

    Args:
        root: of the repository; ``repair`` was called for it.

    Raises:
        LentError: if another process has lent it.
    """
    with ExitStack() as held:
        held.enter_context(_locked(root))
        for path in _paths(root):
            if path.exists():
                _copy(path, root / FOLDER / path.name)
        yield Lent(root=root, held=held)


def repair(root: Path) -> str:
    """Give back what a killed process had lent.

    Returns:
        What to say of it; empty if there was nothing to give back.

    Raises:
        LentError: if another process has the workspace lent now.
    """
    if not (root / LOCK).exists():
        return ""
    with _locked(root):
        was_changed = (root / FOLDER / WRITTEN).exists()
        said = _give_back(root)
    if was_changed and not said:
        said = (
            f"repaired: {params.FILE} is as it was before an `lt-pipeline exp run` that "
            "was killed"
        )
    return said


def _give_back(root: Path) -> str:
    """Give params.yaml and its plan back; returns what to say of it.

    Copies are moved, so that this needs no space.
    """
    folder, now = root / FOLDER, root / params.FILE
    said = ""
    if (folder / WRITTEN).exists():
        earlier = folder / params.FILE.name
        if _content(now) in (_content(folder / WRITTEN), _content(earlier)):
            for path in _paths(root):
                _move(folder / path.name, path)
        else:
            _move(earlier, root / EARLIER)
            said = (
                f"{params.FILE} was edited while an experiment had changed it, and stays "
                f"as it is, with what -S had set; {EARLIER} is the earlier one"
            )
    files.remove(folder)
    return said


def _paths(root: Path) -> tuple[Path, Path]:
    return root / params.FILE, root / plan_path(root)


def _move(copy: Path, path: Path) -> None:
    if copy.exists():
        copy.replace(path)
    else:
        path.unlink(missing_ok=True)


def _copy(path: Path, to: Path) -> None:
    with files.atomic(to) as temporary:
        shutil.copy2(path, temporary)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock on the settings of the workspace.

    Raises:
        LentError: another process holds it.
    """

    def refuse(process: str) -> NoReturn:
        raise LentError(
            f"{params.FILE} has the settings of an experiment that begins just now "
            f"(process {process}); wait until it trains"
        ) from None

    with locks.held(root / LOCK, refuse):
        yield
