"""The settings of a training: those below ``train`` of a task.

A combination that makes no sense raises a ValueError. Its one line names the field as it
stands below ``train``, the value found there, and what to write instead.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Annotated, Literal

from pipeline.core.augmentations import AUGMENTATIONS, NO_AUGMENTATION
from pipeline.core.fields import Importable, Needed, OneOf, OnlyWritten
from pipeline.core.measures import MEASURES
from pipeline.core.optimizers import OPTIMIZERS

ADAM_BETAS = (0.9, 0.999)
"""the betas of Adam and AdamW where settings name none: torch's defaults"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The learning rate as a function of the step; a late start continues it."""

    name: Literal["constant", "milestones", "cosine"] = "constant"
    """how the rate changes: not at all, by a factor at steps, or as half a cosine to 0"""
    milestones: tuple[int, ...] = ()
    """steps at which the rate is multiplied by gamma (only for ``milestones``)"""
    gamma: Annotated[
        float,
        Needed("for milestones", lambda here: here.get("name") == "milestones"),
    ] = 1.0
    """factor at each milestone, (0, 1]"""
    warmup_steps: int = 0
    """the rate rises linearly from 0 over so many steps; 0 = no warm-up"""

    def __post_init__(self) -> None:
        """Refuse milestones out of order or out of place, and impossible factors."""
        found = list(self.milestones)
        increasing = all(a < b for a, b in pairwise([0, *found]))
        _refuse(
            (
                self.name != "milestones" and bool(found),
                f"schedule.milestones is {found} but schedule.name is {self.name!r}; "
                "write [] or use the schedule 'milestones'",
            ),
            (
                self.name == "milestones" and not found,
                "schedule.milestones is empty; list the steps at which the rate drops "
                "or use the schedule 'constant'",
            ),
            (
                not increasing,
                f"schedule.milestones is {found}; give positive steps in increasing order",
            ),
            (
                not 0 < self.gamma <= 1,
                f"schedule.gamma is {self.gamma}; give a factor in (0, 1]",
            ),
            (
                self.name != "milestones" and self.gamma != 1,
                f"schedule.gamma is {self.gamma} but schedule.name is {self.name!r}; "
                "write 1 or use the schedule 'milestones'",
            ),
            (
                self.warmup_steps < 0,
                f"schedule.warmup_steps is {self.warmup_steps}; give 0 or more",
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """One training, from a round's start to its trained weights."""

    steps: int | None = None
    """optimizer updates, counted from initialization; null = given by epochs"""
    epochs: int | None = None
    """passes over the training data; null = given by steps"""
    batch_size: int
    """training examples per step; an incomplete last batch of an epoch is dropped"""
    optimizer: Annotated[str, OneOf(OPTIMIZERS), Importable()]
    """the rule of an update, with torch's own settings beside those given here; sign-in:
    sgd on the two factors of each weight"""
    lr: float
    """learning rate, above 0, before the schedule changes it"""
    momentum: float = 0.0
    """momentum of sgd and sign-in, [0, 1); 0 for the others"""
    weight_decay: float = 0.0
    """0 or more; added to the gradient (sgd, adam, sign-in) or decoupled (adamw), as torch
    does"""
    schedule: Schedule = field(default_factory=Schedule)
    """the learning rate as a function of the step"""
    augment: Annotated[str, OneOf((NO_AUGMENTATION, *AUGMENTATIONS))] = NO_AUGMENTATION
    """how training images are changed; flip-crop: horizontal flips and shifts by up to
    4 pixels, zero-padded; random-resized-crop: horizontal flips of parts with 8 to 100 % of
    the pixels, enlarged"""
    mix_norms: Annotated[bool, OnlyWritten()] = False
    """whether each step trains with scales and shifts of norms between their first values,
    1 and 0, and what they are, at a share drawn for the step; evaluations take what they
    are. AWS trains like this, so that the signs of a ticket say more"""
    betas: Annotated[tuple[float, ...] | None, OnlyWritten()] = None
    """the two betas of adam and adamw, each in [0, 1); left out: 0.9 and 0.999"""
    loss_precision: Annotated[Literal["float32", "float64"] | None, OnlyWritten()] = None
    """in which precision the loss is computed from the logits, and so its gradient; left
    out: float32. Without weight decay it can decide whether a network generalizes late"""
    evaluate_every: int
    """steps between two evaluations on the validation set"""
    evaluations_per_decade: Annotated[int | None, OnlyWritten()] = None
    """evaluations on a logarithmic grid of steps, so many for each factor of 10, beside
    those at multiples of evaluate_every"""
    evaluate_train: Annotated[bool, OnlyWritten()] = False
    """whether each evaluation is on the training set, too; results then say at which steps
    training and validation accuracy reach 99 %"""
    measures: Annotated[tuple[str, ...] | None, OneOf(MEASURES), OnlyWritten()] = None
    """numbers that evaluations take from the weights, for results to have over time"""
    test_cadence: Literal["improved", "every"] = "improved"
    """improved: test set only when validation loss has improved, and at the end; every:
    at each evaluation"""
    common_noise: bool = True
    """variants of a round see the same data order"""
    engine: str = "auto"
    """the program that trains; auto: the fastest that can do what is asked"""
    device: str = "cpu"
    """where it trains: cpu, cuda, or cuda:N"""
    processes: int = 1
    """processes that share each batch of a training, on cuda one GPU each"""

    def __post_init__(self) -> None:
        """Refuse impossible values and combinations."""
        _refuse(
            *self._length_problems(),
            *self._process_problems(),
            *self._optimizer_problems(),
            *self._measure_problems(),
        )

    def _length_problems(self) -> Iterable[tuple[bool, str]]:
        counted = ("steps", "epochs", "batch_size", "evaluate_every")
        for name in (*counted, "evaluations_per_decade"):
            number = getattr(self, name)
            yield (
                number is not None and number < 1,
                f"{name} is {number}; give 1 or more",
            )
        yield (
            (self.steps is None) == (self.epochs is None),
            f"steps is {_yaml(self.steps)} and epochs is {_yaml(self.epochs)}; give "
            "exactly one of them, and null or nothing for the other",
        )

    def _process_problems(self) -> Iterable[tuple[bool, str]]:
        yield (
            not 1 <= self.processes <= self.batch_size,
            f"processes is {self.processes}; give 1 to {self.batch_size}, the batch_size: "
            "each has a part of a batch",
        )
        yield (
            self.processes > 1 and self.device not in ("cpu", "cuda"),
            f"device is {self.device!r} but processes is {self.processes}; write cuda, of "
            "which each process takes one",
        )

    def _optimizer_problems(self) -> Iterable[tuple[bool, str]]:
        yield (
            not (self.lr > 0 and math.isfinite(self.lr)),
            f"lr is {self.lr}; give a finite number above 0",
        )
        yield (
            not 0 <= self.momentum < 1,
            f"momentum is {self.momentum}; give a number in [0, 1)",
        )
        yield (
            self.optimizer not in OPTIMIZERS,
            f"optimizer: {OPTIMIZERS.problem(self.optimizer)}",
        )
        yield (
            self.momentum != 0 and not OPTIMIZERS[self.optimizer].momentum,
            f"momentum is {self.momentum} but optimizer is {self.optimizer!r}; write 0 "
            "or use 'sgd'",
        )
        yield (
            self.betas is not None and not OPTIMIZERS[self.optimizer].betas,
            f"betas is {list(self.betas or ())} but optimizer is {self.optimizer!r}; leave "
            "it out, or use 'adam' or 'adamw'",
        )
        yield (
            len(self.betas or ADAM_BETAS) != 2
            or not all(0 <= beta < 1 for beta in self.betas or ()),
            f"betas is {list(self.betas or ())}; give two numbers in [0, 1)",
        )
        yield (
            not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)),
            f"weight_decay is {self.weight_decay}; give a finite number, 0 or more",
        )
        yield (
            re.fullmatch(r"cpu|cuda(:\d+)?", self.device) is None,
            f"device is {self.device!r}; write cpu, cuda, or cuda:N",
        )

    def _measure_problems(self) -> Iterable[tuple[bool, str]]:
        named = self.measures or ()
        for name in named:
            yield name not in MEASURES, f"measures: {MEASURES.problem(name)}"
        yield (
            len(set(named)) < len(named),
            f"measures is {list(named)}; name each of them once",
        )

    @property
    def adam_betas(self) -> tuple[float, float]:
        """The betas of adam and adamw."""
        first, second = self.betas or ADAM_BETAS
        return first, second

    def next_evaluation(self, step: int) -> int:
        """The first step after this one at which to evaluate, if the training lasts.

        >>> from dataclasses import replace
        >>> train = TrainSettings(
        ...     steps=99, batch_size=1, optimizer="sgd", lr=1.0, evaluate_every=30
        ... )
        >>> train.next_evaluation(0), train.next_evaluation(30)
        (30, 60)
        >>> grid = replace(train, evaluations_per_decade=4)
        >>> [grid.next_evaluation(step) for step in (0, 1, 2, 3, 6, 10, 18, 30)]
        [1, 2, 3, 6, 10, 18, 30, 32]
        """
        following = (step // self.evaluate_every + 1) * self.evaluate_every
        if self.evaluations_per_decade is None:
            return following
        per_decade = self.evaluations_per_decade
        power = math.floor(per_decade * math.log10(step)) if step else 0
        while (found := round(10 ** (power / per_decade))) <= step:
            power += 1
        return min(following, found)

    def total_steps(self, num_train: int) -> int:
        """The number of updates for a training set of that size; only full batches count.

        Raises:
            ValueError: if the training set does not fill one batch.
        """
        if self.batch_size > num_train:
            raise ValueError(
                f"batch_size is {self.batch_size} but the training set has only "
                f"{num_train} examples; give a smaller one"
            )
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None, "checked when the settings were made"
        return self.epochs * (num_train // self.batch_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTraining:
    """How scores are trained that train in place of weights: by an optimizer of their own.

    The fields are those of ``train`` and take their place.
    """

    optimizer: Annotated[str, OneOf(OPTIMIZERS), Importable()]
    """the rule of an update"""
    lr: float
    """learning rate of the scores, above 0"""
    momentum: float = 0.0
    """momentum of sgd, [0, 1)"""
    weight_decay: float = 0.0
    """of the scores, 0 or more"""
    schedule: Schedule = field(default_factory=Schedule)
    """the learning rate as a function of the step"""


def for_scores(train: TrainSettings, scores: ScoreTraining | None) -> TrainSettings:
    """The training of scores: that of weights, with what differs in place.

    Betas are left out where the scores' optimizer has none.

    Raises:
        ValueError: with one line, for impossible values.
    """
    if scores is None:
        return train
    optimizer = OPTIMIZERS.get(scores.optimizer)
    betas = train.betas if optimizer is None or optimizer.betas else None
    changed = {one.name: getattr(scores, one.name) for one in fields(scores)}
    return replace(train, betas=betas, **changed)


def _refuse(*problems: tuple[bool, str]) -> None:
    """Raise a ValueError with the message of the first problem that is present."""
    for found, message in problems:
        if found:
            raise ValueError(message)


def _yaml(value: int | None) -> str:
    return "null" if value is None else str(value)
