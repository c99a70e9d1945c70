"""Pairs of networks that are the two ends of a line."""

from collections.abc import Sequence

OTHER_SEED = "other-seed"
"""the same round of the next seed of the group, from another initialization"""


def seeds_between(to: str | None, seeds: Sequence[int]) -> list[tuple[int, int]]:
    """The seeds at both ends of each line of a group.

    With ``other-seed`` each seed is paired with the next one, and the last with the first.
    There are as many lines as seeds, and each network is an end of two, so the lines are
    not independent. Two seeds have one line, and a seed alone has none.

    Args:
        to: the other end, as an analysis names it.
        seeds: the seeds of the group.

    >>> seeds_between("previous", [3, 5]), seeds_between("other-seed", [3, 5, 8])
    ([(3, 3), (5, 5)], [(3, 5), (5, 8), (8, 3)])
    """
    if to != OTHER_SEED:
        return [(seed, seed) for seed in seeds]
    pairs = list(zip(seeds, (*seeds[1:], seeds[0]), strict=True))
    return pairs if len(seeds) > 2 else pairs[:-1]
