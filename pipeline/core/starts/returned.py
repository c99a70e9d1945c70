"""Starts that return to weights which the chain already has."""

from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given


def theta0(given: Given) -> Weights:
    """θ₀ itself: the rewinding of the original paper.

    Source: Frankle & Carbin 2019, arXiv:1803.03635.
    """
    return given.theta0


def early(given: Given) -> Weights:
    """The dense network after its first k steps: late rewinding, also late resetting.

    The round's schedule and data order go on at step k; the optimizer begins afresh.

    Source: Frankle et al. 2019, arXiv:1903.01611; weight rewinding of Renda et al. 2020,
    arXiv:2003.02389; open_lth keeps no optimizer state at k either.
    """
    return given.early


def taken(given: Given) -> Weights:
    """The weights with which the round of the mask's variant began.

    Together with its mask that is the other variant's ticket, trained on other data or,
    by a transform that maps blocks, in a deeper or shallower network: an elastic ticket of
    Chen et al. 2021, arXiv:2103.16547. With a step k, where the other variant rewinds to
    step k, schedule and data order go on there. Weights that the other variant pruned are
    0, also where a transform keeps them.
    """
    return given.taken


def pruned(given: Given) -> Weights:
    """The network that the mask was cut from, under that mask; the round trains no step.

    So its result is that of pruning alone. With ``prune.pool`` it is the pool: a network
    mixed of several rounds' (Yin et al. 2023, arXiv:2208.10842).
    """
    return given.trained


def trained(given: Given) -> Weights:
    """The previous round's weights as training left them, biases and norms included.

    Source: "continued training", strategy 2 of Frankle & Carbin 2019, appendix B. It
    trains on like this and resets in the end; for that reset, let another variant take
    these masks and start from θ₀. Also learning-rate rewinding of Renda et al. 2020,
    arXiv:2003.02389: with a step k the schedule is replayed from k, with null all of it.
    A weight that the new mask keeps and the previous mask pruned, which happens with
    shuffled masks, starts at 0.
    """
    return given.trained


def fine_tune(given: Given) -> Weights:
    """As ``trained``, but the round trains at the last rate of the schedule.

    It trains from step k to the end; with null, for as many steps as a whole training
    has. The optimizer begins afresh. If the rate does not change from step k on, this is
    learning-rate rewinding.

    Source: Renda et al. 2020, arXiv:2003.02389.
    """
    return given.trained
