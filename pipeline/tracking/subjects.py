"""Chains and studies as what MLflow gets of them: one run, and a child run per part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.tracking import line_points, points, study_words, words
from pipeline.tracking.chains import Chain
from pipeline.tracking.points import Point
from pipeline.tracking.studies import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """One round of a chain, or one place of a study."""

    name: str
    started: int
    """ms since 1970"""
    ended: int
    tags: Mapping[str, str]
    facts: Sequence[Point]
    """for the run above as well"""
    curves: Sequence[Point]
    """for the child run only"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What becomes a run."""

    name: str
    key: str
    part: str
    """the tag that tells its child runs apart: ``round`` or ``place``"""
    digests: Mapping[str, str]
    """part -> digest of its results, in order"""
    started: int
    """ms since 1970"""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    """those that stay as they are"""
    grown: Mapping[str, str]
    """tags that follow the parts"""
    marks: Mapping[str, str]
    """tags that follow from other runs too: what all seeds together show"""
    child: Callable[[str], Child]
    """part -> its child run, read when it is needed"""


def of_chain(root: Path, chain: Chain, marks: Mapping[str, str]) -> Subject:
    """The run of a variant with one seed, with its rounds."""
    by_part = {str(record.round): record for record in chain.rounds}

    def child(part: str) -> Child:
        record = by_part[part]
        clock = points.clock(root, record)
        return Child(
            name=f"{chain.name}-r{record.round:02d}",
            started=clock.started,
            ended=clock.ended,
            tags=words.round_tags(record, clock.timing),
            facts=points.facts(root, record, clock),
            curves=points.curves(record, clock),
        )

    return Subject(
        name=chain.name,
        key=chain.key,
        part="round",
        digests={str(number): digest for number, digest in chain.digests.items()},
        started=points.clock(root, chain.rounds[0]).started,
        params=words.params(chain.first.settings),
        tags=words.chain_tags(chain),
        grown=words.grown_tags(chain),
        marks=marks,
        child=child,
    )


def of_study(root: Path, study: Study) -> Subject:
    """The run of an analysis with one seed, with its places."""
    by_part = {look.place: (n, look) for n, look in enumerate(study.looks)}
    first = points.clock_at(root, study.looks[0].path, 0)

    def child(part: str) -> Child:
        position, look = by_part[part]
        clock = points.clock_at(root, look.path, position)
        return Child(
            name=f"{study.name}-{part}",
            started=clock.started,
            ended=clock.ended,
            tags=study_words.place_tags(look, clock.timing),
            facts=line_points.facts(look, clock),
            curves=list(line_points.lines(look, clock)),
        )

    return Subject(
        name=study.name,
        key=study.key,
        part="place",
        digests=study.digests,
        started=first.started,
        params=words.params(study.looks[0].settings),
        tags=study_words.study_tags(study),
        grown=study_words.grown_tags(study),
        marks={},
        child=child,
    )
