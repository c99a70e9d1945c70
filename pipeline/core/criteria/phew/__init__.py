"""PHEW: random walks through the network that prefer large weights, at initialization.

Patil & Dovrolis 2021, "PHEW: constructing sparse networks that learn fast and generalize
well without training data", arXiv:2010.11354. Walks go forward from the inputs and
backward from the outputs by turns; their starts go round. From a unit the next one is
drawn with probability proportional to Σ|W| over the kernel between both; inside the kernel
one position is drawn in proportion to its |W|. Weights that walks visit are kept: the cut
``paths`` says how many walks that takes.

At a block whose shortcut is a convolution a walk takes the shortcut or the block's body
with equal chance; an identity is never walked on, as in the authors' program. Deviation:
the program prunes the biases of units that no walk visits; here biases are never pruned.

Once walks rarely visit anything new, those that do are drawn without the others
(``seeking``), which takes seconds where it took minutes.
"""

from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import Integers, Mask
from pipeline.core.criteria.evidence import Evidence, Visits, Walks
from pipeline.core.criteria.phew.seeking import Seeking, turns_for
from pipeline.core.criteria.phew.steps import Plain, Steps
from pipeline.core.criteria.phew.walking import At, Draws, walk
from pipeline.core.models.layers import kernels, layers_of

TOGETHER = 4_096
"""walks that are drawn together"""
FEW = 40
"""new weights of that many walks; with fewer, walks without news are left out"""


def phew(evidence: Evidence) -> Walks:
    """The weights that walks through the weights visit, batch after batch without end.

    Raises:
        ValueError: if a unit has no weight but 0, so that no walk can go on from it.
    """
    assert evidence.rng is not None, "its record says that it draws"
    names = kernels(evidence.network)
    steps = {name: Steps(evidence.begun[name]) for name in names}
    return _Walker(evidence=evidence, steps=steps, rng=evidence.rng).walks


@dataclass(kw_only=True, slots=True)
class _Walker:
    """Random walks through a network, and how far their starts have gone round."""

    evidence: Evidence
    steps: dict[str, Steps]
    rng: np.random.Generator
    turns: int = 0
    """walks so far in each direction"""
    known: int = field(default=0, init=False)
    """weights that the walks before the last ones visited"""

    def walks(self, visited: Mask) -> list[Visits]:
        """What the next walks visit; even ones go forward, odd ones backward."""
        before, self.known = self.known, sum(int(kept.sum()) for kept in visited.values())
        if self.turns and self.known - before < FEW:
            return self._with_news(visited)
        turns = np.arange(self.turns, self.turns + TOGETHER // 2)
        self.turns += TOGETHER // 2
        found: list[Visits] = []
        for ahead in (True, False):
            self._walk(turns, Plain(steps=self.steps, rng=self.rng, ahead=ahead), found)
        return found

    def _with_news(self, visited: Mask) -> list[Visits]:
        """What the next walks visit that visit something new."""
        layers = layers_of(self.evidence.network)
        directions = [
            Seeking(layers, self.steps, visited, self.rng, ahead=ahead)
            for ahead in (True, False)
        ]
        num = turns_for(TOGETHER, directions)
        found: list[Visits] = []
        for draws in directions:
            self._walk(draws.numbers(self.turns, num), draws, found)
        self.turns += num
        return found

    def _walk(self, turns: Integers, draws: Draws, found: list[Visits]) -> None:
        steps = list(self.steps.values())
        num = steps[0].inputs if draws.ahead else steps[-1].outputs
        begin = At(
            walks=2 * turns + (not draws.ahead),
            units=turns % num,
            num_units=num,
            seeks=np.ones(len(turns), bool),
        )
        walk(layers_of(self.evidence.network), begin, draws, found)
