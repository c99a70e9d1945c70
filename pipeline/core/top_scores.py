"""Keep the largest of scores that change a little from step to step, in exact numbers.

``pruning.prune_to`` of the scores' sizes defines what is kept. Here the same is found
faster: one pass through the scores says which of them are in doubt, and only those are
ranked.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from pipeline.core import pruning
from pipeline.core.arrays import Floats, Mask, Scores
from pipeline.core.counts import POOL

NEAR = 0.005
"""share of the scores that are in doubt above a new threshold; and as many below it"""
FAR, LESS, LEAST = np.float32(8), np.float32(0.9), np.float32(1e-5)
"""a side of the band is at least FAR times what the threshold moved, LESS times what it
was, LEAST times the threshold: wide where that moves fast, and else soon narrow"""
Places = NDArray[np.intp]
"""flat indices into a tensor, in rising order"""
Part = tuple[int, Floats]
"""where a tensor begins in its pool, and its scores, flat"""
InDoubt = Callable[[Floats, np.float32, np.float32, NDArray[np.bool_], Places], int]


def in_doubt(
    scores: Floats,
    low: np.float32,
    high: np.float32,
    kept: NDArray[np.bool_],
    places: Places,
) -> int:
    """Where a size lies in the band low … high, or beyond it without the mark for that.

    Args:
        scores: (N,), whose sizes are looked at; NaN is as small as can be.
        low: where the band begins.
        high: where it ends.
        kept: (N,), the present marks.
        places: (N,) or more; the first ones are filled with the places found.

    Returns:
        The number of places found.
    """
    sizes = np.abs(scores)
    found = np.flatnonzero(((sizes > low) != kept) | ((sizes > high) != kept))
    places[: len(found)] = found
    return len(found)


class TopScores:
    """Which scores of one network are among the largest in size, from step to step."""

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        pools: Mapping[str, int],
        find: InDoubt = in_doubt,
    ) -> None:
        """Begin with nothing kept.

        Args:
            shapes: of the tensors.
            pools: their keys are the pools, as for ``pruning.prune_to``.
            find: ``in_doubt``, or a function that does the same.
        """
        self.mask: Mask = {}
        """where the largest scores lie; its arrays change with every call of ``keep``"""
        self.numbers = dict.fromkeys(shapes, 0)
        """how many scores of a tensor it keeps"""
        self._pools: dict[str, _Pool] = {}
        for pool in pools:
            names = sorted(shapes.keys() - pools.keys()) if pool == POOL else [pool]
            found = _Pool(names, [prod(shapes[name]) for name in names], find)
            self._pools[pool] = found
            parts = zip(names, np.split(found.kept, found.ends[1:-1]), strict=True)
            self.mask |= {name: part.reshape(shapes[name]) for name, part in parts}

    def keep(self, scores: Scores, counts: Mapping[str, int]) -> dict[str, Places]:
        """Find the scores of largest size, exactly as many per pool as asked for.

        Args:
            scores: of the tensors.
            counts: how many are kept of each pool.

        Returns:
            By tensor, the places where the mask changed.
        """
        changed: dict[str, Places] = {}
        for pool, number in counts.items():
            changed |= self._pools[pool].keep(scores, number)
        for name, places in changed.items():
            came = np.count_nonzero(self.mask[name].reshape(-1)[places])
            self.numbers[name] += 2 * int(came) - len(places)
        return changed


class _Pool:
    """Tensors whose scores are ranked together, one after the other.

    The threshold moves little from step to step, so scores are in doubt only within a band
    around the last one, or where the mask has to change. What is found does not depend on
    the band.
    """

    def __init__(self, names: Sequence[str], sizes: Sequence[int], find: InDoubt) -> None:
        self.ends = [0, *np.cumsum(sizes).tolist()]
        """where each tensor begins, and the end of the last one"""
        self.kept = np.zeros(self.ends[-1], np.bool_)
        self._names = names
        self._number = 0
        self._find = find
        self._room = np.empty(max(sizes), np.intp)
        self._threshold = self._width = np.float32(np.nan)  # no score lies near it

    def keep(self, scores: Scores, number: int) -> dict[str, Places]:
        """Mark the largest scores; returns where the marks changed."""
        flat = (scores[name].reshape(-1) for name in self._names)
        parts = list(zip(self.ends, flat, strict=False))
        places = self._found_near(parts, number)
        if places is None:
            places = self._found(parts, number)
        self.kept[places] ^= True
        self._number = number
        return dict(zip(self._names, self._split(places), strict=True))

    def _split(self, places: Places) -> list[Places]:
        """Places in the pool as places in its tensors."""
        cuts = np.searchsorted(places, self.ends)
        return [
            places[first:end] - begin
            for begin, (first, end) in zip(self.ends, pairwise(cuts), strict=False)
        ]

    def _found_near(self, parts: Sequence[Part], number: int) -> Places | None:
        """Where the marks change; None if the threshold has left the band."""
        low, high = self._threshold - self._width, self._threshold + self._width
        places = np.concatenate([self._doubtful(*part, low, high) for part in parts])
        values = zip(parts, self._split(places), strict=True)
        sizes = np.abs(np.concatenate([scores[where] for (_, scores), where in values]))
        marked, marks = self.kept[places], sizes > high
        band = np.flatnonzero((sizes > low) & ~marks)
        missing = number - self._number + np.count_nonzero(marked)
        missing -= np.count_nonzero(marks)
        if not 0 < missing <= len(band):
            return None
        inside = sizes[band]
        threshold = np.partition(inside, len(band) - missing)[len(band) - missing]
        chosen = band[inside >= threshold]
        if len(chosen) != missing:  # equal scores at the threshold
            return None
        marks[chosen] = True
        moved = FAR * abs(threshold - self._threshold)
        self._width = max(moved, LESS * self._width, LEAST * threshold)
        self._threshold = threshold
        changed: Places = places[marks != marked]
        return changed

    def _doubtful(
        self, begin: int, scores: Floats, low: np.float32, high: np.float32
    ) -> Places:
        """Where the scores of a tensor are in doubt, as places in the pool."""
        kept = self.kept[begin : begin + len(scores)]
        number = self._find(scores, low, high, kept, self._room)
        return self._room[:number] + begin

    def _found(self, parts: Sequence[Part], number: int) -> Places:
        """Where the marks change, found among all scores."""
        sizes = np.abs(np.concatenate([scores for _, scores in parts]))
        place = len(sizes) - number
        marks = pruning.top(sizes, number)
        if 0 <= place < len(sizes):
            sizes.partition(place)
            above = sizes[place:]
            near = min(int(NEAR * len(sizes)), len(above) - 1)
            self._threshold = sizes[place]
            self._width = np.partition(above, near)[near] - self._threshold
        return np.flatnonzero(marks != self.kept)
