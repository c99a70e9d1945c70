"""What an experiment is: params.yaml as typed, frozen data, and what follows from it.

Whether settings make sense is said in ``params``, which reads them.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.config.analysis import Analysis
from pipeline.config.rewind import Rewind
from pipeline.core import models
from pipeline.core.models.layers import Kind, Network, parameters
from pipeline.core.training.settings import TrainSettings
from pipeline.data.facts import FACTS

OWN = "own"
"""the value of ``prune.mask`` where a variant derives its masks itself"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Where raw data lies; changing it changes no result."""

    root: str
    """folder in torchvision's layout; the variable LT_DATA_ROOT overrides it"""
    download: bool
    """whether missing data may be downloaded"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The network and how its weights are drawn."""

    name: str
    widths: tuple[int, ...] | None
    """hidden layers of an ``mlp``; null for the named networks"""
    init: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Data, model and training settings under one name."""

    data: str
    model: Model
    train: TrainSettings
    compat: Literal["southampton"] | None
    """whose program's departures from the algorithm are kept, to compare with it"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prune:
    """How a round's mask is found."""

    mask: str
    """``own``: from this variant's own previous round; NAME: that variant's mask"""
    transform: str | None
    """what is done to another variant's mask: shuffle moves it within each layer"""
    schedule: Literal["iterative", "one-shot", "gradual"] | None
    """own masks: from the previous round, from the dense network in one cut, or found
    while the round trains"""
    criterion: str | None
    scope: Literal["layerwise", "global"] | None
    fraction: dict[Kind, float | None] | None
    """per kind of layer: fraction of the remaining weights removed per round; 0 keeps
    them all but counts them, null leaves them out of the count"""

    @property
    def own(self) -> bool:
        """Whether this variant derives its masks itself."""
        return self.mask == OWN

    @property
    def gradual(self) -> bool:
        """Whether its masks are found while its rounds train, from dense ones on."""
        return self.schedule == "gradual"

    def source_round(self, round: int) -> int:
        """The round whose trained weights an own mask of ``round`` is cut from."""
        return 0 if self.schedule == "one-shot" else round - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A named recipe of rounds."""

    tasks: tuple[str, ...]
    prune: Prune
    rewind: Rewind


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All of params.yaml."""

    experiment: str
    rounds: int
    seeds: tuple[int, ...]
    workers: int | None
    """trainings side by side on a CPU; null = as many as cores"""
    data: Data
    tasks: dict[str, Task]
    variants: dict[str, Variant]
    analyses: dict[str, Analysis]


def total_steps(task: Task) -> int:
    """Steps of a whole training of a task."""
    return task.train.total_steps(FACTS[task.data].num_train)


def has_statistics(task: Task) -> bool:
    """Whether a task's network has running statistics, which no step trains."""
    return any(not p.trainable for p in parameters(build_network(task)).values())


def network_for(task: Task, data_facts: dict[str, Any]) -> Network:
    """The network of a task for prepared data, whose facts name shape and classes."""
    return models.build(
        task.model.name,
        widths=task.model.widths,
        image_shape=tuple(data_facts["image_shape"]),
        num_classes=data_facts["num_classes"],
    )


def build_network(task: Task) -> Network:
    """The network of a task.

    Raises:
        ValueError: where model and images do not fit.
    """
    facts = FACTS[task.data]
    return network_for(
        task,
        {"image_shape": facts.image_shape, "num_classes": facts.num_classes},
    )
