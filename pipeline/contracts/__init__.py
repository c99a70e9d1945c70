"""The contracts of criteria, starts, transforms, policies and optimizers, to run on yours.

A contract is a list of properties. Each one is a function that takes a name, tries what the
name stands for on small generated networks, and says what is broken. Our own entries
fulfill the same contracts (``tests/contracts``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.border import user_code, user_failures
from pipeline.border.errors import UserError
from pipeline.contracts import (
    criteria,
    optimizers,
    policies,
    score_policies,
    starts,
    transforms,
)
from pipeline.core import functions
from pipeline.core.criteria import CRITERIA, Criterion
from pipeline.core.optimizers import OPTIMIZERS, Optimizer
from pipeline.core.policies import POLICIES, Policy
from pipeline.core.registry import Registry
from pipeline.core.starts import STARTS, Start
from pipeline.core.transforms import TRANSFORMS, Transform

_FAILS = "it fails"
Property = Callable[[str], str]
"""name -> what is broken; empty = the property holds. Its docstring says the property."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """A property that holds for every entry of a registry."""

    registry: Registry[Any]
    properties: tuple[Property, ...]


CONTRACTS: dict[type, Contract] = {
    Criterion: Contract(registry=CRITERIA, properties=criteria.PROPERTIES),
    Start: Contract(registry=STARTS, properties=starts.PROPERTIES),
    Transform: Contract(registry=TRANSFORMS, properties=transforms.PROPERTIES),
    Policy: Contract(registry=POLICIES, properties=policies.PROPERTIES),
    Optimizer: Contract(registry=OPTIMIZERS, properties=optimizers.PROPERTIES),
}
"""by the record that a function declares"""
OF_SCORES = Contract(registry=POLICIES, properties=score_policies.PROPERTIES)
"""of policies that train scores in place of weights"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One property of one function."""

    says: str
    broken: str
    """what is broken; empty = it holds"""

    def __str__(self) -> str:
        """The property in one line."""
        return (
            f"broken  {self.says}: {self.broken}" if self.broken else f"ok      {self.says}"
        )


def check(name: str, root: Path) -> list[Checked]:
    """Run the contract of a function of the user's.

    Args:
        name: ``package.module:function``, with options as in a call.
        root: of the repository, where its package lies.

    Raises:
        UserError: if there is no such function, or it declares no record.
    """
    user_code.load(functions.function_in(name), root=root)
    try:
        functions.options_in(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    record = functions.record_of(name)
    if type(record) not in CONTRACTS:
        kinds = ", ".join(kind.__name__ for kind in CONTRACTS)
        raise UserError(
            f"{functions.function_in(name)} declares no record, which says what it is; "
            f"write @declares(…) before it, with one of {kinds}"
        )
    return list(_checked(name, contract_of(record)))


def contract_of(record: object) -> Contract:
    """The contract of an entry with this record."""
    scored = isinstance(record, Policy) and record.trains_scores
    return OF_SCORES if scored else CONTRACTS[type(record)]


def _checked(name: str, contract: Contract) -> Iterator[Checked]:
    failed = ""
    for one in contract.properties:
        says = (one.__doc__ or "").partition("\n")[0].removesuffix(".")
        broken = said(one, name)
        again = broken.startswith(_FAILS) and broken == failed
        yield Checked(says=says, broken=f"{_FAILS} likewise" if again else broken)
        failed = broken


def said(one: Property, name: str) -> str:
    """The finding of a property about a name; of code that fails, how it fails."""
    try:
        return " ".join(one(name).split())
    except UserError as error:
        return f"{_FAILS}: {error}"
    except Exception as error:
        return f"{_FAILS}: {user_failures.said(error)}{user_failures.seen(error)}"
