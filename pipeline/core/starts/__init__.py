"""Starts make the weights from which kept weights begin a round.

Each family of starts is one file, imported on use. Zhou et al. 2019 call starts mask-1
actions. A start is a function in the module that STARTS names. The function has the
start's name, with underscores for hyphens, takes a ``Given`` and returns weights;
``rewinding.start`` puts them under the mask.

Starts differ in the kernels. Biases, norm parameters and running statistics are those of
θ₀, with these exceptions. ``early``, ``trained``, ``fine-tune`` and ``pruned`` take them
from a trained network, and ``theta0-trained-biases`` the biases. ``taken`` has those with
which another variant's round began. Starts that draw a whole network anew set them as
module or layer records begin (0 and 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.arrays import Weights
from pipeline.core.functions import not_arrays
from pipeline.core.registry import Entry, Registry
from pipeline.core.starts.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Start(Entry):
    """Where a start is defined, what it needs beside θ₀, and how its round trains."""

    draws: bool = False
    """whether it draws random numbers, so that a recipe can number its draws"""
    needs_mask: bool = False
    needs_trained: Literal["chain", "mask"] | None = None
    """which trained weights it needs. ``chain``: those of the chain's own previous round,
    for one-shot pruning those of the dense network. ``mask``: those from which the mask
    was cut, so the ticket's if the mask is the ticket's"""
    needs_previous_start: bool = False
    """whether a chain that cuts its own masks takes, in place of θ₀, the weights with which
    its previous round began"""
    needs_taken: bool = False
    """whether it needs the weights with which the round of the mask's variant began; only
    a variant that takes its mask from another one has them"""
    step: Literal["needed", "possible"] | None = None
    """whether the round may begin at a later step of schedule and data order; if
    ``needed``, its weights are those of the dense network at that step"""
    from_beginning: bool = False
    """whether the round trains from step 0 all the same: it only looks at the weights of
    the step that is needed"""
    at_last_rate: bool = False
    """whether the round trains at the rate that the schedule ends with"""
    trains: bool = True
    """whether the round trains; otherwise it evaluates what it begins with"""
    ticket: bool = False
    """whether kept weights begin as in the dense network at step 0 or at an early step;
    with a mask of its own, such a subnetwork is a ticket"""
    needs_formula: bool = False
    """whether it needs the formula of an init; modules that draw themselves have none"""
    program: bool = False
    """whether only a program (``core/programs``) can name it, and ``rewind.to`` cannot"""


STARTS = Registry(
    "start",
    __name__,
    {
        "constant": Start(module="constant", draws=True),
        "early": Start(module="returned", draws=False, step="needed", ticket=True),
        "early-sign-reinit": Start(
            module="drawn", draws=True, step="needed", from_beginning=True
        ),
        "fine-tune": Start(
            module="returned",
            draws=False,
            needs_trained="chain",
            step="possible",
            at_last_rate=True,
        ),
        "norm-matched": Start(module="scaled", needs_taken=True),
        "pruned": Start(module="returned", needs_trained="mask", trains=False),
        "reinit": Start(module="drawn", draws=True),
        "reinit-scaled": Start(
            module="drawn", draws=True, needs_mask=True, needs_formula=True
        ),
        "reshuffle": Start(
            module="permuted", draws=True, needs_mask=True, needs_previous_start=True
        ),
        "reshuffle-all": Start(module="permuted", draws=True),
        "signed-constant": Start(module="constant", draws=False),
        "signed-reinit": Start(module="drawn", draws=True),
        "signed-reshuffle": Start(
            module="permuted", draws=True, needs_mask=True, needs_previous_start=True
        ),
        "taken": Start(module="returned", needs_taken=True, step="possible"),
        "theta0": Start(module="returned", draws=False, ticket=True),
        "theta0-trained-biases": Start(
            module="southampton", draws=False, needs_trained="chain", program=True
        ),
        "trained": Start(
            module="returned",
            draws=False,
            needs_trained="chain",
            step="possible",
        ),
        "trained-magnitudes": Start(module="drawn", draws=True, needs_trained="mask"),
        "trained-sign-reinit": Start(module="drawn", draws=True, needs_trained="mask"),
    },
    own=Start,
)


CHOICES = tuple(name for name, start in STARTS.items() if not start.program)
"""the values that ``rewind.to`` may have"""


def start_source(name: str, given: Given) -> Weights:
    """The weights a round starts from, before its mask.

    Args:
        name: one of STARTS.
        given: left unchanged; what the start does not need is ignored.

    Returns:
        Every tensor of the network. Some may be the very arrays of ``given``, since
        ``rewinding.start`` copies them. Values of pruned weights mean nothing.

    Raises:
        ValueError: if there is no such start, or if what it needs is not given.
    """
    start = STARTS[name]
    missing = [
        thing
        for thing, is_missing in (
            ("the mask of the round", start.needs_mask and not given.mask),
            ("trained weights", start.needs_trained and not given.trained),
            ("early weights", start.step == "needed" and not given.early),
            ("the previous start", start.needs_previous_start and not given.begun),
            ("the start of the mask's variant", start.needs_taken and not given.taken),
        )
        if is_missing
    ]
    if missing:
        raise ValueError(f"the start {name!r} needs {' and '.join(missing)}; give them")
    weights: Weights = _whole(STARTS.load(name)(given))
    if problem := not_arrays(weights) or _problem(weights, given):
        raise ValueError(f"the start {name!r} gives no weights: {problem}")
    return weights


def _whole(found: Any) -> Any:  # noqa: ANN401 - whatever a function of the user's gives
    """The same with arrays in place of numpy's numbers.

    Numpy makes a number of an array without dimensions, such as half of a count.
    """
    from numpy import asarray, generic  # here: the help of the command line reads STARTS

    if not isinstance(found, Mapping):
        return found
    numbers = {n: asarray(v) for n, v in found.items() if isinstance(v, generic)}
    return {**found, **numbers} if numbers else found


def _problem(weights: Weights, given: Given) -> str:
    """Why an answer is no weights of the network; empty = it is some."""
    for name, initial in given.theta0.items():
        if name not in weights:
            return f"{name} is missing"
        values = weights[name]
        if values.shape != initial.shape or values.dtype != initial.dtype:
            found = f"{values.dtype} {list(values.shape)}"
            return f"{name} is {found}, {initial.dtype} {list(initial.shape)} is needed"
    extra = sorted(weights.keys() - given.theta0.keys())
    return f"the network has no {extra[0]}" if extra else ""
