"""The start of the reproducibility report's script: θ₀ with biases that were trained."""

from pipeline.core.arrays import Weights
from pipeline.core.programs.southampton import freezes
from pipeline.core.starts.given import Given


def theta0_trained_biases(given: Given) -> Weights:
    """θ₀ with the biases that the previous round ended with.

    Resetting hands the saved initial biases to the network without copying them, so that
    the next training changes what is saved. Round 0 trains tensors of its own: round 1
    begins with the initial biases, round r > 1 with those at the end of round r - 1.

    Source: ``core/programs/southampton.py``.
    """
    if given.round == 1:
        return given.theta0
    return {n: w if freezes(n) else given.trained[n] for n, w in given.theta0.items()}
