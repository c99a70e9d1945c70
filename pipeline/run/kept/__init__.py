"""Keep finished trainings under the name of what decides them, so that none is done twice.

They lie in ``.lt/trainings``, or in the folder or URL of ``LT_TRAININGS``, which several
clones and machines may share. A training is found there by the name of its checkpoint: a
digest of start, mask, settings, data, code and versions. Below it there is one entry per
*numerics class* (``numerics.py``), since other machines may compute other bits.

What is kept saves time and decides nothing. Whatever is wrong with an entry or with the
whole place costs a line, and the training is done.
"""

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

from pipeline.artifacts import files
from pipeline.run import checkpoints
from pipeline.run.kept import places
from pipeline.run.kept.places import READ, WRITE, Place, used

OTHERS = "LT_NUMERICS"
"""the variable that allows, with the value ``any``, what machines of other classes made"""
SUFFIX = ".zip"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """The facts by which a kept training is found."""

    name: str
    """digest of what decides it, but for the machine"""
    seed: int
    numerics: str
    """class of the machine"""

    @property
    def folder(self) -> str:
        """The folder of its entries, one per class.

        >>> Training(name="0123456789", seed=4, numerics="abc").folder
        '01/0123456789-s4'
        """
        return f"{self.name[:2]}/{self.name}-s{self.seed}"

    @property
    def path(self) -> str:
        """The entry of its class."""
        return f"{self.folder}/{self.numerics}{SUFFIX}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A place of kept trainings; picklable, since workers read and write there."""

    place: str
    """folder or URL"""
    others: bool
    """whether what machines of other classes made may be taken"""

    @property
    def is_url(self) -> bool:
        """Whether other machines find it by the same name, without a common folder."""
        return places.is_url(self.place)

    def fetch(self, folder: Path, training: Training, say: Say) -> bool:
        """Get a finished training, if it is there.

        Args:
            folder: of its checkpoint, which it is unpacked into.
            training: that is wanted.
            say: told, in a line, of what cannot be used.

        Returns:
            Whether the folder has it now.
        """
        there = False
        with used(self.place, READ, say) as place:
            path = self._found(place, training) if place else None
            content = place.read(path) if place and path else None
            if content is not None:
                there = _taken(
                    content, folder, training.seed, lambda why: say(f"{place}/{path} {why}")
                )
            if there and path != training.path:
                say(
                    f"seed {training.seed} was trained on a machine that computes other "
                    f"bits ({place}/{path}); {OTHERS} allows it"
                )
        return there

    def put(self, folder: Path, training: Training, say: Say) -> None:
        """Keep a finished training.

        Args:
            folder: of its checkpoint.
            training: that is finished there.
            say: told, in a line, why it cannot be kept.
        """
        with used(self.place, WRITE, say) as place:
            if place is not None:
                place.write(training.path, _packed(folder, training.seed))

    def _found(self, place: Place, training: Training) -> str | None:
        """The entry of this class; or another one, if it is not there and allowed."""
        if not self.others:
            return training.path
        there = sorted(file.path for file in place.listed(training.folder))
        return training.path if training.path in there else next(iter(there), None)


def asked() -> Kept:
    """The user's choices by environment variables."""
    return Kept(place=places.asked(), others=os.environ.get(OTHERS) == "any")


DAMAGED = (
    checkpoints.LostCheckpoint,
    zipfile.BadZipFile,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    EOFError,
)
"""what reading an entry raises that is not what was written"""


def _packed(folder: Path, seed: int) -> bytes:
    """The files of a finished seed as one; equal content gives equal bytes."""
    marker = f"s{seed}.json"
    names = [*sorted(files.load_json(folder / marker)["files"]), marker]
    content = io.BytesIO()
    with ZipFile(content, "w") as entry:
        for name in names:
            entry.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    return content.getvalue()


def facts_in(entry: IO[bytes]) -> dict[str, Any]:
    """The notes on the training in an entry."""
    with ZipFile(entry) as opened:
        name = next(name for name in opened.namelist() if name.endswith(".json"))
        facts: dict[str, Any] = json.loads(opened.read(name))["facts"]
        return facts


def _taken(content: bytes, folder: Path, seed: int, say: Say) -> bool:
    try:
        _unpack(content, folder, seed)
    except DAMAGED:
        say(f"is damaged; seed {seed} is trained again")
        return False
    return True


def _unpack(content: bytes, folder: Path, seed: int) -> None:
    """Write the files of a finished seed, the one that says so last, and check them."""
    marker = f"s{seed}.json"
    with ZipFile(io.BytesIO(content)) as entry:
        names = [name for name in entry.namelist() if name != marker]
        for name in (*names, marker):
            if not name.startswith(f"s{seed}.") or Path(name).name != name:
                raise ValueError(f"a file of another name: {name}")
            checkpoints.free(folder / name).write_bytes(entry.read(name))
    checkpoints.finished(folder, seed)
