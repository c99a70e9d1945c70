"""Metrics define the test accuracy of a training. One file each."""

from typing import TYPE_CHECKING

from pipeline.core.registry import Entry, Registry

if TYPE_CHECKING:
    from pipeline.core.training.results import Trained

METRICS: Registry[Entry] = Registry(
    "metric",
    __name__,
    {
        "at-end": Entry(module="at_end"),
        "best-before-end": Entry(module="best_before_end"),
    },
    offers="accuracy",
)


def accuracy(name: str, trained: "Trained", end_step: int) -> float:
    """The test accuracy of a training by the named metric, a fraction.

    Args:
        name: one of METRICS.
        trained: the finished training.
        end_step: the step at which the training was to end.

    Raises:
        UnknownNameError: if there is no such metric.
    """
    found: float = METRICS.load(name)(trained, end_step)
    return found
