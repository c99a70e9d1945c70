"""Change the settings of the workspace for an experiment, and give them back afterwards.

DVC takes the settings of an experiment from the workspace. What stood there waits in
``.lt/lent`` meanwhile, so that the next command gives it back where this one was killed.
Settings that somebody has edited since are theirs: they stay.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.border.locks import lock
from pipeline.config import params
from pipeline.plan.items import plan_path

FOLDER = Path(".lt/lent")
"""where what stood in the workspace waits; git and DVC ignore it"""
LOCK = Path(".lt/locks/lent.lock")
WRITTEN = "written.yaml"
"""the changed settings; there is none before anything is changed"""
EARLIER = Path(".lt/params.before.yaml")
"""the settings from before, where those of now are somebody's edit"""


class LentError(UserError):
    """The settings of the workspace are those of an experiment that begins just now."""


@dataclass(kw_only=True, slots=True)
class Lent:
    """A workspace that has other settings for a while."""

    root: Path
    held: ExitStack
    """the lock, which nobody else has"""
    is_back: bool = False

    def change(self, edit: Callable[[Path], None]) -> None:
        """Change the settings.

        Args:
            edit: of the file that it is given.
        """
        # A new name at the end: what ``WRITTEN`` is called can be relied on.
        draft = self.root / FOLDER / f"draft{params.FILE.suffix}"
        if (self.root / params.FILE).exists():
            shutil.copy2(self.root / params.FILE, draft)
        edit(draft)
        if draft.exists():
            written = draft.replace(draft.with_name(WRITTEN))
            _copy(written, self.root / params.FILE)

    def keep(self) -> None:
        """Let the workspace keep the settings that it has now."""
        files.remove(self.root / FOLDER)

    def give_back(self) -> str:
        """Give params.yaml and the plan back, once, and let others lend it.

        Returns:
            What to say of it; mostly nothing.
        """
        if self.is_back:
            return ""
        self.is_back = True
        with self.held:
            return _give_back(self.root)


@contextmanager
def lent(root: Path) -> Iterator[Lent]:
    """Lend the workspace, which others then cannot; who lends it gives it back.

    Args:
        root: of the repository, which is settled.

    Raises:
        LentError: if another process has lent it.
    """
    with ExitStack() as held:
        held.enter_context(_locked(root))
        for path in _paths(root):
            if path.exists():
                _copy(path, root / FOLDER / path.name)
        yield Lent(root=root, held=held)


def settle(root: Path) -> str:
    """Give back what a killed process had lent; returns what was done.

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
            f"repaired: {params.FILE} is as it was before `lt-pipeline exp run`, which was "
            "killed before it gave it back"
        )
    return said


def _give_back(root: Path) -> str:
    """Give params.yaml and the plan back, which goes with it; what to say of it.

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
                f"as it is, with what -S had set; as it was before, it is {EARLIER}"
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
    (root / LOCK).parent.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("a+") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            opened.seek(0)
            raise LentError(
                f"{params.FILE} has the settings of an experiment that begins just now "
                f"(process {opened.read().strip() or '?'}); wait until it trains"
            ) from None
        opened.truncate(0)
        opened.write(str(os.getpid()))
        opened.flush()
        yield
