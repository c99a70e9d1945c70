"""Read the files of analyses and group them; each group becomes one MLflow run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import parquet
from pipeline.artifacts.paths import DENSE
from pipeline.config.analysis import NAMED_ENDS
from pipeline.plan.places import Place
from pipeline.results.tables import RoundResult, Row
from pipeline.tracking.behind import NetworkKey, network_results, saved_of_seeds
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
    networks = network_results(root, (key for one in lines for key in one.networks))
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
    def networks(self) -> list[NetworkKey]:
        """The networks at the ends of the lines."""
        place = self.place
        return [(place.task, end, place.round, self.seed) for end in ends(self.asked)]


def _read_place(root: Path, place: Place) -> list[_SeedLines]:
    found = saved_of_seeds((root / place.lines).parent, "lines.json", place.seeds)
    tables = {
        folder: parquet.load_lines(folder / "lines.parquet").to_pylist()
        for folder, _ in found.values()
    }
    return [
        _SeedLines(
            place=place,
            seed=seed,
            folder=folder,
            content=content,
            rows=[row for row in tables[folder] if row["seed"] == seed],
        )
        for seed, (folder, content) in found.items()
    ]


def _place_result(
    lines: _SeedLines, networks: Mapping[NetworkKey, RoundResult]
) -> PlaceResult | None:
    place, seed = lines.place, lines.seed
    if any(key not in networks for key in lines.networks):
        return None
    first, *others = (networks[key] for key in lines.networks)
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
