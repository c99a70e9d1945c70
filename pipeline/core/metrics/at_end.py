"""Test accuracy at the last step, or where a diverged training was stopped."""

from pipeline.core.training.results import Trained


def accuracy(trained: Trained, end_step: int) -> float:  # noqa: ARG001 - as all metrics
    """The test accuracy of the network that the training leaves behind."""
    return trained.end.test.accuracy
