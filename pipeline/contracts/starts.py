"""The contract of starts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.contracts import generated, memory, undeclared
from pipeline.core import rewinding, seeding, starts
from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given


def given(draw: int = 0, seed: int = 0) -> Given:
    """Everything that a start may look at."""
    theta0, mask = generated.theta0(seed), generated.mask(seed)
    return Given(
        theta0=theta0,
        trained=generated.moved(theta0, 1),
        early=generated.moved(theta0, 2),
        begun=generated.moved(theta0, 5),
        taken=rewinding.start(generated.moved(theta0, 3), mask),
        mask=mask,
        round=2,
        network=generated.NETWORK,
        init=generated.INIT,
        rng=seeding.generator(seed, "reinit", round=1, copy=draw),
    )


def gives_weights(name: str) -> str:
    """Every tensor of the network has float32 weights of its shape, all finite."""
    weights = _weights(name, given())
    bad = [n for n, values in weights.items() if not np.isfinite(values).all()]
    return f"{bad[0]} is not finite" if bad else ""


def leaves_given(name: str) -> str:
    """Its inputs are as before, also after the round has trained."""
    asked = given()
    weights = (asked.theta0, asked.trained, asked.early, asked.begun, asked.taken)
    parts = (*weights, asked.mask)
    before = [generated.content(part) for part in parts]
    for values in rewinding.start(_weights(name, asked), asked.mask).values():
        values[...] = 7
    same = before == [generated.content(part) for part in parts]
    return "" if same else "it writes into what it is given; copy what you change"


def repeats(name: str) -> str:
    """The same draw gives the same weights."""
    return "" if _bits(name, given()) == _bits(name, given()) else "they differ"


def keeps_nothing(name: str) -> str:
    """Earlier calls change no weights."""
    return memory.kept(name, lambda seed: _bits(name, given(seed=seed)))


def draws_as_declared(name: str) -> str:
    """Another draw gives other weights if its record says that it draws, and only then."""
    found = _bits(name, given()) != _bits(name, given(draw=1))
    return _compared("draws", starts.STARTS[name].draws, found)


def mask_as_declared(name: str) -> str:
    """It looks at the mask only if its record says so."""
    if starts.STARTS[name].needs_mask:
        return ""
    other = replace(given(), mask=generated.dense())
    return undeclared.looks("needs_mask", _bits(name, given()), lambda: _bits(name, other))


def needs_as_declared(name: str) -> str:
    """Without what its record does not ask for, it gives the same weights."""
    whole = _bits(name, given())
    for key, bare in _without_undeclared(name):
        if problem := undeclared.looks(key, whole, partial(_bits, name, bare)):
            return problem
    return ""


def _without_undeclared(name: str) -> Iterator[tuple[str, Given]]:
    """Each key by which the record asks for nothing, and what a run gives without it."""
    record = starts.STARTS[name]
    if not record.needs_trained:
        yield "needs_trained", replace(given(), trained={})
    if record.step != "needed":
        yield "step", replace(given(), early={})
    if not record.needs_previous_start:
        yield "needs_previous_start", replace(given(), begun={})
    if not record.needs_taken:
        yield "needs_taken", replace(given(), taken={})


def _weights(name: str, asked: Given) -> Weights:
    return starts.start_source(name, asked)


def _bits(name: str, asked: Given) -> dict[str, bytes]:
    return generated.content(_weights(name, asked))


def _compared(key: str, declared: bool, found: bool) -> str:  # noqa: FBT001 - both are facts
    return "" if found == declared else f"{key}: {declared} declared, and it is {found}"


PROPERTIES: tuple[Callable[[str], str], ...] = (
    gives_weights,
    leaves_given,
    repeats,
    keeps_nothing,
    draws_as_declared,
    mask_as_declared,
    needs_as_declared,
)
