"""Names of variants and analyses, with settings where a name alone is ambiguous."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.tracking.kinds import CHILDREN, KINDS

if TYPE_CHECKING:
    from mlflow.entities import Run

IDENTITY = frozenset({"task", "seed", "round", "variant", *KINDS, *CHILDREN.values()})
"""parameters that say what a run is of; all others are settings"""
MOST_SETTINGS = 3
"""how many settings a name may list"""


def distinct_names(parents: Sequence["Run"], tag: str) -> dict[str, str]:
    """Run id -> the name in the tag, and the settings that tell runs of one name apart.

    Args:
        parents: runs of one kind.
        tag: the one with the name: ``variant``, ``analysis``, ``approximation``.
    """
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in parents:
        groups[run.data.tags["task"], run.data.tags[tag]].append(run)
    return {
        run.info.run_id: name + _what_differs(run, runs)
        for (_, name), runs in groups.items()
        for run in runs
    }


def _what_differs(run: "Run", runs: Sequence["Run"]) -> str:
    """The settings in which a run differs from others of its name, or their digest."""
    digests = {_digest(other) for other in runs}
    if len(digests) == 1:
        return ""
    notes = {_digest(other): _note(other, runs) for other in runs}
    if len(set(notes.values())) < len(digests):
        return f" ({_digest(run)})"
    return f" ({notes[_digest(run)]})"


def _note(run: "Run", runs: Sequence["Run"]) -> str:
    mine = run.data.params
    names = sorted({n for other in runs for n in other.data.params if n not in IDENTITY})
    differ = [n for n in names if any(o.data.params.get(n) != mine.get(n) for o in runs)]
    shown = differ[:MOST_SETTINGS]
    return ", ".join(f"{n.removeprefix('train.')} {mine.get(n, 'none')}" for n in shown)


def _digest(run: "Run") -> str:
    return str(run.data.tags["key"].rpartition("@")[2])


def settings_of(run: "Run") -> dict[str, str]:
    """The settings behind a run."""
    return {n: value for n, value in run.data.params.items() if n not in IDENTITY}
