"""Turn chains and analyses into the contents of MLflow runs and their child runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import RoundResult
from pipeline.tracking import analysis_tags, chain_tags
from pipeline.tracking.analyses import PlaceResult, TrackedAnalysis
from pipeline.tracking.chains import Chain
from pipeline.tracking.datasets import TrackedData, data_of
from pipeline.tracking.formats import name_of, params
from pipeline.tracking.place_metrics import line_metrics, place_metrics
from pipeline.tracking.round_metrics import (
    TIMED,
    MetricValue,
    blanks,
    curve_metrics,
    round_metrics,
)
from pipeline.tracking.timing import timing_at, timing_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ChildContent:
    """A child run, such as that of one round of a chain."""

    name: str
    started: int
    """ms since 1970"""
    ended: int
    """ms since 1970"""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Callable[[], Sequence[MetricValue]]
    """logged to the parent run as well"""
    curves: Callable[[], Sequence[MetricValue]]
    """logged to the child run only"""
    blanks: Callable[[], Sequence[MetricValue]] = tuple
    """logged to the parent run only"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContent:
    """The run of one chain, one analysis or one approximation with one seed."""

    name: str
    key: str
    """the tag by which the run is found again"""
    kind: str
    """one of ``kinds.KINDS``"""
    child_tag: str
    """the tag that tells its child runs apart, such as ``round``"""
    digests: Mapping[str, str]
    """value of the child tag -> digest of the results, in order"""
    borrowed: frozenset[str] = frozenset()
    """those of them whose child run belongs to another run, the dense network's"""
    timed: frozenset[str] = frozenset()
    """metrics of a child run that are there once its timing file is"""
    started: int
    """ms since 1970"""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    note: str
    data: Sequence[TrackedData]
    child: Callable[[str], ChildContent] = field(compare=False)
    """value of the child tag -> child run; its files are read when this is called"""


Hashes = Mapping[str, str]
"""path of an artifact -> its hash in dvc.lock"""


def of_chain(
    root: Path, chain: Chain, shared_tags: Mapping[str, str], hashes: Hashes
) -> RunContent:
    """The run of a chain; its child runs are the rounds.

    Args:
        root: the folder with ``artifacts``.
        chain: of the workspace.
        shared_tags: tags that the chains of all seeds have in common.
        hashes: of artifacts.
    """
    by_round = {str(result.round): result for result in chain.rounds}
    first = chain.first
    settings = params(first.settings)
    own = {"task": first.task, "variant": first.variant, "seed": str(first.seed)}

    def child(number: str) -> ChildContent:
        result = by_round[number]
        timing = timing_of(root, result)
        kept = artifact_tags(("trained", "results"), _below(result), hashes)
        tags = chain_tags.round_tags(result, timing) | kept
        return ChildContent(
            name=f"{chain.name}-r{result.round:02d}",
            started=timing.started,
            ended=timing.ended,
            params={**settings, **own, "round": number},
            tags={**tags, "result": chain.digests[result.round]},
            metrics=lambda: round_metrics(root, result, timing),
            curves=lambda: curve_metrics(result, timing),
            blanks=lambda: blanks(result, timing),
        )

    last = timing_of(root, chain.rounds[-1])
    return RunContent(
        name=chain.name,
        key=chain.key,
        kind="chain",
        child_tag="round",
        digests={str(number): digest for number, digest in chain.digests.items()},
        borrowed=frozenset() if first.variant == DENSE else frozenset({"0"}),
        timed=frozenset(TIMED),
        started=timing_of(root, chain.rounds[0]).started,
        params={**settings, **own},
        tags={**chain_tags.chain_tags(chain), **shared_tags, **last.machine},
        note=chain_tags.note(chain),
        data=_data(root, first.settings["data"]),
        child=child,
    )


def of_analysis(root: Path, analysis: TrackedAnalysis, hashes: Hashes) -> RunContent:
    """The run of an analysis with one seed; its child runs are the places.

    Args:
        root: the folder with ``artifacts``.
        analysis: of the workspace.
        hashes: of artifacts.
    """
    by_name = {place.name: (n, place) for n, place in enumerate(analysis.places)}
    first = analysis.places[0]
    settings = params(first.settings)
    own = {"task": first.task, "analysis": first.analysis, "seed": str(first.seed)}

    def child(name: str) -> ChildContent:
        position, place = by_name[name]
        timing = timing_at(root, place.path, position)
        where = {"round": str(place.round), "place": name}
        tags = analysis_tags.place_tags(place, timing) | _kept_lines(place, hashes)
        return ChildContent(
            name=f"{analysis.name}-{name}",
            started=timing.started,
            ended=timing.ended,
            params={**settings, **own, **where},
            tags={**tags, "result": analysis.digests[name]},
            metrics=lambda: place_metrics(place, timing),
            curves=lambda: list(line_metrics(place, timing)),
        )

    last = timing_at(root, analysis.places[-1].path, len(by_name) - 1)
    return RunContent(
        name=analysis.name,
        key=analysis.key,
        kind="analysis",
        child_tag="place",
        digests=analysis.digests,
        started=timing_at(root, first.path, 0).started,
        params={**settings, **own},
        tags={**analysis_tags.analysis_tags(analysis), **last.machine},
        note=analysis_tags.note(analysis),
        data=_data(root, first.settings["data"]),
        child=child,
    )


def _data(root: Path, setting: object) -> list[TrackedData]:
    found = data_of(root, name_of(setting))
    return [found] if found else []


def _below(result: RoundResult) -> str:
    """The path of a round's files below the folder of each kind of artifact."""
    return "/".join(result.folder.parts[-4:])


def _kept_lines(place: PlaceResult, hashes: Hashes) -> dict[str, str]:
    return artifact_tags(("lines",), place.path, hashes)


def artifact_tags(kinds: Sequence[str], below: str, hashes: Hashes) -> dict[str, str]:
    """Tags with the path of artifacts, and with DVC's hash where it has one."""
    tags = {}
    for kind in kinds:
        path = (paths.FOLDER / kind / below).as_posix()
        tags[f"artifacts.{kind}"] = path
        if path in hashes:
            tags[f"dvc.{kind}"] = hashes[path]
    return tags
