"""Find the user's cache folder, which all clones share."""

import os
import tempfile
from pathlib import Path

VARIABLE = "LT_CACHE"
"""names the folder, where it is set"""


def user_cache(name: str) -> Path | None:
    """A folder of the user's cache, made if it is not there.

    It lies in ``LT_CACHE``, else in ``lt-pipeline`` below XDG's cache folder, which is
    ``~/.cache`` by default. Other users can neither read nor write it.

    Returns:
        None where no such folder can be written, or where it belongs to another user, who
        could have put anything into it.
    """
    folder = _root() / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        owner = folder.stat().st_uid
    except OSError:
        return None
    return folder if owner == getattr(os, "getuid", lambda: owner)() else None


def _root() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - an unknown home is no error
    if not Path(base).is_absolute():
        base = tempfile.gettempdir()
    return Path(base) / "lt-pipeline"
