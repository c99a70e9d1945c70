"""The hash that DVC has recorded for each artifact, from dvc.lock."""

from collections.abc import Iterator, Mapping
from pathlib import Path

LOCK = Path("dvc.lock")
SECTIONS = ("cmd:", "deps:", "outs:", "params:")


def recorded(root: Path) -> Mapping[str, str]:
    """Path of an output -> its hash; nothing where there is no readable dvc.lock.

    The file is read by its lines: parsing its YAML would take longer than tracking.
    """
    try:
        return dict(_outputs((root / LOCK).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return {}


def _outputs(text: str) -> Iterator[tuple[str, str]]:
    section = path = ""
    for line in text.splitlines():
        word, _, value = line.strip().removeprefix("- ").partition(" ")
        if word in SECTIONS:
            section = word
        elif section == "outs:" and word == "path:":
            path = value
        elif section == "outs:" and word == "md5:":
            yield path, value
