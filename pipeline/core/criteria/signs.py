"""Scores that count only weights that kept their sign, or only weights that flipped it.

All other weights score 0, as in the source's code. That is below every positive score;
where the score is the increase, it is above the negative score of a weight that counts
and shrank. A weight that training left at exactly 0 has lost its sign: it counts as
flipped.

So many weights are tied at 0, often more than a layer loses. Chance decides between them,
as in the source's code; taken by position, whole units would stay and others vanish.

Source: Zhou et al. 2019, arXiv:1905.01067; ``large-final-same-sign`` makes their best
supermasks.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from pipeline.core.arrays import Floats, Scores
from pipeline.core.criteria.evidence import Evidence


def large_final_same_sign(evidence: Evidence) -> Scores:
    """|θ_trained| where the sign is θ_begun's, else 0."""
    return _counted("same", _final, evidence)


def large_final_diff_sign(evidence: Evidence) -> Scores:
    """|θ_trained| where the sign is not θ_begun's, else 0."""
    return _counted("different", _final, evidence)


def magnitude_increase_same_sign(evidence: Evidence) -> Scores:
    """|θ_trained| - |θ_begun| where the sign is θ_begun's, else 0."""
    return _counted("same", _increase, evidence)


def magnitude_increase_diff_sign(evidence: Evidence) -> Scores:
    """|θ_trained| - |θ_begun| where the sign is not θ_begun's, else 0."""
    return _counted("different", _increase, evidence)


def _counted(
    sign: Literal["same", "different"],
    size: Callable[[Floats, Floats], Floats],
    evidence: Evidence,
) -> Scores:
    scores: Scores = {}
    for name, kept in evidence.mask.items():
        before, after = evidence.begun[name], evidence.trained[name]
        same = np.sign(before) == np.sign(after)
        # NaN has no sign; it must stay NaN under either rule, to rank lowest.
        counts = np.isnan(after) | (same if sign == "same" else ~same)
        scores[name] = np.where(kept & counts, size(before, after), np.float32(0))
    return scores


def _final(_: Floats, after: Floats) -> Floats:
    return np.abs(after)


def _increase(before: Floats, after: Floats) -> Floats:
    return np.abs(after) - np.abs(before)
