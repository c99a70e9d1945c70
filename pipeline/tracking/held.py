"""Say which tracked runs belong to the workspace's present settings.

Several workspaces write into one store: clones, git worktrees, temporary experiments of
DVC. So no mark in the store can say what is current; a reader asks for the keys of the
workspace it stands in, which follow from params.yaml alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts.paths import DENSE
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.analysis.pairs import seeds_between
from pipeline.plan import items
from pipeline.plan.places import places
from pipeline.plan.targets import target_places
from pipeline.tracking.analyses import analysis_key, analysis_name, analysis_settings, ends
from pipeline.tracking.approximations import (
    approximation_key,
    approximation_name,
    approximation_settings,
)
from pipeline.tracking.chains import chain_key, chain_name


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRun:
    """A run that the settings ask for."""

    name: str
    children: tuple[str, ...]
    """rounds, or names of places or targets, in order"""


Held = Mapping[str, HeldRun]
"""key of a run -> the run, in the order of params.yaml"""


def held(settings: Settings, root: Path = Path()) -> Held:
    """The runs of all chains, analyses and approximations that the settings ask for.

    Args:
        settings: of the workspace.
        root: its root folder, with params.yaml and the plan's groups of seeds.
    """
    raw = params.resolved(root)
    groups = items.groups_in(items.read(root)) or [settings.seeds]
    return dict(
        [
            *_chains(settings, raw),
            *_analyses(settings, raw, groups),
            *_approximations(settings, raw),
        ]
    )


def _chains(settings: Settings, raw: Mapping[str, Any]) -> Iterator[tuple[str, HeldRun]]:
    later = tuple(str(number) for number in range(1, settings.rounds + 1))
    for task in settings.tasks:
        variants = [v for v, found in settings.variants.items() if task in found.tasks]
        for variant in (DENSE, *variants):
            rounds = ("0",) if variant == DENSE else ("0", *later)
            behind = params.behind_in(raw, task, None if variant == DENSE else variant)
            for seed in settings.seeds:
                name = chain_name(task, variant, seed)
                key = chain_key(task, variant, seed, behind)
                yield key, HeldRun(name=name, children=rounds)


def _analyses(
    settings: Settings, raw: Mapping[str, Any], groups: list[tuple[int, ...]]
) -> Iterator[tuple[str, HeldRun]]:
    found: dict[str, HeldRun] = {}
    for place in places(settings, groups):
        asked = raw["analyses"][place.analysis]
        networks = [
            params.behind_in(raw, place.task, None if end == DENSE else end)
            for end in ends(asked)
        ]
        behind = analysis_settings(asked, networks)
        for seed, _ in seeds_between(asked["to"], place.seeds):
            if seed in settings.seeds:
                key = analysis_key(place.task, place.analysis, seed, behind)
                name = analysis_name(place.task, place.analysis, seed)
                before = found[key].children if key in found else ()
                where = place.path.split("/")[2]
                found[key] = HeldRun(name=name, children=(*before, where))
    yield from found.items()


def _approximations(
    settings: Settings, raw: Mapping[str, Any]
) -> Iterator[tuple[str, HeldRun]]:
    rounds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place in target_places(settings, [settings.seeds]):
        rounds[place.task, place.approximation].append(f"r{place.round:02d}")
    for (task, approximation), names in rounds.items():
        asked = raw["approximations"][approximation]
        of = None if asked["of"] == DENSE else asked["of"]
        behind = approximation_settings(asked, params.behind_in(raw, task, of))
        for seed in settings.seeds:
            key = approximation_key(task, approximation, seed, behind)
            name = approximation_name(task, approximation, seed)
            yield key, HeldRun(name=name, children=tuple(names))
