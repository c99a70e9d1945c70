"""The contract of starts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.contracts import generated
from pipeline.core import rewinding, seeding, starts
from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given


def given(draw: int = 0) -> Given:
    """Everything that a start may look at."""
    theta0 = generated.theta0()
    return Given(
        theta0=theta0,
        trained=generated.moved(theta0, 1),
        early=generated.moved(theta0, 2),
        begun=theta0,
        taken=rewinding.start(generated.moved(theta0, 3), generated.mask()),
        mask=generated.mask(),
        round=2,
        network=generated.NETWORK,
        init=generated.INIT,
        rng=seeding.generator(0, "reinit", round=1, copy=draw),
    )


def gives_weights(name: str) -> str:
    """Every tensor of the network has float32 weights of its shape, all finite."""
    weights = _weights(name, given())
    bad = [n for n, values in weights.items() if not np.isfinite(values).all()]
    return f"{bad[0]} is not finite" if bad else ""


def leaves_given(name: str) -> str:
    """Its inputs are as before, also after the round has trained."""
    asked = given()
    parts = (asked.theta0, asked.trained, asked.early, asked.mask)
    before = [generated.content(part) for part in parts]
    for values in rewinding.start(_weights(name, asked), asked.mask).values():
        values[...] = 7
    same = before == [generated.content(part) for part in parts]
    return "" if same else "it writes into what it is given; copy what you change"


def repeats(name: str) -> str:
    """The same draw gives the same weights."""
    return "" if _bits(name, given()) == _bits(name, given()) else "they differ"


def draws_as_declared(name: str) -> str:
    """Another draw gives other weights if its record says that it draws, and only then."""
    found = _bits(name, given()) != _bits(name, given(draw=1))
    return _compared("draws", starts.STARTS[name].draws, found)


def mask_as_declared(name: str) -> str:
    """It looks at the mask only if its record says so."""
    other = replace(given(), mask=generated.dense())
    return _unasked(name, "needs_mask", other, asked=starts.STARTS[name].needs_mask)


def trained_as_declared(name: str) -> str:
    """It looks at trained weights only if its record says so."""
    other = replace(given(), trained=generated.moved(generated.theta0(), 3))
    record = starts.STARTS[name]
    return _unasked(name, "needs_trained", other, asked=record.needs_trained is not None)


def early_as_declared(name: str) -> str:
    """It looks at early weights only if its record says that it needs a step."""
    other = replace(given(), early=generated.moved(generated.theta0(), 4))
    return _unasked(name, "step", other, asked=starts.STARTS[name].step == "needed")


def _weights(name: str, asked: Given) -> Weights:
    return starts.start_source(name, asked)


def _bits(name: str, asked: Given) -> dict[str, bytes]:
    return generated.content(_weights(name, asked))


def _unasked(name: str, key: str, other: Given, *, asked: bool) -> str:
    looks = _bits(name, given()) != _bits(name, other)
    return f"declare {key}: it looks there" if looks and not asked else ""


def _compared(key: str, declared: bool, found: bool) -> str:  # noqa: FBT001 - both are facts
    return "" if found == declared else f"{key}: {declared} declared, and it is {found}"


PROPERTIES: tuple[Callable[[str], str], ...] = (
    gives_weights,
    leaves_given,
    repeats,
    draws_as_declared,
    mask_as_declared,
    trained_as_declared,
    early_as_declared,
)
