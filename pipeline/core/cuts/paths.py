"""The cut that keeps whole paths: the weights that walks visit, up to the number asked for.

Source: Patil & Dovrolis 2021, arXiv:2010.11354, and the authors' program: the walk that
reaches the number is the last one, so the mask keeps less than one path more, and every
weight of it lies on a path from an input to an output.
"""

import numpy as np

from pipeline.core.arrays import Integers, Mask
from pipeline.core.counts import POOL
from pipeline.core.criteria import CRITERIA
from pipeline.core.criteria.evidence import Evidence, Visits, Walks
from pipeline.core.cuts.asked import Asked


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Keep the weights on the paths of as many walks as the count asks for.

    Args:
        evidence: its mask keeps everything.
        asked: in global scope, by a criterion that walks. Tensors with the fraction 0 are
            walked on and stay whole.

    Raises:
        ValueError: if the mask has pruned a weight.
    """
    if not all(kept.all() for kept in evidence.mask.values()):
        raise ValueError("paths are drawn in a dense network, and some weights are pruned")
    counts = asked.counts({name: kept.size for name, kept in evidence.mask.items()})
    visited = {
        name: np.full(kept.shape, name in counts) for name, kept in evidence.mask.items()
    }
    pool = [name for name in visited if name not in counts]
    left = counts[POOL]
    if left == sum(visited[name].size for name in pool):
        return {name: np.ones_like(kept) for name, kept in visited.items()}
    walks: Walks = CRITERIA.load(asked.criterion)(evidence)
    while left > 0:
        left -= _mark(visited, _first_visits(visited, walks(visited), pool), left)
    return visited


First = dict[str, tuple[Integers, Integers]]
"""walks and places, by tensor: the weights visited for the first time, and by which walk"""


def _first_visits(visited: Mask, visits: list[Visits], pool: list[str]) -> First:
    """What these walks visit that none visited before them."""
    found: First = {}
    for name in pool:
        mine = [one for one in visits if one.tensor == name]
        walks = np.concatenate([one.walks for one in mine])
        places = np.concatenate([one.places for one in mine])
        order = np.argsort(walks, kind="stable")
        order = order[~visited[name].ravel()[places[order]]]
        new, at = np.unique(places[order], return_index=True)  # the first of each
        found[name] = walks[order][at], new
    return found


def _mark(visited: Mask, first: First, left: int) -> int:
    """Mark first visits, up to those of the walk that reaches the number left.

    Returns:
        The number of weights marked.
    """
    walks = np.sort(np.concatenate([walks for walks, _ in first.values()]))
    last = walks[min(left, len(walks)) - 1] if len(walks) else 0
    for name, (by, places) in first.items():
        visited[name].reshape(-1)[places[by <= last]] = True
    return int((walks <= last).sum())
