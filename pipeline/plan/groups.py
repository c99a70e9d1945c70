"""Find the groups of seeds that have been run, and choose groups that keep them.

A plan that is lost, cut, or half merged does not mean that nothing was done. The groups
stand in the plan, in dvc.lock, and in the artifacts; what is left of these is enough.
"""

import re
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.plan.items import plan_path
from pipeline.plan.records import FILE as LOCK

Group = tuple[int, ...]

_IN_PLAN = re.compile(r'"seeds": "(\d+(?:,\d+)*)"')
_BEGUN = re.compile(r"^ {2}\w+@\S*?-(s[0-9_-]+):$", re.MULTILINE)
_SEED_FILE = re.compile(r"s(\d+)\.safetensors")


def settle(seeds: tuple[int, ...], begun: dict[Group, int]) -> list[Group]:
    """Groups for these seeds that keep every finished one.

    Groups of two branches may overlap, such as (0, 1) and (1, 2): where one alone would
    lose a finished seed, both stay, and the seed they share is trained by both.

    Args:
        seeds: the active ones.
        begun: groups that have been run -> how many trainings of it are finished.

    Returns:
        The kept groups in the order of ``begun``, and last a new one with the other seeds.

    >>> settle((0, 1, 2, 3), {(0, 1): 3, (1, 2): 3})
    [(0, 1), (1, 2), (3,)]
    >>> settle((0, 1, 2), {(0, 1): 3, (0, 1, 2): 3})
    [(0, 1, 2)]
    >>> settle((0, 1, 2), {(0, 1): 3, (0, 1, 2): 0})
    [(0, 1), (2,)]
    """
    kept: set[Group] = set()
    covered: set[int] = set()
    for group in sorted(begun, key=lambda one: (-begun[one], -len(one))):
        active = set(group) & set(seeds)
        if active - covered and (begun[group] or not active & covered):
            kept.add(group)
            covered |= active
    new = tuple(sorted(set(seeds) - covered))
    return [group for group in begun if group in kept] + ([new] if new else [])


def begun(root: Path = Path()) -> dict[Group, int]:
    """Groups that DVC or the artifacts know -> how many of their trainings are finished.

    First those of the plan, in its order, then the others.
    """
    text = _text(root / LOCK)
    parsed = {group for name in _BEGUN.findall(text) if (group := _parsed(name))}
    on_disk = _on_disk(root)
    named = [_seeds(found) for found in _IN_PLAN.findall(_text(root / plan_path(root)))]
    named += sorted(on_disk) + sorted(parsed)
    found: dict[Group, int] = {}
    for group in named:
        name = paths.group_name(group)
        if f"-{name}:\n" in text or group in on_disk:
            there = len(list((root / paths.FOLDER / "results").glob(f"*/*/*/{name}")))
            trained = rf"^ +(?:train|retrain)@\S*-{re.escape(name)}:$"
            found[group] = max(there, len(re.findall(trained, text, re.MULTILINE)))
    return found


def _on_disk(root: Path) -> set[Group]:
    """Groups with initial weights, which have a file for each seed."""
    found = set()
    for folder in (root / paths.FOLDER / "theta0").glob("*/s*"):
        names = (_SEED_FILE.fullmatch(file.name) for file in folder.glob("s*"))
        found.add(tuple(sorted(int(name[1]) for name in names if name)))
    return found - {()}


def _parsed(name: str) -> Group | None:
    """The seeds that the name of a group spells out; None if it does not.

    >>> _parsed("s0-2_7"), _parsed("s4"), _parsed("s-")
    ((0, 1, 2, 7), (4,), None)
    """
    seeds: list[int] = []
    for part in name[1:].split("_"):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first > 10_000:
            return None
        seeds += range(first, last + 1)
    return tuple(seeds) if paths.group_name(tuple(seeds)) == name else None


def _seeds(text: str) -> Group:
    return tuple(int(seed) for seed in text.split(","))


def _text(path: Path) -> str:
    """The content that is left of a file, whatever happened to it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
