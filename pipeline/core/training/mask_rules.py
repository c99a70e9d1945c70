"""The contract of mask rules, which change a mask while its network trains.

Most trainings keep the mask with which they begin. A job with a rule pauses after some of
its updates; there the rule looks at the network and decides which mask holds from then on.
The rules themselves are in ``core/policies``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks
from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import Network, kernels

Arrays = Mapping[str, NDArray[np.generic]]


def _no_stream(purpose: str) -> np.random.Generator:
    raise ValueError(f"no random stream for {purpose}: give one")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Everything that a rule may look at when it changes a mask; it only reads."""

    step: int
    """number of updates so far"""
    weights: Weights
    """weights of the network after these updates"""
    gradients: Callable[[], Weights] = dict
    """computes the gradients of the next batch with respect to all weights of the masked
    tensors, pruned ones too; {} unless the rule looks at gradients"""
    draw: Callable[[str], np.random.Generator] = _no_stream
    """a random stream for this step and a purpose of the rule's own"""


class LivingMask(Protocol):
    """The mask of one network in training, which a rule changes."""

    @property
    def mask(self) -> Mask:
        """The mask that holds now."""

    def change(self, seen: Seen) -> None:
        """Change the mask as far as is due after this step's update."""

    def finish(self, seen: Seen) -> None:
        """Take the final mask at once, because the training ends here."""

    def kept_steps(self, step: int) -> dict[str, int]:
        """Per tensor, the sum over all steps so far of the number of weights kept."""

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that a continuation needs."""

    def restore(self, state: Arrays) -> None:
        """Go on from a state taken by ``state()``."""


class Shrinking:
    """A mask that loses weights, with the sum over all steps of how many it kept."""

    def __init__(self, dense: Mask, first: int) -> None:
        """Begin with the dense mask at the first step.

        Args:
            dense: a mask of the tensors that count, which keeps everything.
            first: step at which the training begins.
        """
        self.mask = dense
        self._since = first
        self._spent = dict.fromkeys(dense, 0)

    def shrink(self, mask: Mask, step: int) -> None:
        """Keep less after a step's update."""
        self._spent, self._since = self.kept_steps(step), step
        self.mask = mask

    def kept_steps(self, step: int) -> dict[str, int]:
        """Per tensor, the sum over all steps so far of the number of weights kept."""
        return {
            name: self._spent[name] + (step - self._since) * kept
            for name, kept in masks.kept(self.mask).items()
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that a continuation needs."""
        state: dict[str, NDArray[Any]] = {"since": np.array([self._since])}
        state |= {f"mask/{name}": kept.copy() for name, kept in self.mask.items()}
        return state | {f"spent/{n}": np.array([s]) for n, s in self._spent.items()}

    def restore(self, state: Arrays) -> None:
        """Go on from a state taken by ``state()``."""
        self.mask = {n: np.asarray(state[f"mask/{n}"], np.bool_) for n in self.mask}
        self._spent = {n: int(state[f"spent/{n}"][0]) for n in self._spent}
        self._since = int(state["since"][0])


class MaskRule(Protocol):
    """How a mask is going to change, fixed before the training begins.

    A rule is a frozen dataclass of plain values. Like all else that decides a result, the
    values enter the digest of a training, and they go to the workers with its job.
    """

    @property
    def counted(self) -> tuple[str, ...]:
        """Names of the tensors that the mask has: those that count in the density."""

    @property
    def looks_at_gradients(self) -> bool:
        """Whether it asks for gradients."""

    def steps(self, first: int, end: int) -> tuple[int, ...]:
        """The updates after which the mask changes, in order; the last makes it final."""

    def begin(self, mask: Mask, first: int, end: int) -> LivingMask:
        """The mask of one network, ready at the first step.

        Args:
            mask: the mask with which the training begins.
            first: step at which the training begins.
            end: step at which its schedule ends.
        """


class Counted(Protocol):
    """A rule, as far as it says which tensors have a mask."""

    @property
    def counted(self) -> tuple[str, ...]:
        """Names of the tensors that the mask has."""


def first_mask(network: Network, rule: Counted | None = None) -> Mask:
    """The mask of a training that begins dense: it keeps everything.

    Args:
        network: whose kernels it has.
        rule: that changes it, or trains scores; then only the tensors that count.
    """
    tensors = kernels(network)
    return masks.dense(tensors, rule.counted if rule else tensors)
