"""Starts that are weights the chain already has."""

from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given


def theta0(given: Given) -> Weights:
    """θ₀ itself: rewinding.

    Source: Frankle & Carbin 2019, arXiv:1803.03635.
    """
    return given.theta0


def early(given: Given) -> Weights:
    """The dense network after its first k steps: late rewinding, late resetting.

    The round's schedule and data order go on at step k; the optimizer begins afresh.

    Source: Frankle et al. 2019, arXiv:1903.01611; weight rewinding of Renda et al. 2020,
    arXiv:2003.02389; open_lth keeps no optimizer state at k either.
    """
    return given.early


def trained(given: Given) -> Weights:
    """The previous round's weights as training left them, biases and norms included.

    Source: "continued training", strategy 2 of Frankle & Carbin 2019, appendix B; what
    fine-tuning and learning-rate rewinding start from (Renda et al. 2020,
    arXiv:2003.02389), which differ in the schedule: with a step k learning-rate rewinding
    replays it from k, with null it replays all of it. Where the rate is constant, only
    the number of steps differs, and learning-rate rewinding is fine-tuning. A weight
    that the new mask keeps and the previous one did not, as a shuffled mask may, starts
    at 0.
    """
    return given.trained
