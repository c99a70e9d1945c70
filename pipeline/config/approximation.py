"""Settings of an approximation: how close a subnetwork of a random network comes.

A construction (``core/constructions``) draws a random network and keeps, without training
any weight, the subnetwork that computes a network which the experiment has trained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pipeline.artifacts.paths import DENSE
from pipeline.config.analysis import its_tasks, twice
from pipeline.config.yaml_shape import choose
from pipeline.core.constructions import CONSTRUCTIONS, refusal
from pipeline.core.fields import Default, Needed, OneOf
from pipeline.core.models.layers import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Approximation:
    """A trained network, and how a random one is pruned to compute it."""

    tasks: Annotated[
        tuple[str, ...], Default("the tasks of the variant, or all", its_tasks)
    ]
    """the tasks whose networks are approximated"""
    of: Annotated[str, OneOf((DENSE,), "the name of a variant")]
    """the trained network that is approximated, the target"""
    rounds: Annotated[
        tuple[int, ...] | None,
        Needed("for a variant", lambda here: here.get("of") != DENSE),
    ] = None
    """rounds of the variant; null for the dense network"""
    construction: Annotated[str, OneOf(CONSTRUCTIONS)]
    """how weights are made of random ones: direct, of numbers that an output unit draws
    once; golden, likewise, in digits of the golden ratio; relu, by the units of a random
    network of twice the depth"""
    candidates: int
    """random numbers, of those that can be used, from which each weight is made"""
    epsilon: float = 0.01
    """a weight counts as ``within`` if its error is at most this"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The networks that can be approximated, for the checks."""

    num_rounds: int
    networks: Mapping[str, Network]
    """task -> its network"""
    variants: Mapping[str, Sequence[str]]
    """variant -> its tasks"""


def problems(where: str, asked: Approximation, known: Targets) -> Iterator[str]:
    """Yield one line for each impossible setting of an approximation; the first counts."""
    if not asked.tasks:
        yield f"{where}.tasks: none given; known tasks: {', '.join(known.networks)}"
    for task in asked.tasks:
        if task not in known.networks:
            yield f"{where}.tasks: {choose(task, known.networks)}"
    if len(set(asked.tasks)) < len(asked.tasks):
        yield f"{where}.tasks: a task stands there twice"
    if asked.of == DENSE:
        yield from _dense(where, asked)
    else:
        yield from _variant(where, asked, known)
    yield from _construction(where, asked, known)


def _dense(where: str, asked: Approximation) -> Iterator[str]:
    if asked.rounds is not None:
        yield f"{where}.rounds: the dense network has no rounds; write null"


def _variant(where: str, asked: Approximation, known: Targets) -> Iterator[str]:
    if asked.of not in known.variants:
        yield f"{where}.of: {choose(asked.of, [DENSE, *known.variants])}"
        return
    for task in asked.tasks:
        if task not in known.variants[asked.of]:
            yield f"{where}.of: {asked.of} is not run on task {task}"
    if not asked.rounds:
        yield f"{where}.rounds: none given; name rounds of {asked.of}, such as [1]"
        return
    yield from twice(f"{where}.rounds", asked.rounds)
    for round in asked.rounds:
        if not 1 <= round <= known.num_rounds:
            yield (
                f"{where}.rounds: {round} found; {asked.of} is run for the rounds 1 to "
                f"{known.num_rounds}"
            )


def _construction(where: str, asked: Approximation, known: Targets) -> Iterator[str]:
    if not 0 < asked.epsilon < 1:
        yield f"{where}.epsilon: {asked.epsilon} found; give a number between 0 and 1"
    if asked.construction not in CONSTRUCTIONS:
        yield f"{where}.construction: {choose(asked.construction, CONSTRUCTIONS)}"
        return
    for task in [name for name in asked.tasks if name in known.networks]:
        why = refusal(asked.construction, asked.candidates, known.networks[task])
        if why:
            yield f"{where}: {why} (task {task})"
