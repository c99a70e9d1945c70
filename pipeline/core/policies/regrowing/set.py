"""SET: the mask takes weights in at random.

Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive sparse
connectivity inspired by network science", arXiv:1707.04780, as Evci et al. 2020
(arXiv:1911.11134) compare with it: it drops the smallest weights on RigL's schedule.

Deviations from Mocanu et al.: they drop .3 of the smallest positive and of the largest
negative weights once an epoch, and give new weights random values; here new ones are 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.arrays import Integers, Mask
from pipeline.core.cuts.asked import Asked
from pipeline.core.policies.regrowing import Moving, Regrowing
from pipeline.core.training.mask_rules import Seen


@dataclass(frozen=True, kw_only=True, slots=True)
class Random(Regrowing):
    """The rule of SET."""

    looks_at_gradients: bool = False

    def begin(self, mask: Mask, first: int, end: int) -> Moving:
        """The mask of one network, as its round begins with it."""
        return Moving(mask, first, end, at_random)


def rule(_: Asked, sizes: Mapping[str, int]) -> Random:
    """The rule for a network; the mask that it begins with says how much is kept."""
    return Random(counted=tuple(sizes))


def at_random(seen: Seen, name: str, candidates: Integers, num: int) -> Integers:
    """Some of the candidates, all with the same chance."""
    rng = seen.draw(name)
    found: Integers = rng.choice(candidates, size=num, replace=False)
    return found
