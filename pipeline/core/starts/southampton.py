"""The start of the Southampton script: θ₀, but with the biases of the previous round."""

from pipeline.core.arrays import Weights
from pipeline.core.programs.southampton import freezes
from pipeline.core.starts.given import Given


def theta0_trained_biases(given: Given) -> Weights:
    """θ₀ with the biases at the end of the previous round.

    The script resets the network to its saved initial biases without copying them, so
    the next training changes the saved ones. Round 0 trains tensors of its own: round 1
    begins with the initial biases, round r > 1 with those at the end of round r - 1.

    Source: ``core/programs/southampton.py``.
    """
    if given.round == 1:
        return given.theta0
    return {n: w if freezes(n) else given.trained[n] for n, w in given.theta0.items()}
