"""Make the weights that a round begins with, as its recipe says."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core import rewinding, seeding, starts
from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import Network
from pipeline.core.starts.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """All that the start of a round with one seed can be made of."""

    theta0: Weights
    behind: Callable[[], Weights]
    """reads the weights beside θ₀ that some starts look at; called for those alone"""
    mask: Mask
    """that the round begins with"""
    network: Network
    init: str
    """how the network's kernels are drawn: a key of INITS"""
    seed: int
    round: int
    """1 or more; draws differ between rounds"""


def source_weights(known: Known, start: str, draw: int | None) -> Weights:
    """The weights that a round starts from, before its mask.

    Args:
        known: left unchanged.
        start: one of STARTS.
        draw: number of the draw; None where the start draws nothing.
    """
    needs = starts.STARTS[start]
    given = Given(
        theta0=known.theta0,
        trained=known.behind() if needs.needs_trained else {},
        early=known.behind() if needs.step == "needed" else {},
        begun=known.behind() if needs.needs_previous_start else {},
        taken=known.behind() if needs.needs_taken else {},
        mask=known.mask,
        round=known.round,
        network=known.network,
        init=known.init,
        rng=seeding.generator(known.seed, "reinit", round=known.round, copy=draw or 0),
    )
    return starts.start_source(start, given)


def start_weights(known: Known, source: Weights, pruned: str) -> Weights:
    """The weights that a round starts from.

    Args:
        known: left unchanged.
        source: its ``source_weights``.
        pruned: one of ``rewinding.ACTIONS``: what pruned weights are.
    """
    looks = pruned in rewinding.LOOK_AT_TRAINED
    return rewinding.frozen_start(
        pruned,
        source,
        known.mask,
        theta0=known.theta0,
        trained=known.behind() if looks else {},
    )
