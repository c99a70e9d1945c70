"""Find the user's name and home folder; in a container the system may know neither."""

import getpass
import os
from pathlib import Path

from pipeline.border.errors import UserError

NAME = "USER"
"""the variable in which programs look for the user's name first of all"""


class AccountError(UserError):
    """There is no home folder; one line that says how to name one."""


def expanded(path: str) -> Path:
    """A path with the user's home folder for ``~``.

    Raises:
        AccountError: nobody knows that folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise AccountError(
            f"user {_number()} has no home folder: no password file knows the number, and "
            "HOME is not set; set it, such as `HOME=/tmp lt-pipeline run`"
        ) from None


def refuse_homeless() -> None:
    """Raise AccountError where there is no home folder: dvc would end in a traceback."""
    expanded("~")


def name() -> str:
    """The user's name; the number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return _number()


def name_it() -> None:
    """Give this process, and those that it starts, a user's name: dvc needs one."""
    os.environ.setdefault(NAME, name())


def _number() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
