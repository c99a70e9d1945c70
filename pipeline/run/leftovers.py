"""Find and delete artifacts and checkpoints that the plan no longer has."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.plan.items import Plan, items_of
from pipeline.plan.kinds import KINDS
from pipeline.run import checkpoints


def folders(plan: Plan, root: Path = Path()) -> list[Path]:
    """Results and checkpoints of instances that the plan no longer has.

    Every path below a tree that stages write into, and that neither is an output of the
    plan nor leads to one.
    """
    items = list(items_of(plan))
    held = {root / item[name] for item in items for name in item.kind.writes}
    leading = {parent for path in held for parent in path.parents}
    trees = {tree for kind in KINDS.values() if not kind.stays for tree in kind.writes}
    found = [
        path
        for tree in sorted(trees)
        for path in _unknown(root / paths.FOLDER / tree, held, leading)
    ]
    names = {item.checkpoint for item in items if item.kind.trains}
    kept = sorted((root / checkpoints.FOLDER).glob("*"))
    return found + [folder for folder in kept if folder.name not in names]


def _unknown(folder: Path, held: set[Path], leading: set[Path]) -> Iterator[Path]:
    for path in sorted(folder.glob("*")):
        if path in leading:
            yield from _unknown(path, held, leading)
        elif path not in held:
            yield path


def remove(plan: Plan, root: Path = Path()) -> int:
    """Delete what ``folders`` finds; DVC's cache restores it when it is back."""
    found = folders(plan, root)
    for path in found:
        files.remove(path)
    return len(found)
