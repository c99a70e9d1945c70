"""The contract of transforms."""

from collections.abc import Callable

from pipeline.contracts import generated
from pipeline.core import seeding, transforms
from pipeline.core.transforms.given import Given


def given(draw: int = 0) -> Given:
    """Everything that a transform may look at; both networks have the same layers."""
    theta0 = generated.theta0()
    return Given(
        mask=generated.mask(),
        source=generated.NETWORK,
        network=generated.NETWORK,
        dense=generated.moved(theta0),
        dense_source=generated.moved(theta0, by=1),
        data=generated.dataset(),
        rng=seeding.generator(draw, "mask_shuffle", round=1, copy="shuffled"),
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
    return "" if _bits(name, 0) == _bits(name, 0) else "they differ; draw from given.rng"


def draws_as_declared(name: str) -> str:
    """Another stream gives another mask if its record says that it draws, and only then."""
    found, declared = _bits(name, 0) != _bits(name, 1), transforms.TRANSFORMS[name].draws
    return "" if found == declared else f"draws: {declared} declared, and it is {found}"


def _content(asked: Given) -> list[dict[str, bytes]]:
    looked_at = (asked.mask, asked.dense, asked.dense_source)
    return [generated.content(arrays) for arrays in looked_at]


def _bits(name: str, draw: int) -> dict[str, bytes]:
    return generated.content(transforms.transform(name, given(draw)))


PROPERTIES: tuple[Callable[[str], str], ...] = (
    gives_mask,
    leaves_given,
    repeats,
    draws_as_declared,
)
