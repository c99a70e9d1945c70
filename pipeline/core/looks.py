"""Looks: the numbers of seeds at which results are judged, declared before they are run.

Whoever adds seeds until a verdict comes gets a wrong one in .10 to .19 of experiments, not
in .05. So the numbers of seeds at which one looks are declared, and each look has a
smaller level, the same for all (Pocock 1977, Biometrika 64, 191-199), such that all of
them together are wrong in at most ALPHA. Seeds beyond a look wait for the next one.

Without declared looks, seeds may be added at any time for any reason. The price is an
*e-value*: evidence that is valid however one stops, and that needs more seeds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

ALPHA = 0.05
"""chance of a wrong decision, over all looks, in either direction"""
LEVEL = 0.0258
"""of each of the looks DEFAULT"""
LEAST_OPEN = 5
"""an e-value of fewer seeds never reaches 1 / ALPHA"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """The declared looks, or none."""

    at: tuple[int, ...]
    """numbers of seeds, ascending; () = open-ended: judged by e-values at any number"""

    @property
    def open(self) -> bool:
        """Whether seeds may be added at any time."""
        return not self.at

    @property
    def first(self) -> int:
        """The least number of seeds with which there can be a verdict."""
        return self.at[0] if self.at else LEAST_OPEN

    @property
    def level(self) -> float:
        """The level of a test at each look."""
        if self.open:
            return ALPHA
        if self.at == DEFAULT.at:
            return LEVEL
        # Settings have looks as well, and need no numerics.
        from pipeline.core import look_levels

        return look_levels.common(self.at)

    def reached(self, num_seeds: int) -> tuple[int, ...]:
        """The numbers of seeds at which so many seeds are judged, in order.

        >>> DEFAULT.reached(11), Looks(at=()).reached(11), DEFAULT.reached(7)
        ((8, 10), (11,), ())
        """
        if self.open:
            return (num_seeds,) if num_seeds >= LEAST_OPEN else ()
        return tuple(at for at in self.at if at <= num_seeds)

    def reached_before(
        self, hidden: Collection[int], seeds: Sequence[int]
    ) -> tuple[int, ...]:
        """The numbers of seeds, as ``reached``, that take in no seed with a hidden value.

        >>> DEFAULT.reached_before({9}, range(12))
        (8,)
        >>> Looks(at=()).reached_before({9}, range(12))
        (9,)
        """
        first = next((n for n, seed in enumerate(seeds) if seed in hidden), len(seeds))
        return self.reached(first)

    def __str__(self) -> str:
        """The looks in words."""
        return ", ".join(map(str, self.at)) if self.at else "open-ended"


DEFAULT = Looks(at=(8, 10, 12))
