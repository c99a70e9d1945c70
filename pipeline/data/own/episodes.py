"""Episodes of an environment as a data set: where each begins, and its seed."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.batches import Dataset, Split
from pipeline.core.control import ENVIRONMENTS, Environment
from pipeline.core.description import Actions, Description, Vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class Episodes:
    """Episodes of one environment of gymnasium."""

    environment: str
    """CartPole-v1 or Acrobot-v1"""
    episodes: int
    """seeds of episodes, 100 to a million: the first train, the last test. A step plays
    batch_size of those to train on, each with other random actions every time"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.environment not in ENVIRONMENTS:
            known = " or ".join(ENVIRONMENTS)
            raise ValueError(f"environment is {self.environment!r}; give {known}")
        if not 100 <= self.episodes <= 1_000_000:
            raise ValueError(f"episodes is {self.episodes}; give a hundred to a million")


def dataset(asked: Episodes, shares: tuple[float, float]) -> Dataset:
    """The episodes, divided: first observations as inputs, seeds as labels.

    Args:
        asked: which environment, and how many.
        shares: of the episodes that validate, and that test.

    Raises:
        ValueError: if gymnasium is not installed, or a part has no episode.
    """
    environment = Environment(asked.environment)
    seeds = np.arange(asked.episodes)
    begins = environment.begin(seeds)
    validation, test = (round(share * asked.episodes) for share in shares)
    first = asked.episodes - validation - test
    if min(first, validation, test) < 1:
        raise ValueError(
            f"the parts have {first}, {validation} and {test} of the {asked.episodes} "
            "episodes; give other shares"
        )
    parts = [
        Split(inputs=inputs, labels=labels)
        for inputs, labels in zip(
            np.split(begins, [first, first + validation]),
            np.split(seeds, [first, first + validation]),
            strict=True,
        )
    ]
    description = Description(
        inputs=Vectors(num_values=begins.shape[1]),
        labels=Actions(
            number=environment.num_actions,
            environment=asked.environment,
            returns=ENVIRONMENTS[asked.environment],
        ),
    )
    return Dataset(
        train=parts[0], validation=parts[1], test=parts[2], description=description
    )
