"""Published claims as data: what was said, where, under which protocol, how to check it.

They stand in claims.yaml; everything that can be wrong there is said at load.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, ClassVar, Literal

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.border.errors import UserError

FILE = "claims.yaml"
DENSE = "dense"
"""the network without a mask, in every protocol"""

Metric = Literal[
    "test_accuracy",
    "test_accuracy_early_stop",
]
"""fractions, per task, variant, seed and round of the tracked store"""
Value = str | bool | int | float | None
Required = Mapping[str, Value | tuple[Value, ...]]
"""setting as the store records it -> value, or several allowed ones; null = absent"""
Sure = Literal["paper", "paper-blind", "code", "data", "repo README", "secondary", "memory"]
"""where the number was read: the tags of the methods reference"""

FORBID = pydantic.ConfigDict(extra="forbid")


class ClaimsError(UserError):
    """claims.yaml cannot be used; one line that says where and what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """What a run must have done so that claims can be checked against it."""

    __pydantic_config__: ClassVar = FORBID
    settings: Required
    """of data, model and training; the names of the store's parameters"""
    masks: Required
    """of the recipe that finds the masks: the variant's own, or the one it takes"""
    min_steps: int
    """of every training; fewer are another experiment"""
    dense_accuracy: float
    """a dense network below this mean test accuracy did not train"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Variant minus ``against``, paired by seed, lies in [low, high]."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["difference"]
    variant: str
    against: str
    metric: Metric
    at: tuple[float, ...]
    """one density, or the largest and smallest: then it holds at every round between"""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Equivalence:
    """Variant and ``against`` differ by less than a margin (two one-sided tests)."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["equivalence"]
    variant: str
    against: str
    metric: Metric
    at: tuple[float, ...]
    margin: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The mean of a metric lies in [low, high]."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["reading"]
    variant: str
    metric: Metric
    at: tuple[float, ...]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """Early-stop step of a variant divided by that of ``against``: geometric mean."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["ratio"]
    variant: str
    against: str
    at: tuple[float, ...]
    against_at: float | None = None
    """density of ``against``; null = that of the variant"""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaves:
    """The curve of a variant falls below ``against`` between two densities.

    At every round down to ``upper`` it is not lower by more than the margin, at the
    first round from ``lower`` on it is.
    """

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["leaves"]
    variant: str
    against: str
    metric: Metric
    upper: float
    lower: float
    margin: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Winning:
    """The variant wins at a density, by the definition of a winning ticket."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["winning"]
    variant: str
    at: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Barrier:
    """The error barrier between copies that part at a step lies in [low, high].

    The mean over initializations, of each the mean over its pairs of copies.
    """

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["barrier"]
    variant: str
    step: int
    at: tuple[float, ...]
    statistics: Literal["interpolated", "recalibrated"] = "interpolated"
    """how the running statistics of norms on the line are made"""
    low: float | None = None
    high: float | None = None


Check = Annotated[
    Difference | Equivalence | Reading | Ratio | Leaves | Winning | Barrier,
    pydantic.Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One published statement that a store can agree or disagree with."""

    __pydantic_config__: ClassVar = FORBID
    id: str
    claim: str
    """one sentence"""
    source: str
    where: str
    """figure, table or section"""
    sure: Sure
    protocol: str
    published: float | str
    """the number in the unit of what is measured (fractions, ratios, densities), or
    words where none is given"""
    check: Check


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """All of claims.yaml."""

    __pydantic_config__: ClassVar = FORBID
    variants: Mapping[str, Required]
    """role in a claim -> settings of the recipe that plays it"""
    protocols: Mapping[str, Protocol]
    claims: tuple[Claim, ...]


def load(text: str | None = None) -> Book:
    """The published claims.

    Args:
        text: another claims file; None = the one that comes with the package.

    Raises:
        ClaimsError: with one line, whatever is wrong.
    """
    if text is None:
        text = (files(__package__) / FILE).read_text(encoding="utf-8")
    try:
        # YAML 1.2, as everywhere here: 1e-3 is a number.
        raw = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ClaimsError(f"{FILE} is not YAML: {' '.join(str(error).split())}") from None
    try:
        book: Book = pydantic.TypeAdapter(Book).validate_python(raw)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ClaimsError(f"{FILE}: {where}: {problem['msg']}") from None
    for message in _problems(book):
        raise ClaimsError(f"{FILE}: {message}")
    return book


def densities(check: Check) -> tuple[float, ...]:
    """The densities that a check names."""
    if isinstance(check, Leaves):
        return check.upper, check.lower
    return check.at


def roles(check: Check) -> list[str]:
    """The variants that a check needs, the dense network included where it is used."""
    named = [check.variant, DENSE if isinstance(check, Winning) else check.variant]
    if not isinstance(check, Reading | Winning | Barrier):
        named.append(check.against)
    return list(dict.fromkeys(named))


def _problems(book: Book) -> Iterator[str]:
    for name, protocol in book.protocols.items():
        for setting in sorted({"data", "model.name"} - set(protocol.settings)):
            yield f"protocol {name}: names no {setting}; every protocol needs one"
    seen: set[str] = set()
    for claim in book.claims:
        if claim.id in seen:
            yield f"claim {claim.id} stands there twice; give each its own id"
        seen.add(claim.id)
        for message in (
            *_unknown_names(claim, book),
            *_bad_number(claim),
            *_bad_densities(claim.check),
            *_bad_bounds(claim.check),
            *_bad_step(claim.check),
        ):
            yield f"claim {claim.id}: {message}"


def _unknown_names(claim: Claim, book: Book) -> Iterator[str]:
    if claim.protocol not in book.protocols:
        yield f"unknown protocol {claim.protocol}; there is {', '.join(book.protocols)}"
    for role in roles(claim.check):
        if role not in (DENSE, *book.variants):
            yield f"unknown variant {role}; there is {', '.join(book.variants)}"


def _bad_number(claim: Claim) -> Iterator[str]:
    number = claim.published
    if isinstance(claim.check, Ratio) and not isinstance(number, str) and number <= 0:
        yield f"published {number} is no ratio; give a number above 0, or words"


def _bad_densities(check: Check) -> Iterator[str]:
    found = densities(check)
    if len(found) not in (1, 2) or any(not 0 < d <= 1 for d in found):
        yield f"densities {list(found)}; give one, or two from large to small, in (0, 1]"
    if list(found) != sorted(found, reverse=True):
        yield f"densities {list(found)} ascend; write the largest first"


def _bad_bounds(check: Check) -> Iterator[str]:
    if isinstance(check, Equivalence | Leaves):
        if not check.margin > 0:
            yield f"margin {check.margin}; state one above 0"
    elif not isinstance(check, Winning):
        low, high = check.low, check.high
        if low is None and high is None:
            yield "no bounds; give low, high or both"
        if low is not None and high is not None and low >= high:
            yield f"low {low} is not below high {high}"
        if (
            isinstance(check, Ratio)
            and min(b for b in (low, high, 1) if b is not None) <= 0
        ):
            yield f"bounds {low} to {high} of a ratio; give numbers above 0"


def _bad_step(check: Check) -> Iterator[str]:
    if isinstance(check, Barrier) and check.step < 0:
        yield f"step {check.step}; give the step where the copies part, from 0"
