"""Turn chains and analyses into the contents of MLflow runs and their child runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.tracking import analysis_tags, chain_tags
from pipeline.tracking.analyses import TrackedAnalysis
from pipeline.tracking.chains import Chain
from pipeline.tracking.formats import params
from pipeline.tracking.place_metrics import line_metrics, place_metrics
from pipeline.tracking.round_metrics import MetricValue, curve_metrics, round_metrics
from pipeline.tracking.timing import timing_at, timing_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ChildContent:
    """The child run of one round of a chain, or of one place of an analysis."""

    name: str
    started: int
    """ms since 1970"""
    ended: int
    """ms since 1970"""
    tags: Mapping[str, str]
    metrics: Sequence[MetricValue]
    """logged to the parent run as well"""
    curves: Sequence[MetricValue]
    """logged to the child run only"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContent:
    """The run of one chain or of one analysis with one seed."""

    name: str
    key: str
    """the tag by which the run is found again"""
    child_tag: str
    """the tag that tells its child runs apart: ``round`` or ``place``"""
    digests: Mapping[str, str]
    """value of the child tag -> digest of the results, in order"""
    started: int
    """ms since 1970"""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    """tags that do not change when child runs are added"""
    growing_tags: Mapping[str, str]
    """tags that change when child runs are added"""
    shared_tags: Mapping[str, str]
    """tags that depend on the runs of all seeds together"""
    child: Callable[[str], ChildContent]
    """value of the child tag -> child run; its files are read when this is called"""


def of_chain(root: Path, chain: Chain, shared_tags: Mapping[str, str]) -> RunContent:
    """The run of a chain; its child runs are the rounds."""
    by_round = {str(result.round): result for result in chain.rounds}

    def child(number: str) -> ChildContent:
        result = by_round[number]
        timing = timing_of(root, result)
        return ChildContent(
            name=f"{chain.name}-r{result.round:02d}",
            started=timing.started,
            ended=timing.ended,
            tags=chain_tags.round_tags(result, timing),
            metrics=round_metrics(root, result, timing),
            curves=curve_metrics(result, timing),
        )

    return RunContent(
        name=chain.name,
        key=chain.key,
        child_tag="round",
        digests={str(number): digest for number, digest in chain.digests.items()},
        started=timing_of(root, chain.rounds[0]).started,
        params=params(chain.first.settings),
        tags=chain_tags.chain_tags(chain),
        growing_tags=chain_tags.growing_tags(chain),
        shared_tags=shared_tags,
        child=child,
    )


def of_analysis(root: Path, analysis: TrackedAnalysis) -> RunContent:
    """The run of an analysis with one seed; its child runs are the places."""
    by_name = {place.name: (n, place) for n, place in enumerate(analysis.places)}
    first = analysis.places[0]

    def child(name: str) -> ChildContent:
        position, place = by_name[name]
        timing = timing_at(root, place.path, position)
        return ChildContent(
            name=f"{analysis.name}-{name}",
            started=timing.started,
            ended=timing.ended,
            tags=analysis_tags.place_tags(place, timing),
            metrics=place_metrics(place, timing),
            curves=list(line_metrics(place, timing)),
        )

    return RunContent(
        name=analysis.name,
        key=analysis.key,
        child_tag="place",
        digests=analysis.digests,
        started=timing_at(root, first.path, 0).started,
        params=params(first.settings),
        tags=analysis_tags.analysis_tags(analysis),
        growing_tags=analysis_tags.growing_tags(analysis),
        shared_tags={},
        child=child,
    )
