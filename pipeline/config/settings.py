"""The settings of an experiment: params.yaml as typed, frozen data.

A key whose field has a default, or a ``Default`` in its annotation, may be left out of the
file (``defaults``). The sentence below each field is its entry in the reference. ``params``
reads the settings, and ``checks`` says whether they fit together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import pydantic

from pipeline.config import user_network
from pipeline.config.analysis import Analysis
from pipeline.config.approximation import Approximation
from pipeline.config.mask_from import MaskFrom, Owner
from pipeline.config.rewind import Rewind
from pipeline.core import models, policies
from pipeline.core.augmentations import AUGMENTATIONS
from pipeline.core.counts import Scope
from pipeline.core.criteria import CRITERIA
from pipeline.core.description import Description
from pipeline.core.fields import (
    Default,
    Derived,
    Importable,
    Needed,
    OneOf,
    OnlyWritten,
    Tree,
)
from pipeline.core.looks import DEFAULT, Looks
from pipeline.core.models.blocks import Blocks
from pipeline.core.models.init import CHOICES, MODULE
from pipeline.core.models.layers import Kind, Network
from pipeline.core.optimizers import is_built_in
from pipeline.core.policies import RECIPE, SCHEDULES, Policy
from pipeline.core.pools import Pooling
from pipeline.core.programs import PROGRAMS, Program, program_of
from pipeline.core.training.engine import Ability, needed_for
from pipeline.core.training.settings import ADAM_BETAS, ScoreTraining, TrainSettings
from pipeline.core.transforms import TRANSFORMS
from pipeline.data.facts import FACTS
from pipeline.data.known import Known
from pipeline.data.own.source import Source

OWN = "own"
"""the value of ``prune.mask`` where a variant derives its masks itself"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Where raw data lies; changing it changes no result."""

    root: str = "data"
    """folder of the raw data, in torchvision's layout; LT_DATA_ROOT overrides it"""
    download: bool = False
    """whether missing data may be downloaded"""


def _imported(here: Tree, _: Tree) -> object:
    return here.get("import")


def _draws_itself(here: Tree) -> bool:
    """Whether a model is a torch module, which has an initialization of its own."""
    ours = models.MODELS.get(str(here.get("name")))
    return "import" in here or (ours is not None and ours.is_module)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The network and how its weights are drawn."""

    name: Annotated[
        str,
        OneOf(models.MODELS),
        Needed("unless a function is imported", lambda here: "import" not in here),
        Default("the function's name, where one is imported", _imported),
    ]
    """the network"""
    widths: tuple[int, ...] | None = None
    """units of each hidden layer, and channels of each convolution before them, for models
    that let you choose them; null for others"""
    init: Annotated[
        str,
        OneOf(CHOICES),
        Needed("unless the model is a torch module", lambda here: not _draws_itself(here)),
        Default("module, for a torch module", lambda _, __: MODULE),
    ]
    """how the weights before training, theta0, are drawn; module: as a torch module draws
    them itself; layer records of yours need another one"""
    import_: Annotated[str | None, OnlyWritten(), pydantic.Field(alias="import")] = None
    """``package.module:function`` of yours, in place of a name; it takes the description
    of the data and returns a ``torch.nn.Module``, or a tuple of layer records"""
    options: Annotated[dict[str, Any], OnlyWritten()] = field(default_factory=dict)
    """arguments of that function, by name"""
    draw: Annotated[int, OnlyWritten()] = 0
    """number of the draw of theta0, 0 or more: tasks with different ones begin a seed with
    different weights; left out: 0"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one training takes of a machine of a cluster; it decides no result."""

    cpus: int = 1
    """processors that are reserved for it; it has one thread whatever stands here"""
    gpus: float | None = None
    """GPUs, or a fraction of one that trainings share; null = one where ``train.device``
    is a GPU, else none"""
    memory_gb: float | None = None
    """memory that is reserved for it; null = none is"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Data, model and training settings under one name."""

    data: Annotated[str, OneOf(FACTS, "a name under datasets")]
    """the data set"""
    model: Model
    """the network, its architecture and how its weights are drawn"""
    train: TrainSettings
    """how the network is trained"""
    compat: Annotated[str | None, OneOf(PROGRAMS)] = None
    """whose program's departures from the algorithm are kept, to compare with it"""
    resources: Annotated[Resources | None, OnlyWritten()] = None
    """what one training takes of a machine of a cluster, for ``lt-pipeline run --on``; it
    decides no result"""
    known: Annotated[Known | None, Derived()] = None
    """what is known of the data set, where it is the user's own"""

    @property
    def dataset(self) -> Known:
        """The facts of the data set that are known before a stage reads it."""
        return self.known or FACTS[self.data]

    @property
    def takes(self) -> Resources:
        """The part of a machine of a cluster that one training takes, without null."""
        asked = self.resources or Resources()
        usual = 0.0 if self.train.device == "cpu" else 1.0
        return asked if asked.gpus is not None else replace(asked, gpus=usual)

    @property
    def needs(self) -> frozenset[Ability]:
        """The abilities that an engine needs to train it."""
        needed = needed_for(self.dataset.description)
        if not is_built_in(self.train.optimizer):
            needed.add(Ability.OWN_OPTIMIZER)
        if self.train.processes > 1:
            needed.add(Ability.SHARE_BATCHES)
        augmentation = AUGMENTATIONS.get(self.train.augment)
        if augmentation is not None and not augmentation.in_every_engine:
            needed.add(Ability.OTHER_AUGMENTATION)
        if self.train.mix_norms:
            needed.add(Ability.MIX_NORMS)
        if self.train.adam_betas != ADAM_BETAS:
            needed.add(Ability.OTHER_BETAS)
        if self.train.loss_precision == "float64":
            needed.add(Ability.DOUBLE_LOSS)
        return frozenset(needed)

    @property
    def is_own(self) -> bool:
        """Whether its network or its data are the user's own."""
        return self.known is not None or self.model.import_ is not None

    @property
    def program(self) -> Program:
        """The program that the task follows; ALGORITHM for a task without ``compat``."""
        return program_of(self.compat)


def _iterative(here: Tree, _: Tree) -> object:
    return "iterative" if here.get("mask") == OWN else None


def _asked_for(key: str) -> Needed:
    """A key of recipes with masks of their own whose schedule needs it."""

    def needed(here: Tree) -> bool:
        schedule = here.get("schedule")
        if here.get("mask") != OWN:
            return False
        if schedule is None:
            return key in RECIPE
        known = isinstance(schedule, str) and schedule in SCHEDULES
        return known and key in policies.POLICIES[str(schedule)].needs

    return Needed("where the mask is own and the schedule asks for it", needed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prune:
    """How a round's mask is found."""

    mask: Annotated[
        str | MaskFrom, OneOf((OWN,), "the name of a variant with masks of its own")
    ]
    """``own``: from this variant's own previous round; NAME: that variant's mask; or keys
    that name a file or another task's chain"""
    transform: Annotated[str | None, OneOf(TRANSFORMS), Importable()] = None
    """what is done to another variant's mask: shuffle moves it within each layer, elastic
    gives it to a deeper or shallower network of the family, everything keeps all, permuted
    gives it the order of this task's units"""
    blocks: Annotated[Blocks | None, OnlyWritten()] = None
    """where the transform maps blocks: those of the other network that stand for them"""
    schedule: Annotated[
        str | None,
        OneOf(SCHEDULES),
        Default("iterative where the mask is own, else null", _iterative),
        Importable(),
    ]
    """own masks: from the previous round, from the dense network in one cut, from theta0
    before any training, or found while the round trains (gradual; rigl and set begin with
    a mask that is cut from theta0; the others train scores, and no weight)"""
    criterion: Annotated[
        str | None, OneOf(CRITERIA), _asked_for("criterion"), Importable()
    ] = None
    """what ranks the weights; the lowest are removed"""
    scope: Annotated[Scope | None, _asked_for("scope")] = None
    """whether weights are ranked within each layer or all together; er and erk rank within
    each layer and divide the number kept among layers as random sparse graphs do"""
    fraction: Annotated[dict[Kind, float | None] | None, _asked_for("fraction")] = None
    """per kind of layer: fraction of the remaining weights removed per round (a pruning
    rate, not the sparsity that is reached); 0 keeps them all but counts them, null leaves
    them out of the count"""
    step: Annotated[int | None, OnlyWritten()] = None
    """where masks are cut from the dense network: after so many of its steps; left out: at
    the end of its training"""
    scores: Annotated[ScoreTraining | None, OnlyWritten()] = None
    """how scores are trained, where the schedule trains scores; left out: as the task's
    weights are"""
    pool: Annotated[Pooling | None, OnlyWritten()] = None
    """how the trained networks of the other variant's rounds are mixed into one, whose mask
    is taken in place of that variant's; {} = as Lottery Pools does"""
    kept: Annotated[tuple[dict[str, int], ...] | None, Derived()] = None
    """weights kept in each tensor in rounds 0, 1, …, where masks come from files"""

    @property
    def own(self) -> bool:
        """Whether this variant derives its masks itself."""
        return self.mask == OWN

    @property
    def file(self) -> str | None:
        """The file from which masks are read; None where they are not."""
        return self.mask.file if isinstance(self.mask, MaskFrom) else None

    @property
    def owner(self) -> Owner | None:
        """The variant whose masks it takes; None where it has its own, or a file's."""
        if isinstance(self.mask, MaskFrom):
            return None if self.file else Owner(task=self.mask.task, variant=self.mask.name)
        return None if self.own else Owner(task=None, variant=self.mask)

    @property
    def maps_blocks(self) -> bool:
        """Whether blocks of another network stand for those of its own."""
        return self.transform is not None and TRANSFORMS[self.transform].maps_blocks

    @property
    def policy(self) -> Policy:
        """How a round gets its mask."""
        if self.file is not None:
            return policies.POLICIES[policies.READ]
        return policies.of_recipe(self.schedule)

    @property
    def makes_masks(self) -> bool:
        """Whether a stage makes a mask before a round trains, or reads it from a file.

        A plain control takes a mask unchanged, and some policies find it while training.
        """
        return self.policy.cuts or self.policy.reads == "file" or self.transform is not None


def _all_tasks(_: Tree, settings: Tree) -> object:
    tasks = settings.get("tasks")
    return list(tasks) if isinstance(tasks, Mapping) else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A named recipe of rounds."""

    tasks: Annotated[tuple[str, ...], Default("all tasks", _all_tasks)]
    """the tasks on which it is run"""
    prune: Prune
    """how a round's mask is found"""
    rewind: Rewind
    """which weights a round starts from"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All of params.yaml."""

    experiment: str
    """name of the MLflow experiment that the results go to"""
    rounds: int
    """pruning rounds of each variant, 1 to 99"""
    seeds: tuple[int, ...]
    """replicates, each a number of 0 or more"""
    looks: tuple[int, ...] = DEFAULT.at
    """numbers of seeds at which results are judged, declared before they are run; [] =
    seeds may be added at any time, and verdicts need more of them"""
    workers: int | None = None
    """trainings side by side; null = as many as cores"""
    data: Data = field(default_factory=Data)
    """where raw data lies; changing it changes no result"""
    datasets: Annotated[dict[str, Source], OnlyWritten()] = field(default_factory=dict)
    """name -> a data set of yours"""
    tasks: dict[str, Task]
    """name -> data, model and training settings"""
    variants: dict[str, Variant]
    """name -> a recipe of rounds: how to prune, and from which weights to go on"""
    analyses: dict[str, Analysis] = field(default_factory=dict)
    """name -> a question that is asked of finished networks"""
    approximations: Annotated[dict[str, Approximation], OnlyWritten()] = field(
        default_factory=dict
    )
    """name -> a trained network that is sought in a random one, without training"""

    @property
    def declared_looks(self) -> Looks:
        """At which numbers of seeds there may be a verdict."""
        return Looks(at=self.looks)


def total_steps(task: Task) -> int:
    """The number of steps in a whole training of a task."""
    return task.train.total_steps(task.dataset.num_train)


def network_for(task: Task, data: Description) -> Network:
    """The network of a task for such examples.

    Raises:
        ValueError: where they do not fit, or the user's function gives no network.
    """
    if task.model.import_ is not None:
        return user_network.build(task.model.import_, task.model.options, data)
    return models.build(task.model.name, widths=task.model.widths, data=data)


def build_network(task: Task) -> Network:
    """The network of a task.

    Raises:
        ValueError: where model and data do not fit.
    """
    return network_for(task, task.dataset.description)
