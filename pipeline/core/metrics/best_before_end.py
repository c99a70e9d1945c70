"""The highest test accuracy before the last step: the test set itself chooses it."""

import numpy as np

from pipeline.core.training.results import Trained


def accuracy(trained: Trained, end_step: int) -> float:
    """The best of all tests before the last step, including that of the untrained network.

    Source: the reproducibility report's script (``core/programs/southampton.py``), which
    does not test at the end.
    """
    test = trained.curves["test"]
    return float(np.max(test.accuracy[test.step < end_step]))
