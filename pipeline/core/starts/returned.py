"""Starts that are weights the chain already has."""

from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given


def theta0(given: Given) -> Weights:
    """θ₀ itself: rewinding.

    Source: Frankle & Carbin 2019, arXiv:1803.03635.
    """
    return given.theta0


def trained(given: Given) -> Weights:
    """The previous round's weights as training left them, biases and norms included.

    Source: "continued training", strategy 2 of Frankle & Carbin 2019, appendix B; what
    fine-tuning and learning-rate rewinding start from (Renda et al. 2020,
    arXiv:2003.02389), which differ in the schedule. A weight that the new mask keeps
    and the previous one did not, as a shuffled mask may, starts at 0.
    """
    return given.trained
