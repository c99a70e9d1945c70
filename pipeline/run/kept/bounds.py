"""Bound the room that kept trainings take: the least recently used go."""

import os
from collections.abc import Callable

from pipeline.border.errors import UserError
from pipeline.run.kept.places import WRITE, Place, used

VARIABLE = "LT_TRAININGS_GB"
DEFAULT_GB = 10.0
LEFT = 0.9
"""share of the bound that stays, so that not every training deletes another one"""


class BoundError(UserError):
    """The bound is no number."""


def bound() -> float:
    """The most bytes that kept trainings may take.

    Raises:
        BoundError: if the variable holds something else.
    """
    text = os.environ.get(VARIABLE)
    try:
        gigabytes = float(text) if text else DEFAULT_GB
    except ValueError:
        gigabytes = -1.0
    if not gigabytes >= 0:
        raise BoundError(f"{VARIABLE} is {text!r}; give a number of gigabytes, 0 or more")
    return gigabytes * 1e9


def keep(named: str, say: Callable[[str], None]) -> None:
    """Delete the least recently used entries of a place if all take too much room."""
    most = bound()
    with used(named, WRITE, say) as place:
        if place is not None:
            make_room(place, most)


def make_room(place: Place, most: float) -> int:
    """Delete until there is room; returns how many went.

    Args:
        place: of the entries.
        most: bytes that they may take.
    """
    entries = sorted(place.listed(), key=lambda file: file.used)
    total = sum(file.num_bytes for file in entries)
    if total <= most:
        return 0
    num = 0
    for file in entries:
        if total <= LEFT * most:
            break
        place.delete(file.path)
        total -= file.num_bytes
        num += 1
    return num
