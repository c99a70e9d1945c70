"""Say which results are current, before anything runs: the one place that decides it.

A result is current if ``dvc repro`` would leave it as it is: DVC's record of its stage,
and the records of all stages before it, name the inputs files as settings and code make
them now, and what was read is what the stages before have written. The inputs files are
computed in memory, so that the answer does not depend on when they were last written: an
edit is seen at once, and a fresh clone is current after ``dvc pull``.

Results are recognized on disk too: after a ``git checkout`` without ``dvc checkout`` the
records are right and the files are others. Only small files are hashed for it; weights
were written together with them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.border.errors import UserError
from pipeline.config import params
from pipeline.plan import fingerprints, records
from pipeline.plan.compiler import inputs_of, upstream
from pipeline.plan.items import Item, Plan, items_of
from pipeline.plan.kinds import INPUTS
from pipeline.plan.records import Record

NAMED = 3
"""how many reasons are named in one line"""


class StaleError(UserError):
    """A command was asked to hand on results that are not current."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How the results on disk stand to the settings and the code as they are now."""

    stale: frozenset[str]
    """stages, ``retrain@…``, whose result is there and is not current"""
    missing: frozenset[str]
    """stages whose result is not there; DVC's cache may have it"""
    reasons: tuple[str, ...]
    """settings and files behind it, such as ``tasks.main.train.lr``, sorted"""
    recorded: Mapping[str, str]
    """path -> md5 of everything that stages have written"""
    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    """path -> text of the inputs files, as they would be written now"""

    def state(self, stage: str) -> str:
        """Of one stage of the plan: done, stale, or missing."""
        if stage in self.missing:
            return "missing"
        return "stale" if stage in self.stale else "done"

    def note(self) -> str:
        """One line before anything that shows results; empty where all are current."""
        if not self.stale:
            return ""
        return (
            f"note: {len(self.stale)} stages have results that are stale ({self.why()}); "
            "`lt-pipeline run` makes them again"
        )

    def why(self) -> str:
        """The reasons in one phrase."""
        if not self.reasons:
            return "settings, code or files differ from what they were made with"
        more = len(self.reasons) - NAMED
        also = f" and {more} more" if more > 0 else ""
        return f"{', '.join(self.reasons[:NAMED])}{also} changed"

    def refuse(self, asked: Iterable[Item], what: str) -> None:
        """Refuse to hand on what these instances wrote if one of them is stale.

        Args:
            asked: instances.
            what: is handed on, for the message.

        Raises:
            StaleError: with the reasons and what to do.
        """
        found = sorted({item.stage for item in asked} & self.stale)
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise StaleError(
                f"{what} is stale: {self.why()} ({found[0]}{more}); `lt-pipeline run` "
                "makes it again, --stale takes it as it is"
            )

    def differs(self, folder: Path, root: Path = Path()) -> bool:
        """Whether a folder is another one than DVC has recorded. Reads all of it."""
        return records.md5_of(root / folder) != self.recorded.get(str(folder))


def standing(plan: Plan, root: Path = Path()) -> Standing:
    """Compare every result of a plan with the settings and the code.

    Args:
        plan: compiled from the settings as they are.
        root: of the repository; its params.yaml has been accepted by ``params.load``.

    Raises:
        LockError: if dvc.lock cannot be read.
    """
    settings = params.resolved(root)
    texts = {
        str(path): fingerprints.text(path, decided, settings, root)
        for path, decided in inputs_of(plan).items()
    }
    known = records.read(root)
    written = {path: md5 for one in known.values() for path, md5 in one.outs.items()}
    looks = _Looks(root=root, texts=texts, records=known, written=written)
    items = list(items_of(plan))
    changed = {item.stage: why for item in items if (why := looks.changed(item))}
    behind = upstream(plan)
    there = {item.stage for item in items if item.is_shown(root)}
    stale = {
        item.stage
        for item in items
        if not behind[item[item.kind.shown]].isdisjoint(changed) and item.stage in there
    }
    return Standing(
        stale=frozenset(stale),
        missing=frozenset({item.stage for item in items} - there),
        reasons=tuple(sorted({one for why in changed.values() for one in why if one})),
        recorded=written,
        inputs=texts,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looks:
    """The texts and records that an instance is compared with."""

    root: Path
    texts: Mapping[str, str]
    """of the inputs files, as they would be written now"""
    records: Mapping[str, Record]
    written: Mapping[str, str]
    """path -> md5 of everything that a stage has written"""

    def changed(self, item: Item) -> set[str]:
        """Why DVC would run an instance again, whatever is before it; empty = it would not.

        An empty text among the reasons is one that nobody needs to read.
        """
        record = self.records.get(item.stage)
        if record is None:
            unknown = item.is_shown(self.root)
            return {f"{records.FILE} (no record of {item.stage})"} if unknown else set()
        read = {item[name] for name in item.kind.reads}
        raw = {item[name] for name in item.kind.raw}
        if record.cmd != item.command(self.root) or set(record.deps) != read | raw | {
            item[INPUTS]
        }:
            return {"the plan"}
        if record.deps[item[INPUTS]] != records.md5_of_text(self.texts[item[INPUTS]]):
            return self._differences(item[INPUTS], record) or {""}
        if any(record.deps[path] != self.written.get(path) for path in read):
            return {""}
        touched = {p for p in raw if record.deps[p] != records.md5_of(self.root / p)}
        if touched:
            return touched
        return self._touched(item, record)

    def _touched(self, item: Item, record: Record) -> set[str]:
        shown = item[item.kind.shown]
        if not item.kind.light or not item.is_shown(self.root):
            return set()
        same = records.md5_of(self.root / shown) == record.outs.get(shown)
        return set() if same else {shown}

    def _differences(self, inputs: str, record: Record) -> set[str]:
        """The settings and files that differ, if the old inputs file is still there."""
        if records.md5_of(self.root / inputs) != record.deps[inputs]:
            return set()
        before = _lines((self.root / inputs).read_text(encoding="utf-8"))
        now = _lines(self.texts[inputs])
        names = before.keys() | now.keys()
        return {name for name in names if before.get(name) != now.get(name)}


def _lines(text: str) -> dict[str, str]:
    """An inputs file by what its lines are about: keys of settings, and files of code."""
    return {name: value for line in text.splitlines() for name, value in _parts(line)}


def _parts(line: str) -> Iterator[tuple[str, str]]:
    if not line.startswith("# "):
        value, _, name = line.partition("  ")
        yield name, value
        return
    name, _, value = line.removeprefix("# ").partition(": ")
    try:
        parsed = json.loads(value)
    except ValueError:  # a record, or the hash of a registry's file
        yield name.partition(",")[0], value
        return
    yield from _flat(name, parsed)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, json.dumps(value)
