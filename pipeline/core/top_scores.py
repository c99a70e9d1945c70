"""Keep the highest of scores that change a little from step to step, in exact numbers.

``pruning.prune_to`` defines what is kept. Here the same is found faster, because arrays are
kept between calls.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from pipeline.core import pruning
from pipeline.core.arrays import Floats, Mask
from pipeline.core.counts import POOL

NEAR = 0.01
"""share of the scores above the threshold that are looked at first"""


class TopScores:
    """The scores of one network, and which of them are among the highest."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], pools: Mapping[str, int]):
        """Make room for scores.

        Args:
            shapes: of the tensors.
            pools: their keys are the pools, as for ``pruning.prune_to``.
        """
        self.scores: dict[str, Floats] = {}
        """where the caller writes the scores, by tensor"""
        self._masks: Mask = {}
        self._pools: dict[str, _Pool] = {}
        for pool in pools:
            names = sorted(shapes.keys() - pools.keys()) if pool == POOL else [pool]
            ends = np.cumsum([prod(shapes[name]) for name in names])
            found = _Pool(int(ends[-1]))
            self._pools[pool] = found
            parts = zip(
                names,
                np.split(found.scores, ends[:-1]),
                np.split(found.kept, ends[:-1]),
                strict=True,
            )
            for name, scores, kept in parts:
                self.scores[name] = scores.reshape(shapes[name])
                self._masks[name] = kept.reshape(shapes[name])

    def kept(self, counts: Mapping[str, int]) -> Mask:
        """Where the highest of the scores lie, exactly as many per pool as asked for.

        The mask's arrays hold until the next call.
        """
        for pool, number in counts.items():
            self._pools[pool].keep(number)
        return self._masks


class _Pool:
    """Scores that are ranked together.

    The threshold moves little from step to step, so it is looked for in a band around the
    last one; what is found does not depend on the band.
    """

    def __init__(self, size: int) -> None:
        self.scores = np.zeros(size, np.float32)
        self.kept = np.zeros(size, np.bool_)
        self._room = np.empty(size, np.float32)
        self._maybe = np.empty(size, np.bool_)
        self._threshold = self._width = np.float32(np.nan)  # no score lies near it

    def keep(self, number: int) -> None:
        """Mark the highest scores."""
        place = len(self.scores) - number
        within = 0 <= place < len(self.scores)
        if within and (self._found_near(number) or self._found(number, place)):
            return
        # Equal scores at the threshold, or scores that are no numbers.
        self.kept[:] = pruning.top(self.scores, number)

    def _found_near(self, number: int) -> bool:
        """Look among the scores in the band; False if the threshold lies elsewhere."""
        np.greater(self.scores, self._threshold + self._width, out=self.kept)
        missing = number - np.count_nonzero(self.kept)
        np.greater(self.scores, self._threshold - self._width, out=self._maybe)
        if not 0 < missing <= np.count_nonzero(self._maybe) - number + missing:
            return False
        np.not_equal(self._maybe, self.kept, out=self._maybe)
        places = np.flatnonzero(self._maybe)
        inside = self.scores[places]
        threshold = np.partition(inside, len(inside) - missing)[len(inside) - missing]
        chosen = inside >= threshold
        if np.count_nonzero(chosen) != missing:
            return False
        self.kept[places[chosen]] = True
        self._threshold = threshold
        return True

    def _found(self, number: int, place: int) -> bool:
        """Look among all scores; False if there is no threshold between two of them."""
        np.copyto(self._room, self.scores)
        self._room.partition(place)
        self._threshold = self._room[place]
        above = self._room[place:]
        near = min(int(NEAR * len(self.scores)), len(above) - 1)
        self._width = np.partition(above, near)[near] - self._threshold
        np.greater_equal(self.scores, self._threshold, out=self.kept)
        return int(np.count_nonzero(self.kept)) == number
