"""Published claims, each with its source, its protocol and the check that tests it.

They are read from claims.yaml. ``load`` refuses a file with any mistake in it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.border.errors import UserError

FILE = "claims.yaml"
DENSE = "dense"
"""the network without a mask, in every protocol"""
ABOUT = ("data", "model.name")
"""settings that say which results a protocol is about; every protocol names them"""

Accuracy = Literal["test_accuracy", "test_accuracy_early_stop"]
"""columns of the tracked store that are fractions"""
Loss = Literal["test_loss"]
"""columns that are nats per label"""
LOSSES: tuple[str, ...] = get_args(Loss)
Metric = Accuracy | Loss
Value = str | bool | int | float | None
Required = Mapping[str, Value | tuple[Value, ...]]
"""setting, named as in the store -> its value, or all allowed values; null = absent"""
Sure = Literal["paper", "paper-blind", "code", "data", "repo README", "secondary", "memory"]
"""where the number was read"""
SURE: Mapping[Sure, str] = MappingProxyType(
    {
        "paper": "read in the paper",
        "paper-blind": "read in an earlier version of the paper",
        "code": "read in the authors' code",
        "data": "computed from results that the authors released",
        "repo README": "printed by the authors beside their code",
        "secondary": "read in a text about the paper",
        "memory": "recalled, and seen in no source",
    }
)
"""what the tags behind sources mean"""

FORBID = pydantic.ConfigDict(extra="forbid")


class ClaimsError(UserError):
    """claims.yaml has a mistake; the message says where and which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """The settings that a run needs so that a claim can be checked against it."""

    __pydantic_config__: ClassVar = FORBID
    settings: Required
    """of data, model and training, named as in the store"""
    masks: Required
    """of the recipe that finds the masks, the variant's own or another's"""
    recipe: Required = field(default_factory=dict)
    """of the variants themselves, beside what their roles need; a variant that lacks the
    setting is not asked for it"""
    min_steps: int
    """least number of steps of a training"""
    dense_accuracy: float
    """a dense network with a lower mean test accuracy counts as not trained"""
    failures_apart: bool = True
    """whether failed runs are counted apart; false where a low accuracy is an outcome like
    any other: a pole that falls, a network that does not generalize"""
    spread: Mapping[str, float] = field(default_factory=dict)
    """kind of check -> standard deviation over seeds of what it averages, as measured here:
    differences of accuracies, logarithms of ratios. It says how many seeds a run needs"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The mean difference variant - ``against``, paired by seed, is in [low, high]."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["difference"]
    variant: str
    against: str
    metric: Metric
    at: tuple[float, ...]
    """one density; or the largest and the smallest, if it holds at all rounds between"""
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
    """The mean of a metric is in [low, high]."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["reading"]
    variant: str
    metric: Metric
    at: tuple[float, ...]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """The geometric mean of early-stop steps, variant / ``against``, is in [low, high]."""

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

    At every round with density ``upper`` or more, it is not lower by more than the
    margin; at the first round with density ``lower`` or less, it is.
    """

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["leaves"]
    variant: str
    against: str
    metric: Accuracy
    upper: float
    lower: float
    margin: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Winning:
    """The variant is a winning ticket at a density, by the definition."""

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["winning"]
    variant: str
    at: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Barrier:
    """The error barrier between copies that part at a step is in [low, high].

    It is the mean over seeds of the mean over a seed's pairs of copies.
    """

    __pydantic_config__: ClassVar = FORBID
    kind: Literal["barrier"]
    variant: str
    step: int
    at: tuple[float, ...]
    statistics: Literal["interpolated", "recalibrated"] = "interpolated"
    """how the running statistics of norms on the line are found"""
    low: float | None = None
    high: float | None = None


Check = Annotated[
    Difference | Equivalence | Reading | Ratio | Leaves | Winning | Barrier,
    pydantic.Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One published statement, and the check that tests it."""

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
    """the number, as a fraction, in nats, as a ratio or a density; or words if the source
    has none"""
    check: Check


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """The content of claims.yaml."""

    __pydantic_config__: ClassVar = FORBID
    variants: Mapping[str, Required]
    """role in a claim -> settings of a variant that can play it"""
    protocols: Mapping[str, Protocol]
    claims: tuple[Claim, ...]


def load(text: str | None = None) -> Book:
    """Read the published claims.

    Args:
        text: of a claims file; None = the one of the package.

    Raises:
        ClaimsError: the file has a mistake.
    """
    return _of_package() if text is None else _parsed(text)


@cache
def _of_package() -> Book:
    return _parsed((files(__package__) / FILE).read_text(encoding="utf-8"))


def _parsed(text: str) -> Book:
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


def against(check: Check) -> str | None:
    """The variant that a check compares with; None if it compares with none."""
    if isinstance(check, Winning):
        return DENSE
    return None if isinstance(check, Reading | Barrier) else check.against


def roles(check: Check) -> list[str]:
    """The variants that a check needs, with the dense network if it needs that."""
    other = against(check)
    return list(dict.fromkeys([check.variant] if other is None else [check.variant, other]))


def spread_of(claim: Claim, book: Book) -> float | None:
    """The standard deviation over seeds of what a claim averages; None if not known."""
    return book.protocols[claim.protocol].spread.get(claim.check.kind)


def room(claim: Claim) -> tuple[float, ...] | None:
    """The distances of a published number from its bounds, in the unit of the test.

    None without a number, or for a check whose number is no mean.
    """
    number, check = claim.published, claim.check
    if isinstance(number, str) or isinstance(check, Leaves | Winning):
        return None
    if isinstance(check, Equivalence):
        return check.margin + number, check.margin - number
    shown = math.log if isinstance(check, Ratio) else float
    low, high = (None if b is None else shown(b) for b in (check.low, check.high))
    value = shown(number)
    below = () if low is None else (value - low,)
    return below if high is None else (*below, high - value)


def _problems(book: Book) -> Iterator[str]:
    for name, protocol in book.protocols.items():
        for setting in sorted(set(ABOUT) - set(protocol.settings)):
            yield f"protocol {name}: names no {setting}; every protocol needs one"
    seen: set[str] = set()
    for claim in book.claims:
        if claim.id in seen:
            yield f"claim {claim.id} appears twice; give each claim its own id"
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
