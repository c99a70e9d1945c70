"""Text as sequences of characters: a network is asked for the next one at every position.

Texts come as files, or as sentences of a generated language (``sentences.py``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.own import sentences


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """The characters of a text, cut into sequences."""

    length: int
    """characters that a network reads at once, 2 or more; behind each it is asked for the
    next one, and it begins every sequence without knowing what was before"""
    file: str | None = None
    """a text in UTF-8; null = sentences of a small generated language, in which verbs agree
    with their nouns"""
    characters: int | None = None
    """size of the generated text; null for a file"""

    def __post_init__(self) -> None:
        """Refuse values that do not go together."""
        if self.length < 2:
            raise ValueError(f"length is {self.length}; give 2 or more characters")
        if (self.file is None) == (self.characters is None):
            raise ValueError(
                f"file is {self.file} and characters is {self.characters}; give a file, or "
                "the number of characters to generate"
            )
        if self.characters is not None and not 1_000 <= self.characters <= 100_000_000:
            raise ValueError(
                f"characters is {self.characters}; give a thousand to a hundred million"
            )


def arrays(asked: Text, root: Path, shares: tuple[float, float]) -> dict[str, NDArray[Any]]:
    """The text, cut and divided: arrays as ``arrays.dataset`` takes them.

    The last characters test, those before validate, the others train, so that no part sees
    into another. Sequences follow each other without a gap; the labels are the characters
    one further. Tokens number the different characters in the order of their codes.

    Args:
        asked: which text, and how long its sequences are.
        root: of the repository; relative paths begin there.
        shares: of the characters that validate, and that test.

    Raises:
        ValueError: if the file is no text, or a part has no whole sequence.
    """
    text = _read(root / asked.file) if asked.file else sentences.text(asked.characters or 0)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    alphabet, tokens = np.unique(codes, return_inverse=True)
    validation, test = (round(share * len(tokens)) for share in shares)
    first = len(tokens) - validation - test
    found: dict[str, NDArray[Any]] = {"vocabulary": np.array(len(alphabet))}
    parts = np.split(tokens.astype(np.int64), [max(first, 0), max(first, 0) + validation])
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        number = (len(part) - 1) // asked.length
        if number < 1:
            raise ValueError(
                f"the {name} part has {len(part)} of the {len(tokens)} characters, and a "
                f"sequence takes {asked.length + 1}; give a longer text"
            )
        for word, begin in (("inputs", 0), ("labels", 1)):
            cut = part[begin : begin + number * asked.length]
            found[f"{name}_{word}"] = cut.reshape(number, asked.length)
    return found


def _read(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: if it is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, IsADirectoryError):
        raise ValueError("it is no text in UTF-8; save it as such") from None
