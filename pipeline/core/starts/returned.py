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

    Source: "continued training", strategy 2 of Frankle & Carbin 2019, appendix B, which
    trains on like this and resets in the end: a variant that takes these masks and starts
    from θ₀. Learning-rate rewinding of Renda et al. 2020, arXiv:2003.02389: with a step
    k it replays the schedule from k, with null all of it. A weight that the new mask
    keeps and the previous one did not, as a shuffled mask may, starts at 0.
    """
    return given.trained


def fine_tune(given: Given) -> Weights:
    """As ``trained``; the round then trains at the last rate of the schedule.

    From step k to the end, with null for as many steps as a whole training has; the
    optimizer begins afresh. Where the rate does not change from k on, this is
    learning-rate rewinding.

    Source: Renda et al. 2020, arXiv:2003.02389.
    """
    return given.trained
