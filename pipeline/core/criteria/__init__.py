"""Criteria: what a weight is worth. One file per family, imported on use.

A criterion is a function in the module that CRITERIA names, called as the criterion is,
with underscores for hyphens; it takes by keyword and returns what ``score`` does, and
names only the arguments it looks at.
"""

import difflib
import importlib

import numpy as np

from pipeline.core.arrays import Mask, Scores, Weights

CRITERIA = {
    "large-final-diff-sign": "pipeline.core.criteria.signs",
    "large-final-same-sign": "pipeline.core.criteria.signs",
    "large-init": "pipeline.core.criteria.sizes",
    "large-init-large-final": "pipeline.core.criteria.sizes",
    "magnitude": "pipeline.core.criteria.magnitude",
    "magnitude-increase": "pipeline.core.criteria.change",
    "magnitude-increase-diff-sign": "pipeline.core.criteria.signs",
    "magnitude-increase-same-sign": "pipeline.core.criteria.signs",
    "movement": "pipeline.core.criteria.change",
    "random": "pipeline.core.criteria.chance",
    "small-final": "pipeline.core.criteria.sizes",
    "small-init": "pipeline.core.criteria.sizes",
    "small-init-small-final": "pipeline.core.criteria.sizes",
}
"""By name. All but ``random`` decide without chance: Zhou et al. 2019 break ties at
random, here they go to the earlier position (``pruning.prune_to``)."""

DRAWING = frozenset({"random"})
"""Which of them need a stream."""


def score(
    name: str,
    *,
    theta0: Weights,
    trained: Weights,
    mask: Mask,
    rng: np.random.Generator | None = None,
) -> Scores:
    """The scores of all weights under a mask.

    Args:
        name: one of CRITERIA.
        theta0: weights at step 0, not masked. Zhou et al. 2019 take what the scored
            training began with; the two are one for every chain that rewinds to θ₀.
        trained: weights at the end of the previous round; pruned ones are 0.
        mask: of the previous round; values of pruned weights do not matter.
        rng: stream ``mask_sample`` of the round that is scored; for DRAWING only.

    Returns:
        Larger = keep; tensors and shapes of ``mask``; pruned weights score 0. NaN where
        a training diverged whose weights are looked at: it ranks lowest.

    Raises:
        ValueError: if there is no such criterion, or if it draws and has no stream.
    """
    module = importlib.import_module(_module_of(name))
    if name in DRAWING and rng is None:
        raise ValueError(f"the criterion {name!r} draws its scores; give it a stream")
    scores: Scores = getattr(module, name.replace("-", "_"))(
        theta0=theta0, trained=trained, mask=mask, rng=rng
    )
    return scores


def file_of(name: str) -> str:
    """The file in this folder that defines a criterion.

    Raises:
        ValueError: if there is no such criterion.

    >>> file_of("magnitude")
    'magnitude.py'
    """
    return _module_of(name).rpartition(".")[2] + ".py"


def _module_of(name: str) -> str:
    if name not in CRITERIA:
        near = difflib.get_close_matches(name, CRITERIA, n=1)
        raise ValueError(
            f"unknown criterion {name!r}; the criteria are {sorted(CRITERIA)}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return CRITERIA[name]
