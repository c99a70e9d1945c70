"""Criteria: what a weight is worth. One file per family, imported on use.

A criterion is a function in the module that CRITERIA names, called as the criterion is,
with underscores for hyphens; it takes and returns what ``score`` does.
"""

import difflib
import importlib

from pipeline.core.arrays import Mask, Scores, Weights

CRITERIA = {
    "magnitude": "pipeline.core.criteria.magnitude",
}


def score(name: str, *, theta0: Weights, trained: Weights, mask: Mask) -> Scores:
    """The scores of all weights under a mask.

    Args:
        name: one of CRITERIA.
        theta0: weights at step 0, not masked.
        trained: weights at the end of the previous round; pruned ones are 0.
        mask: of the previous round.

    Returns:
        Larger = keep; tensors and shapes of ``mask``; pruned weights score 0. NaN where
        the training diverged: it ranks lowest.

    Raises:
        ValueError: if there is no such criterion.
    """
    module = importlib.import_module(_module_of(name))
    scores: Scores = getattr(module, name.replace("-", "_"))(
        theta0=theta0, trained=trained, mask=mask
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
