"""Read the files of analyses and group them; each group becomes one MLflow run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, parquet
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import DENSE
from pipeline.config.analysis import NAMED_ENDS
from pipeline.plan.places import Place
from pipeline.results.tables import RoundResult, Row, round_results
from pipeline.tracking.chains import chain_key, chain_name, digest_of

COMMON_SETTINGS = ("kind", "of", "to", "pairs", "points", "recalibration_batches")
"""settings of an analysis that are the same at each of its places"""
RECIPE = ("prune", "rewind", "mask_source")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceResult:
    """The result of one analysis at one place, for one seed and all its pairs."""

    task: str
    analysis: str
    round: int
    step: int
    """where the copies part; 0 for a connection"""
    seed: int
    density: float
    """of the network that the analysis is of"""
    settings: Mapping[str, Any]
    """all settings behind the result: those of the network; ``analysis``; and ``to``,
    the recipe of the variant at the other end, where there is one"""
    pairs: Mapping[int, Mapping[str, Any]]
    """pair -> its facts in lines.json"""
    rows: Sequence[Row]
    """of lines.parquet"""
    path: str
    """of its files, below the folders lines, copies and timing"""

    @property
    def name(self) -> str:
        """Round and step as in the path: ``r03-k000500``, ``r03`` for a connection."""
        return self.path.split("/")[2]

    @property
    def of_dense(self) -> bool:
        """Whether the analysis is of the dense network, whose places are steps."""
        return bool(self.settings["analysis"]["of"] == DENSE)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedAnalysis:
    """One analysis on one task with one seed, over all places: it becomes one MLflow run.

    It is to places what a chain is to rounds.
    """

    name: str
    """of the run: ``analysis stable-s0``, with the task before ``stable`` if that is not
    ``main``. No name of a chain has a space, so that the two never collide."""
    key: str
    """task, analysis, seed and the digest of the settings"""
    places: Sequence[PlaceResult]
    """all with the same settings, by round and step; at least one"""
    digests: Mapping[str, str]
    """name of a place -> digest of its result"""


def tracked_analyses(root: Path, places: Iterable[Place]) -> list[TrackedAnalysis]:
    """Read the results of analyses.

    A place is left out until its networks have results, because their settings are
    part of its own. While `dvc repro` is under way, a place whose settings differ from
    those of the first place is left out too.

    Args:
        root: the folder with ``artifacts``.
        places: of the plan, each with all of its seeds.

    Returns:
        By analysis, in the order of the places, then by seed.

    Raises:
        ArtifactError: a file is unreadable, or two folders hold the same seed.
    """
    lines = [one for place in places for one in _read_place(root, place)]
    networks = _network_results(root, lines)
    groups: dict[tuple[str, str, int], list[PlaceResult]] = defaultdict(list)
    for one in lines:
        result = _place_result(one, networks)
        if result is not None:
            groups[result.task, result.analysis, result.seed].append(result)
    order = list(dict.fromkeys(key[:2] for key in groups))
    return [
        _tracked_analysis(groups[key])
        for key in sorted(groups, key=lambda k: (order.index(k[:2]), k[2]))
    ]


def ends(asked: Mapping[str, Any]) -> list[str]:
    """The variants at the ends of an analysis's lines; the dense network counts as one.

    Args:
        asked: the settings of the analysis, as in params.yaml.
    """
    other = asked["to"]
    named = other is None or other in NAMED_ENDS
    return [asked["of"], *([] if named else [other])]


def analysis_settings(
    asked: Mapping[str, Any], behind: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """All settings behind an analysis's results.

    Args:
        asked: the settings of the analysis, as in params.yaml.
        behind: the settings of its ``ends``.
    """
    first, *others = behind
    analysis = {name: asked[name] for name in COMMON_SETTINGS}
    to = [{name: other[name] for name in RECIPE} for other in others]
    return dict(first) | {"analysis": analysis} | ({"to": to[-1]} if to else {})


def analysis_name(task: str, analysis: str, seed: int) -> str:
    """The name of an analysis's run."""
    return f"analysis {chain_name(task, analysis, seed)}"


def analysis_key(task: str, analysis: str, seed: int, settings: Mapping[str, Any]) -> str:
    """The key of an analysis's run."""
    return chain_key(task, analysis, seed, settings)


@dataclass(frozen=True, kw_only=True, slots=True)
class _SeedLines:
    """The lines of one seed at one place, as its files hold them."""

    place: Place
    seed: int
    folder: Path
    content: Mapping[str, Any]
    """of lines.json"""
    rows: Sequence[Row]

    @property
    def asked(self) -> Mapping[str, Any]:
        """The settings of the analysis."""
        settings: Mapping[str, Any] = self.content["settings"]
        return settings

    @property
    def variants(self) -> list[str]:
        """The variants at the ends of the lines; the dense network counts as one."""
        return ends(self.asked)


def _read_place(root: Path, place: Place) -> list[_SeedLines]:
    found: dict[int, _SeedLines] = {}
    for file in sorted((root / place.lines).parent.glob("s*/lines.json")):
        content = files.load_json(file)
        table = parquet.load_lines(file.with_name("lines.parquet")).to_pylist()
        with files.understood(file):
            seeds = {int(seed) for seed in content["seeds"]}
            dict(content["settings"])
        for seed in sorted(seeds & set(place.seeds)):
            if seed in found:
                raise ArtifactError(
                    f"{file.parent} and {found[seed].folder} both hold seed {seed}; "
                    "delete the older one and run `dvc repro`"
                )
            rows = [row for row in table if row["seed"] == seed]
            found[seed] = _SeedLines(
                place=place, seed=seed, folder=file.parent, content=content, rows=rows
            )
    return [found[seed] for seed in sorted(found)]


_NetworkKey = tuple[str, str, int, int]
"""task, variant or dense, round, seed"""


def _network_results(
    root: Path, lines: Iterable[_SeedLines]
) -> dict[_NetworkKey, RoundResult]:
    """The results of the networks at the ends of the lines."""
    wanted: dict[str, dict[str, tuple[set[int], set[int]]]] = defaultdict(dict)
    for one in lines:
        for variant in one.variants:
            empty: tuple[set[int], set[int]] = (set(), set())
            rounds, seeds = wanted[one.place.task].setdefault(variant, empty)
            rounds.add(one.place.round)
            seeds.add(one.seed)
    if not wanted:
        return {}
    results = round_results(root, wanted)
    return {(r.task, r.variant, r.round, r.seed): r for r in results}


def _place_result(
    lines: _SeedLines, networks: Mapping[_NetworkKey, RoundResult]
) -> PlaceResult | None:
    place, seed = lines.place, lines.seed
    keys = [(place.task, variant, place.round, seed) for variant in lines.variants]
    if any(key not in networks for key in keys):
        return None
    first, *others = (networks[key] for key in keys)
    behind = [first.settings, *(result.settings for result in others)]
    pairs = lines.content["seeds"][str(seed)]
    return PlaceResult(
        task=place.task,
        analysis=place.analysis,
        round=place.round,
        step=place.step,
        seed=seed,
        density=first.facts["density"],
        settings=analysis_settings(lines.asked, behind),
        pairs={int(pair): pairs[pair] for pair in sorted(pairs, key=int)},
        rows=lines.rows,
        path=f"{place.path.rpartition('/')[0]}/{lines.folder.name}",
    )


def _tracked_analysis(results: Sequence[PlaceResult]) -> TrackedAnalysis:
    ordered = sorted(results, key=lambda result: (result.round, result.step))
    first = ordered[0]
    places = [result for result in ordered if result.settings == first.settings]
    return TrackedAnalysis(
        name=analysis_name(first.task, first.analysis, first.seed),
        key=analysis_key(first.task, first.analysis, first.seed, first.settings),
        places=places,
        digests={
            place.name: digest_of([place.density, dict(place.pairs), list(place.rows)])
            for place in places
        },
    )
