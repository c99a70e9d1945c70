"""Repair the files that a killed DVC leaves behind: the lock on files, and dvc.lock.

DVC writes neither of them at once, so that a kill may leave one empty or cut, and every
later ``dvc repro`` refuses until somebody deletes it. Nothing is guessed here: a record
comes back only from what is left of dvc.lock, from DVC's run cache, or from git, and of
several the one whose files lie on the disk counts. So nothing is trained again, and
nothing that is stale becomes current.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.plan import records
from pipeline.plan.items import Item, Plan, items_of

RWLOCK = Path(".dvc/tmp/rwlock")
MD5_LENGTH = 32
QUEUE = frozenset({"queue", "queue-worker", "exec-run"})
"""the words of DVC's queue, whose experiments work in copies of the workspace"""
Entries = dict[str, Any]
_MARKS: dict[str, tuple[str, ...]] = {
    "<<<<<<<": ("ours",),
    "|||||||": (),
    "=======": ("theirs",),
    ">>>>>>>": ("ours", "theirs"),
}
"""git's marks where it could not merge -> the sides that the next lines belong to"""


class RunningError(UserError):
    """Another run works here."""


def going_on(root: Path, *, beside_queue: bool = False) -> str:
    """The run of DVC that works in this experiment now, in one phrase; else empty.

    Args:
        root: of the repository.
        beside_queue: whether to pass over DVC's queue, which works in copies.
    """
    top = _dvc_root(root)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError, ValueError, IndexError):
            command = process.cmdline()
            if process.pid == os.getpid() or not _runs_stages(command):
                continue
            if beside_queue and QUEUE.intersection(command[:6]):
                continue
            if _dvc_root(Path(process.cwd())) != top:
                continue
            if _walks(command):
                return (
                    f"a run is going on: lt-pipeline run (process {process.pid}), training"
                )
            stages = [_stage(child.cmdline()) for child in process.children(recursive=True)]
            now = next(filter(None, stages), "between two stages")
            return f"a run is going on: dvc (process {process.pid}), {now}"
    return ""


def refuse_second_run(root: Path, *, beside_queue: bool = False) -> None:
    """Raise RunningError if ``going_on`` finds a run."""
    if found := going_on(root, beside_queue=beside_queue):
        raise RunningError(f"{found}; wait for its end, or stop it with Ctrl-C there")


def unlock(root: Path) -> str:
    """Delete DVC's lock on files if it is damaged; returns what was done.

    Call it only while no run is going on.
    """
    path = _dvc_root(root) / RWLOCK
    try:
        if isinstance(json.loads(path.read_bytes()), dict):
            return ""
    except FileNotFoundError:
        return ""
    except ValueError:
        pass
    path.unlink(missing_ok=True)
    return f"repaired: {RWLOCK}, which a killed dvc had left damaged, is deleted"


def restore_records(plan: Plan, root: Path) -> str:
    """Write dvc.lock again if it is damaged, lost, or cut; returns what was done.

    Args:
        plan: whose records are wanted.
        root: of the repository. Call it only while no run is going on.
    """
    lock = root / records.FILE
    left = lock.read_bytes() if lock.is_file() else b""
    try:
        known, damaged = records.entries(left), False
    except records.DAMAGE:
        known, damaged = {}, bool(left)
    there = [item for item in items_of(plan) if item.is_shown(root)]
    lacking = [item for item in there if not _is_whole(known.get(item.stage), item)]
    if not lacking and not damaged:
        return ""
    found = _gathered(left, list(items_of(plan)) if damaged else lacking, root)
    if not damaged and not any(item.stage in found for item in lacking):
        return ""
    found = {name: entry for name, entry in found.items() if name not in known} | {
        name: found.get(name, entry) for name, entry in known.items()
    }
    with files.atomic(lock) as temporary, temporary.open("w", encoding="utf-8") as opened:
        YAML().dump({"schema": "2.0", "stages": found}, opened)
    num = sum(item.stage in found for item in there)
    how = "damaged" if damaged else "cut, empty or lost"
    return (
        f"repaired: {records.FILE} was {how}; {num} of {len(there)} results have their "
        "record again, and are not made again"
    )


def _gathered(left: bytes, items: list[Item], root: Path) -> Entries:
    """The records of these instances, from wherever there is one.

    Of several the one whose files lie on the disk; records of other stages as they are.
    """
    sources = (*_sides(left), _in_run_cache(root), *_sides(_in_git(root)))
    found: Entries = {}
    for item in items:
        entries = [source.get(item.stage) for source in sources]
        whole = [entry for entry in entries if _is_whole(entry, item)]
        of_disk = [entry for entry in whole if _on_disk(entry, root)]
        if whole:
            found[item.stage] = (of_disk or whole)[0]
    cut = {item.stage for item in items}
    others = {name: one for name, one in sources[0].items() if name not in cut}
    return found | others


def _sides(content: bytes) -> Iterator[Entries]:
    """The whole records that are left in a dvc.lock; two lots if it is half merged."""
    text = content.decode("utf-8", errors="replace")
    sides: dict[str, list[str]] = {"ours": [], "theirs": []}
    now = tuple(sides)
    for line in text.splitlines(keepends=True):
        if (marked := _MARKS.get(line[:7])) is not None:
            now = marked
        else:
            for side in now:
                sides[side].append(line)
    yield _whole_records("".join(sides["ours"]))
    if sides["ours"] != sides["theirs"]:
        yield _whole_records("".join(sides["theirs"]))


def _whole_records(text: str) -> Entries:
    """Records one by one, so that one that is cut costs no other."""
    blocks: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("  ") and line[2:3].strip() and line[2] not in "-#":
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    found: Entries = {}
    for block in blocks:
        with suppress(YAMLError, *records.DAMAGE):
            value = YAML(typ="safe").load("".join(block))
            for name, entry in value.items():
                if records.record_of(entry).outs:
                    found[str(name)] = entry
    return found


def _in_run_cache(root: Path) -> Entries:
    """The last run of every stage that DVC's cache remembers.

    By the command: an instance's command is its own.
    """
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        return {}
    runs = Path(done.stdout.strip().splitlines()[-1]) / "runs"
    found: Entries = {}
    for file in sorted(runs.glob("*/*/*"), key=lambda one: one.stat().st_mtime):
        with suppress(YAMLError, OSError, *records.DAMAGE):
            entry = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
            words = records.record_of(entry).cmd.split()
            module = words.index("-m") + 1
            kind = words[module].rpartition(".")[2]
            name = "@".join((kind, *words[module + 1 :]))
            kept = found.get(name)
            if kept is None or not _on_disk(kept, root) or _on_disk(entry, root):
                found[name] = entry
    return found


def _in_git(root: Path) -> bytes:
    command = ["git", "show", f"HEAD:./{records.FILE}"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    return b"" if done.returncode else done.stdout


def _is_whole(entry: Any, item: Item) -> bool:  # noqa: ANN401 - YAML
    """Whether there is a record, and nothing was cut from its end."""
    if entry is None:
        return False
    outs = records.record_of(entry).outs
    written = {item[name] for name in item.kind.writes}
    return set(outs) == written and all(len(md5) >= MD5_LENGTH for md5 in outs.values())


def _on_disk(entry: Any, root: Path) -> bool:  # noqa: ANN401 - YAML
    outs = records.record_of(entry).outs
    return all(records.md5_of(root / path) == md5 for path, md5 in outs.items())


def _dvc_root(folder: Path) -> Path:
    """The nearest folder upward with DVC's own; the folder itself without one."""
    here = folder.resolve()
    return next((one for one in (here, *here.parents) if (one / ".dvc").is_dir()), here)


def _runs_stages(command: list[str]) -> bool:
    words = [Path(word).name for word in command[:4]]
    runs = {"repro", "exp", "queue"}.intersection(command[:6])
    by_dvc = bool(runs) and any(one in ("dvc", "pipeline.launch.dvc") for one in words)
    return by_dvc or _walks(command)


def _walks(command: list[str]) -> bool:
    """Whether it is ``lt-pipeline run``, which trains before it becomes dvc."""
    words = [Path(word).name for word in command[:6]]
    ours = ("lt-pipeline", "pipeline", "pipeline.cli")
    return words[0].startswith("python") and any(
        one in ours and then == "run" for one, then in pairwise(words)
    )


def _stage(command: list[str]) -> str:
    """``stage retrain@…`` if this command is one."""
    if "-m" in command and (module := command[command.index("-m") + 1]).startswith(
        "pipeline.stages."
    ):
        key = command[command.index("-m") + 2 :]
        return "@".join((f"stage {module.rpartition('.')[2]}", *key[:1]))
    return ""
