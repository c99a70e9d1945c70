"""List kept trainings by the machines that did them, and clear them."""

from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pipeline.border.errors import UserError
from pipeline.run import kept
from pipeline.run.kept import bounds, numerics, places
from pipeline.run.kept.places import File, Place

UNKNOWN = "a machine that its entry does not name"


class PlaceError(UserError):
    """The place of kept trainings cannot be used; one line that says why."""


def listed() -> str:
    """One line of all, and one per kind of processor.

    Raises:
        PlaceError: if the place cannot be read.
    """
    place, entries = _all()
    most = bounds.bound() / 1e9
    lines = [f"{place}: {_counted(entries)} of at most {most:g} GB"]
    by_class: dict[str, list[File]] = defaultdict(list)
    for file in entries:
        by_class[PurePosixPath(file.path).stem].append(file)
    by_processor: dict[str, list[File]] = defaultdict(list)
    here: set[str] = set()
    own = numerics.here()
    for name, files in by_class.items():
        processor = _processor(place, files[0])
        by_processor[processor] += files
        if name in own:
            here.add(processor)
    for processor, files in sorted(by_processor.items()):
        used = datetime.fromtimestamp(max(file.used for file in files))
        said = "taken here" if processor in here else "other bits than here: not taken"
        lines.append(
            f"  {processor}: {_counted(files)}, last used {used:%Y-%m-%d %H:%M}; {said}"
        )
    return "\n".join(lines)


def clear() -> str:
    """Delete all of them; says how many.

    Raises:
        PlaceError: if the place cannot be read or written.
    """
    place, entries = _all()
    try:
        for file in entries:
            place.delete(file.path)
    except Exception as error:
        raise PlaceError(places.refused(str(place), error, places.WRITE)) from None
    return f"{place}: {_counted(entries)} deleted"


def _all() -> tuple[Place, list[File]]:
    named = places.asked()
    try:
        place = places.find(named)
        return place, place.listed()
    except Exception as error:  # those of file systems are of any kind
        raise PlaceError(places.refused(named, error, places.READ)) from None


def _counted(entries: list[File]) -> str:
    size = sum(file.num_bytes for file in entries) / 1e6
    return f"{len(entries)} training{'' if len(entries) == 1 else 's'}, {size:,.0f} MB"


def _processor(place: Place, file: File) -> str:
    """The processor that did one of a class; they are all of the kind."""
    with suppress(*kept.DAMAGED, OSError), place.open(file.path) as opened:
        machine: dict[str, Any] = kept.facts_in(opened)["machine"]
        return str(machine["cpu"])
    return UNKNOWN
