"""Masks that change while a network trains: what such a rule promises the loop.

Most trainings keep the mask that they begin with. A job with a rule pauses after some of
its updates; there the rule looks at the network and says which mask holds from then on.
The rules themselves are policies (``core/policies``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Mask, Weights

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """All that a rule may look at when it changes a mask; it writes into none of it."""

    step: int
    """updates so far"""
    weights: Weights
    """after that step's update"""


class LivingMask(Protocol):
    """The mask of one network in training, as a rule changes it."""

    @property
    def mask(self) -> Mask:
        """The mask that holds now."""

    def change(self, seen: Seen) -> None:
        """Change the mask as is due after this step's update."""

    def finish(self, seen: Seen) -> None:
        """Take the final mask at once: the training ends here."""

    def kept_steps(self, step: int) -> dict[str, int]:
        """Weights kept × steps trained with them, up to this step, per tensor."""

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of all that going on needs."""

    def restore(self, state: Arrays) -> None:
        """Go on from a state taken by ``state()``."""


class MaskRule(Protocol):
    """How a mask changes, said before the training begins.

    A rule is a frozen dataclass of plain values: they name a training, beside all else
    that decides its result, and go to workers with it.
    """

    @property
    def counted(self) -> tuple[str, ...]:
        """The tensors that the mask has: those that count in the density."""

    def steps(self, first: int, end: int) -> tuple[int, ...]:
        """After which updates the mask changes, in order; with the last it is final."""

    def begin(self, mask: Mask, first: int, end: int) -> LivingMask:
        """The mask of one network, at the first step.

        Args:
            mask: that the training begins with.
            first: step at which it begins.
            end: step at which its schedule ends.
        """
