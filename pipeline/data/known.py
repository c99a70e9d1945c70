"""The facts of a data set that are known before a stage reads it."""

from dataclasses import dataclass

from pipeline.core.description import Description


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a data set before a stage reads it."""

    description: Description
    """what its examples are"""
    num_train: int
    num_validation: int
    num_test: int
