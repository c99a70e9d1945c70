"""Settings of an analysis: a question that is asked about finished networks.

``instability`` trains pairs of copies of a start on different data orders, and evaluates
the line between the copies of a pair (Frankle et al. 2020, arXiv:1912.05671).
``connection`` trains nothing and evaluates the line between two networks of the experiment.

Networks of two initializations have their hidden units in different orders. So a barrier
between seeds says that the line between the networks as they are rises; it does not say
that no line to a reordered network is flat (Entezari et al. 2022, arXiv:2110.06296;
Ainsworth et al. 2023, arXiv:2209.04836). Overlaps of their masks are by position, too. With
``match_units`` the other seed's network and mask are reordered before (``core/matching``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.artifacts.paths import DENSE
from pipeline.config.yaml_shape import choose
from pipeline.core.analysis.pairs import OTHER_SEED
from pipeline.core.fields import Default, Needed, OneOf, OnlyWritten, Tree

PREVIOUS = "previous"
"""the other end of a connection is the network of the previous round"""
PRUNED = "pruned"
"""the other end is the trained network from which the round's mask was cut, under that mask
and before rewinding: the previous round's network for an iterative round, the dense one for
a one-shot round, the ticket's for a control that takes the ticket's masks"""
NAMED_ENDS = frozenset({DENSE, PREVIOUS, PRUNED, OTHER_SEED})
"""the other ends of a connection that are not variants"""


def its_tasks(here: Tree, settings: Tree) -> object:
    """The tasks of the variant, as far as the user has written them."""
    tasks, variants = settings.get("tasks"), settings.get("variants")
    of = str(here.get("of"))
    variant = variants.get(of) if isinstance(variants, Mapping) else None
    own = variant.get("tasks") if isinstance(variant, Mapping) else None
    if own is not None:
        return own
    return list(tasks) if isinstance(tasks, Mapping) else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """One question, asked for every task, round and step that it names."""

    kind: Literal["instability", "connection"]
    """instability: two copies trained on different data orders; connection: two networks
    that are there"""
    tasks: Annotated[
        tuple[str, ...], Default("the tasks of the variant, or all", its_tasks)
    ]
    """the tasks on which it is asked"""
    of: Annotated[str, OneOf((DENSE,), "the name of a variant")]
    """the network that is looked at; ``dense`` for instability or to ``other-seed`` only"""
    to: Annotated[
        str | None,
        OneOf((PREVIOUS, PRUNED, DENSE, OTHER_SEED), "the name of a variant"),
        Needed("for a connection", lambda here: here.get("kind") == "connection"),
    ] = None
    """the other end of a connection: ``previous`` round, ``pruned`` network before
    rewinding, ``dense``, ``other-seed``, or another variant at the same round"""
    rounds: Annotated[
        tuple[int, ...] | None,
        Needed("for a variant", lambda here: here.get("of") != DENSE),
    ] = None
    """rounds of the variant; null for the dense network"""
    steps: Annotated[
        tuple[int, ...] | None,
        Needed(
            "for instability of the dense network",
            lambda here: here.get("kind") == "instability" and here.get("of") == DENSE,
        ),
    ] = None
    """steps at which copies of the dense network part; null for a variant, whose copies
    part where its rounds begin"""
    pairs: Annotated[
        int | None,
        Needed("for instability", lambda here: here.get("kind") == "instability"),
    ] = None
    """pairs of copies per seed; null for a connection"""
    points: int = 30
    """networks looked at on each line, both ends included; 30 in the paper"""
    recalibration_batches: int | None = None
    """training batches that make the running statistics of norms anew at each point;
    null = interpolated statistics only"""
    match_units: Annotated[bool, OnlyWritten()] = False
    """to ``other-seed``: whether the hidden units of that network are put into the order in
    which they answer to the training examples most like those of this one"""

    @property
    def trains(self) -> bool:
        """Whether the analysis has trainings of its own."""
        return self.kind == "instability"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The names that an analysis may use, for the checks."""

    num_rounds: int
    num_seeds: int
    steps: Mapping[str, int]
    """task -> number of steps of its training"""
    variants: Mapping[str, Sequence[str]]
    """variant -> its tasks"""
    normed: Sequence[str]
    """tasks whose networks have running statistics"""
    modules: Sequence[str]
    """tasks whose networks are torch modules"""
    changing: Sequence[str]
    """variants whose masks change while they train"""
    owners: Mapping[str, str]
    """variant -> the variant whose recipe decides its masks, most often itself"""
    transformed: Sequence[str]
    """variants that change the masks they take, or have those of pools"""
    frozen: Sequence[str]
    """variants whose pruned weights stay in the network"""


def problems(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    """Yield one line for each impossible setting of an analysis; the first counts."""
    if not analysis.tasks:
        yield f"{where}.tasks: none given; known tasks: {', '.join(known.steps)}"
    for task in analysis.tasks:
        if task not in known.steps:
            yield f"{where}.tasks: {choose(task, known.steps)}"
    if len(set(analysis.tasks)) < len(analysis.tasks):
        yield f"{where}.tasks: a task stands there twice"
    if analysis.trains:
        yield from _instability(where, analysis, known)
    else:
        yield from _connection(where, analysis, known)
    yield from _points(where, analysis, known)
    if analysis.match_units:
        yield from _matching(f"{where}.match_units", analysis, known)


def _matching(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if analysis.to != OTHER_SEED:
        yield f"{where}: only a network to {OTHER_SEED} has other units; leave it out"
    for task in analysis.tasks:
        if task in known.modules:
            yield (
                f"{where}: the network of task {task} is a torch module, whose units are "
                "not known; leave it out"
            )


def _points(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if not 2 <= analysis.points <= 1000:
        yield f"{where}.points: {analysis.points} found; give 2 to 1000, such as 30"
    batches = analysis.recalibration_batches
    if batches is not None and batches < 1:
        yield f"{where}.recalibration_batches: {batches} found; give 1 or more, or null"
    if batches is not None and not set(analysis.tasks) & set(known.normed):
        yield (
            f"{where}.recalibration_batches: {batches} found; no network of these tasks "
            "has running statistics, write null"
        )


def _instability(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if analysis.to is not None:
        yield f"{where}.to: {analysis.to} found; copies are compared in pairs, write null"
    if analysis.pairs is None or not 1 <= analysis.pairs <= 99:
        yield f"{where}.pairs: {_shown(analysis.pairs)} found; give 1 to 99 pairs of copies"
    if analysis.of == DENSE:
        yield from _of_dense(where, analysis, known)
        return
    yield from _variant(f"{where}.of", analysis.of, analysis, known)
    if analysis.of in known.changing:
        yield (
            f"{where}.of: {analysis.of} is pruned while it trains, and copies train under "
            "one mask; name a control that takes its masks"
        )
    yield from _rounds(where, analysis, known)
    if analysis.steps is not None:
        yield (
            f"{where}.steps: copies of {analysis.of} part where its rounds begin: write "
            "null"
        )


def _of_dense(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    yield from _no_rounds(where, analysis)
    if not analysis.steps:
        yield f"{where}.steps: none given; write where the copies part, such as [0]"
        return
    yield from twice(f"{where}.steps", analysis.steps)
    for task in analysis.tasks:
        for step in analysis.steps:
            if not 0 <= step < known.steps[task]:
                yield (
                    f"{where}.steps: {step} found; the training of task {task} has "
                    f"{known.steps[task]} steps: give 0 to {known.steps[task] - 1}"
                )


def _no_rounds(where: str, analysis: Analysis) -> Iterator[str]:
    if analysis.rounds is not None:
        yield f"{where}.rounds: the dense network has no rounds; write null"


def _connection(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if analysis.of != DENSE:
        yield from _variant(f"{where}.of", analysis.of, analysis, known)
        yield from _rounds(where, analysis, known)
    elif analysis.to != OTHER_SEED:
        yield f"{where}.of: {DENSE} has a line to {OTHER_SEED} only; name a variant"
    else:
        yield from _no_rounds(where, analysis)
    for key in ("steps", "pairs"):
        if getattr(analysis, key) is not None:
            yield f"{where}.{key}: a connection trains no copies; write null"
    yield from _other_end(f"{where}.to", analysis, known)


def _other_end(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if analysis.to is None:
        ends = ", ".join((PREVIOUS, PRUNED, DENSE, OTHER_SEED))
        yield f"{where}: null found; name {ends}, or another variant"
    elif analysis.to == analysis.of:
        yield f"{where}: {analysis.to} is what it starts from; name another end"
    elif analysis.to == PRUNED:
        yield from _pruned(where, analysis.of, known)
    elif analysis.to == OTHER_SEED and known.num_seeds < 2:
        yield f"{where}: {OTHER_SEED} needs two seeds or more, and there is one; add a seed"
    elif analysis.to not in NAMED_ENDS:
        yield from _variant(where, analysis.to, analysis, known)


def _pruned(where: str, of: str, known: Known) -> Iterator[str]:
    """Check that a network was cut to these masks, and that pruned weights are 0."""
    owner = known.owners[of]
    if of in known.transformed:
        yield (
            f"{where}: {of} transforms the masks of {owner}, and no network was pruned to "
            "them; name another end"
        )
    if owner in known.changing:
        yield (
            f"{where}: {owner} is pruned while it trains, so that no network is cut to "
            f"the masks of {of}; name another end"
        )
    if of in known.frozen:
        yield (
            f"{where}: pruned weights of {of} stay frozen in it, those of a pruned network "
            "are 0; name another end"
        )


def _variant(where: str, name: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if name not in known.variants:
        with_dense = analysis.trains or analysis.to == OTHER_SEED
        others = [*([DENSE] if with_dense else []), *known.variants]
        yield f"{where}: {choose(name, others)}"
        return
    for task in analysis.tasks:
        if task not in known.variants[name]:
            yield f"{where}: {name} is not run on task {task}"


def _rounds(where: str, analysis: Analysis, known: Known) -> Iterator[str]:
    if not analysis.rounds:
        yield f"{where}.rounds: none given; name rounds of {analysis.of}, such as [1]"
        return
    yield from twice(f"{where}.rounds", analysis.rounds)
    for round in analysis.rounds:
        if not 1 <= round <= known.num_rounds:
            yield (
                f"{where}.rounds: {round} found; {analysis.of} is run for the rounds 1 to "
                f"{known.num_rounds}"
            )


def twice(where: str, numbers: tuple[int, ...]) -> Iterator[str]:
    """Refuse a number that stands there twice."""
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        yield f"{where}: {twice[0]} stands there twice"


def _shown(number: int | None) -> str:
    return "null" if number is None else str(number)
