"""Starts: what kept weights begin a round from. One file per family, imported on use.

Zhou et al. 2019 call these mask-1 actions. A start is a function in the module that
STARTS names, called as the start is, with underscores for hyphens; it takes a ``Given``
and returns weights that ``rewinding.start`` puts under the mask.

Starts differ in kernels. Biases, norm parameters and running statistics are θ₀'s, but
for ``early``, ``trained`` and ``fine-tune``, which take all of a trained network, and for
starts that draw a whole network anew, which draws those as θ₀'s were (0 and 1).
"""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.arrays import Weights
from pipeline.core.registry import Entry, Registry
from pipeline.core.starts.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Start(Entry):
    """Where a start is defined, and what it needs beside θ₀."""

    draws: bool
    """whether it takes from the stream, so that draws of it can be numbered"""
    needs_mask: bool = False
    needs_trained: Literal["chain", "mask"] | None = None
    """whose trained weights: ``chain``: of the own previous round, in one shot the dense
    network's; ``mask``: those that the mask was cut from, a ticket's where the mask is"""
    step: Literal["needed", "possible"] | None = None
    """whether the round may begin at a later step of schedule and data order; where it
    is needed, the weights are those of the dense network at that step"""
    at_last_rate: bool = False
    """whether the round trains at the rate that the schedule ends with"""
    ticket: bool = False
    """whether kept weights are the dense network's own, of step 0 or of an early step: a
    subnetwork that begins so under a mask of its own is a ticket"""
    program: bool = False
    """whether only a program names it (``core/programs``), and ``rewind.to`` cannot"""


STARTS = Registry(
    "start",
    __name__,
    {
        "constant": Start(module="constant", draws=True),
        "early": Start(module="returned", draws=False, step="needed", ticket=True),
        "fine-tune": Start(
            module="returned",
            draws=False,
            needs_trained="chain",
            step="possible",
            at_last_rate=True,
        ),
        "reinit": Start(module="drawn", draws=True),
        "reinit-scaled": Start(module="drawn", draws=True, needs_mask=True),
        "reshuffle": Start(module="permuted", draws=True, needs_mask=True),
        "reshuffle-all": Start(module="permuted", draws=True),
        "signed-constant": Start(module="constant", draws=False),
        "signed-reinit": Start(module="drawn", draws=True),
        "signed-reshuffle": Start(module="permuted", draws=True, needs_mask=True),
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
        "trained-sign-reinit": Start(module="drawn", draws=True, needs_trained="mask"),
    },
)


CHOICES = tuple(name for name, start in STARTS.items() if not start.program)
"""what ``rewind.to`` may be"""


def start_source(name: str, given: Given) -> Weights:
    """The weights a round starts from, before its mask.

    Args:
        name: one of STARTS.
        given: left unchanged; what the start does not need is ignored.

    Returns:
        Every tensor of the network. Some may be the arrays of ``given`` themselves:
        ``rewinding.start`` copies. Values of pruned weights mean nothing.

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
        )
        if is_missing
    ]
    if missing:
        raise ValueError(f"the start {name!r} needs {' and '.join(missing)}; give them")
    weights: Weights = STARTS.load(name)(given)
    return weights
