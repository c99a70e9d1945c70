"""Replace each weight by a subset of random numbers that its output unit draws once.

Source: Pensia et al. 2020, "Optimal lottery tickets via SubsetSum", arXiv:2006.07990,
first experiment, as its program does it (acnagle/optimal-lottery-tickets): candidates are
uniform over the range of the target's weights, and all weights of an output unit share
them. The program solves each weight with a commercial solver (21.5 h on 36 cores).

Deviation: biases are approximated as well, from the same candidates; the source has none.
"""

from collections.abc import Callable

import numpy as np

from pipeline.core.constructions.subset_sum import best_subsets, sums
from pipeline.core.constructions.target import (
    Built,
    Doubles,
    Layer,
    Target,
    count,
    put_back,
    rows_of,
)


def build(
    target: Target, candidates: int, rng: np.random.Generator, pause: Callable[[], None]
) -> Built:
    """Approximate every kernel and bias, whatever the layers are."""
    matrices = rows_of(target)
    low = min(matrix.min() for matrix in matrices.values())
    high = max(matrix.max() for matrix in matrices.values())
    layers: dict[str, Layer] = {}
    found: dict[str, Doubles] = {}
    for name, matrix in matrices.items():
        drawn = rng.uniform(low, high, (len(matrix), candidates))
        each = []
        for row, mine in zip(matrix, drawn, strict=True):
            pause()
            each.append(best_subsets(row[None], mine[None])[0])
        subsets = np.stack(each)
        found[name] = sums(drawn, subsets)
        layers[name] = Layer(
            subsets=subsets[None],
            errors=np.abs(found[name] - matrix)[None],
            drawn=matrix.size * candidates,
            kept=count(subsets),
            units=0,
        )
    return Built(
        network=target.network, weights=put_back(target, found), layers=layers, scale=1.0
    )
