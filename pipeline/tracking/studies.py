"""Files of analyses -> studies, each with the key that finds its run again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import DENSE
from pipeline.config.analysis import NAMED_ENDS
from pipeline.plan.places import Place
from pipeline.results.tables import Record, Row, records
from pipeline.tracking.chains import digest_of

ASKED = ("kind", "of", "to", "pairs", "points", "recalibration_batches")
"""settings of an analysis that each of its places depends on"""
RECIPE = ("prune", "rewind", "mask_source")


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one seed shows at one place: the lines between one or more pairs."""

    task: str
    analysis: str
    round: int
    step: int
    """where the copies part; 0 for a connection"""
    seed: int
    density: float
    """of the network that the analysis is of"""
    settings: Mapping[str, Any]
    """everything behind it: those of the network, ``analysis``, and ``to``, the recipe
    of another variant at the other end"""
    pairs: Mapping[int, Mapping[str, Any]]
    """pair -> its facts in lines.json"""
    rows: Sequence[Row]
    """of lines.parquet"""
    path: str
    """where its files lie below lines, copies and timing"""

    @property
    def place(self) -> str:
        """Round and step as in the path: ``r03-k000500``, ``r03`` for a connection."""
        return self.path.split("/")[2]

    @property
    def of_dense(self) -> bool:
        """Whether it is of the dense network, whose places are steps and not rounds."""
        return bool(self.settings["analysis"]["of"] == DENSE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One analysis of one task with one seed: what becomes a run."""

    name: str
    """of the run: ``analysis stable-s0``, with the task before ``stable`` if that is not
    ``main``; the space keeps it apart from every name of a chain"""
    key: str
    """what it is and the digest of the settings behind it"""
    looks: Sequence[Look]
    """all from the same settings, by round and step; at least one"""
    digests: Mapping[str, str]
    """place -> digest of what was seen there"""


def studies_of(root: Path, places: Iterable[Place]) -> list[Study]:
    """Read what analyses have seen.

    A place is left out until the results of its network are there, which say what
    stands behind it. While `dvc repro` is under way, places of other settings than the
    first one's are left out too.

    Args:
        root: the folder with ``artifacts``.
        places: where the plan looks now, each with all of its seeds.

    Returns:
        In the order of the places' analyses, then by seed.

    Raises:
        ArtifactError: a file is unreadable, or two folders hold the same seed.
    """
    seen = [one for place in places for one in _seen(root, place)]
    behind = _behind(root, seen)
    groups: dict[tuple[str, str, int], list[Look]] = defaultdict(list)
    for one in seen:
        look = _look(one, behind)
        if look is not None:
            groups[look.task, look.analysis, look.seed].append(look)
    order = list(dict.fromkeys(place[:2] for place in groups))
    return [
        _study(groups[place])
        for place in sorted(groups, key=lambda p: (order.index(p[:2]), p[2]))
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """One seed of one folder of lines."""

    place: Place
    seed: int
    folder: Path
    content: Mapping[str, Any]
    """of lines.json"""
    rows: Sequence[Row]

    @property
    def asked(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.content["settings"]
        return settings

    @property
    def ends(self) -> list[str]:
        """The variants that it is between, the dense network among them."""
        other = self.asked["to"]
        named = other is None or other in NAMED_ENDS
        return [self.asked["of"], *([] if named else [other])]


def _seen(root: Path, place: Place) -> list[_Seen]:
    found: dict[int, _Seen] = {}
    for file in sorted((root / place.lines).parent.glob("s*/lines.json")):
        content = files.load_json(file)
        table = files.load_lines(file.with_name("lines.parquet")).to_pylist()
        for seed in sorted({int(s) for s in content["seeds"]} & set(place.seeds)):
            if seed in found:
                raise ArtifactError(
                    f"{file.parent} and {found[seed].folder} both hold seed {seed}; "
                    "delete the older one and run `dvc repro`"
                )
            rows = [row for row in table if row["seed"] == seed]
            found[seed] = _Seen(
                place=place, seed=seed, folder=file.parent, content=content, rows=rows
            )
    return [found[seed] for seed in sorted(found)]


_Key = tuple[str, str, int, int]
"""task, variant or dense, round, seed"""


def _behind(root: Path, seen: Iterable[_Seen]) -> dict[_Key, Record]:
    """The results of the networks that were looked at."""
    wanted: dict[str, dict[str, tuple[set[int], set[int]]]] = defaultdict(dict)
    for one in seen:
        for variant in one.ends:
            empty: tuple[set[int], set[int]] = (set(), set())
            rounds, seeds = wanted[one.place.task].setdefault(variant, empty)
            rounds.add(one.place.round)
            seeds.add(one.seed)
    if not wanted:
        return {}
    return {(r.task, r.variant, r.round, r.seed): r for r in records(root, wanted)}


def _look(seen: _Seen, behind: Mapping[_Key, Record]) -> Look | None:
    place = seen.place
    found = [behind.get((place.task, v, place.round, seen.seed)) for v in seen.ends]
    networks = [record for record in found if record is not None]
    if len(networks) < len(found):
        return None
    first, *others = networks
    settings = dict(first.settings) | {"analysis": {n: seen.asked[n] for n in ASKED}}
    for record in others:
        settings["to"] = {name: record.settings[name] for name in RECIPE}
    pairs = seen.content["seeds"][str(seen.seed)]
    return Look(
        task=place.task,
        analysis=place.analysis,
        round=place.round,
        step=place.step,
        seed=seen.seed,
        density=first.facts["density"],
        settings=settings,
        pairs={int(pair): pairs[pair] for pair in sorted(pairs, key=int)},
        rows=seen.rows,
        path=f"{place.path.rpartition('/')[0]}/{seen.folder.name}",
    )


def _study(found: Sequence[Look]) -> Study:
    ordered = sorted(found, key=lambda look: (look.round, look.step))
    first = ordered[0]
    looks = [look for look in ordered if look.settings == first.settings]
    prefix = "" if first.task == "main" else f"{first.task}-"
    return Study(
        name=f"analysis {prefix}{first.analysis}-s{first.seed}",
        key=f"{first.task}/{first.analysis}/s{first.seed}@{digest_of(first.settings)}",
        looks=looks,
        digests={
            look.place: digest_of([look.density, dict(look.pairs), list(look.rows)])
            for look in looks
        },
    )
