"""The contract of transforms."""

from collections.abc import Callable
from dataclasses import replace

from pipeline.contracts import generated, memory, undeclared
from pipeline.core import seeding, transforms
from pipeline.core.transforms.given import Given


def given(draw: int = 0, seed: int = 0) -> Given:
    """Everything that a transform may look at; both networks have the same layers."""
    theta0 = generated.theta0(seed)
    return Given(
        mask=generated.mask(seed),
        source=generated.NETWORK,
        network=generated.NETWORK,
        dense=generated.moved(theta0),
        dense_source=generated.moved(theta0, by=1),
        data=generated.dataset(),
        rng=seeding.generator(seed, "mask_shuffle", round=1, copy=f"shuffled {draw}"),
    )


def gives_mask(name: str) -> str:
    """It gives a mask of the network, with the counts that its record promises."""
    transforms.transform(name, given())
    return ""


def leaves_given(name: str) -> str:
    """The mask and the networks that it is given are as before."""
    asked = given()
    transforms.transform(name, asked)
    same = _content(asked) == _content(given())
    return "" if same else "it writes into what it is given; copy it first"


def repeats(name: str) -> str:
    """The same stream gives the same mask."""
    same = _bits(name, given()) == _bits(name, given())
    return "" if same else "they differ; draw from given.rng"


def keeps_nothing(name: str) -> str:
    """Earlier calls change no mask."""
    return memory.kept(name, lambda seed: _bits(name, given(seed=seed)))


def draws_as_declared(name: str) -> str:
    """Another stream gives another mask if its record says that it draws, and only then."""
    declared = transforms.TRANSFORMS[name].draws
    found = _bits(name, given()) != _bits(name, given(draw=1))
    return "" if found == declared else f"draws: {declared} declared, and it is {found}"


def needs_as_declared(name: str) -> str:
    """Without what its record does not ask for, it gives the same mask."""
    if transforms.TRANSFORMS[name].needs_dense:
        return ""
    whole = _bits(name, given())
    bare = replace(given(), dense={}, dense_source={}, data=None)
    return undeclared.looks("needs_dense", whole, lambda: _bits(name, bare))


def _content(asked: Given) -> list[dict[str, bytes]]:
    looked_at = (asked.mask, asked.dense, asked.dense_source)
    return [generated.content(arrays) for arrays in looked_at]


def _bits(name: str, asked: Given) -> dict[str, bytes]:
    return generated.content(transforms.transform(name, asked))


PROPERTIES: tuple[Callable[[str], str], ...] = (
    gives_mask,
    leaves_given,
    repeats,
    keeps_nothing,
    draws_as_declared,
    needs_as_declared,
)
