"""Criteria: what a weight is worth. One file per family, imported on use.

A criterion is a function in the module that its record names, called as the criterion is,
with underscores for hyphens; it takes an ``Evidence`` and returns what ``score`` does.
"""

from dataclasses import dataclass

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion(Entry):
    """Where a criterion is defined, and what it looks at beside network, θ₀ and mask."""

    needs_trained: bool = True
    """whether it looks at trained weights"""
    needs_batches: bool = False
    """whether it looks at training examples"""
    draws: bool = False
    """whether it takes from the random stream"""


CRITERIA = Registry(
    "criterion",
    __name__,
    {
        "large-final-diff-sign": Criterion(module="signs"),
        "large-final-same-sign": Criterion(module="signs"),
        "large-init": Criterion(module="sizes", needs_trained=False),
        "large-init-large-final": Criterion(module="sizes"),
        "magnitude": Criterion(module="magnitude"),
        "magnitude-increase": Criterion(module="change"),
        "magnitude-increase-diff-sign": Criterion(module="signs"),
        "magnitude-increase-same-sign": Criterion(module="signs"),
        "movement": Criterion(module="change"),
        "random": Criterion(module="chance", needs_trained=False, draws=True),
        "small-final": Criterion(module="sizes"),
        "small-init": Criterion(module="sizes", needs_trained=False),
        "small-init-small-final": Criterion(module="sizes"),
    },
)
"""By name. All but ``random`` decide without chance: Zhou et al. 2019 break ties at
random, here they go to the earlier position (``pruning.prune_to``)."""


def score(name: str, evidence: Evidence) -> Scores:
    """The scores of all weights under a mask.

    Args:
        name: one of CRITERIA.
        evidence: left unchanged; what the criterion does not need is ignored.

    Returns:
        Larger = keep; tensors and shapes of the mask; pruned weights score 0. NaN where
        a training diverged whose weights are looked at: it ranks lowest.

    Raises:
        ValueError: if there is no such criterion, or if what it needs is not given.
    """
    criterion = CRITERIA[name]
    missing = [
        thing
        for thing, is_missing in (
            ("trained weights", criterion.needs_trained and not evidence.trained),
            ("training batches", criterion.needs_batches and evidence.batches is None),
            ("a random stream", criterion.draws and evidence.rng is None),
        )
        if is_missing
    ]
    if missing:
        raise ValueError(f"the criterion {name!r} needs {' and '.join(missing)}; give them")
    scores: Scores = CRITERIA.load(name)(evidence)
    return scores
