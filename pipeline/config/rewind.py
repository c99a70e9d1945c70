"""Settings of a start: from which weights a variant's rounds begin, with their checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline import engines
from pipeline.config.yaml_shape import choose_or_import, shown
from pipeline.core.fields import (
    Default,
    Importable,
    Needed,
    OneOf,
    OnlyWritten,
    Tree,
)
from pipeline.core.models.init import INITS
from pipeline.core.models.layers import Network, parameters
from pipeline.core.rewinding import LOOK_AT_TRAINED
from pipeline.core.starts import CHOICES, STARTS, Start
from pipeline.core.training.engine import Ability
from pipeline.core.training.schedules import is_constant
from pipeline.core.training.settings import TrainSettings


def _start_of(here: Tree) -> Start | None:
    to = here.get("to")
    if isinstance(to, dict):
        to = to.get("import")
    return STARTS.get(to) if isinstance(to, str) else None


def _needs_step(here: Tree) -> bool:
    start = _start_of(here)
    return start is not None and start.step == "needed"


def _first_draw(here: Tree, _: Tree) -> object:
    start = _start_of(here)
    return 0 if start and start.draws else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewind:
    """Which weights a round starts from."""

    to: Annotated[str, OneOf(CHOICES), Importable()]
    """what the weights of a round are before it trains: theta0, or another start"""
    step: Annotated[int | None, Needed("for early and early-sign-reinit", _needs_step)] = (
        None
    )
    """where the round begins on schedule and data order. ``early``: also whose weights
    are taken; ``trained``: learning-rate rewinding, ``fine-tune``: where it begins, null
    = 0 for both; ``taken``: the step of the variant that it is taken from;
    ``early-sign-reinit``: whose signs are taken, and the round begins at 0; else null"""
    task: Annotated[str | None, OnlyWritten()] = None
    """the task whose dense networks, seed by seed, give the weights of early, trained and
    fine-tune; left out: this task's chain"""
    draw: Annotated[int | None, Default("0 where the start draws, else null", _first_draw)]
    """number of the draw, where the start draws; else null"""
    pruned: Literal[
        "zero", "freeze-init", "freeze-init-zero-mask", "freeze-init-zero-all"
    ] = "zero"
    """what pruned weights are while the others train (Zhou et al.'s mask-0 actions)"""

    @property
    def freezes(self) -> bool:
        """Whether pruned weights stay in the network, at values that no step changes."""
        return self.pruned != "zero"

    @property
    def last_step(self) -> int | None:
        """The step at which the round's training ends; None = with the schedule."""
        return None if STARTS[self.to].trains else self.first_step

    @property
    def first_step(self) -> int:
        """The step at which the round's training begins."""
        return 0 if STARTS[self.to].from_beginning else self.step or 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Masks:
    """How a variant gets its masks, for the checks."""

    own: bool
    changing: str | None
    """the schedule that changes masks while a round trains; None = they stay the same"""
    before_training: str | None
    """the schedule, or the file, that gives masks before anything was trained; None =
    they come from trained networks"""
    transform: str | None
    """what is done to another variant's mask; None = nothing"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retraining:
    """How the rounds of a task are trained, for the checks."""

    train: TrainSettings
    total_steps: int
    network: Network
    init: str
    needs: frozenset[Ability] = frozenset()
    """what an engine must be able to do for the task's data"""


def problems(
    where: str,
    rewind: Rewind,
    masks: Masks,
    tasks: Mapping[str, Retraining],
    source: Retraining | None = None,
) -> Iterator[str]:
    """Yield one line for each impossible setting of a start; the first one counts.

    Args:
        where: the key of the start.
        rewind: the start.
        masks: of its variant.
        tasks: on which the variant is run.
        source: the task that ``rewind`` names, if it names one.
    """
    yield from _start(where, rewind)
    if source is not None:
        yield from _of_another(where, rewind, tasks, source)
    if masks.changing:
        yield from _from_the_beginning(f"{where}.to", rewind, masks.changing)
    from_mask = STARTS[rewind.to].needs_trained and source is None
    if masks.before_training and from_mask:
        yield (
            f"{where}.to: {rewind.to} looks at the weights that a mask was cut from, and "
            f"{masks.before_training} gives it before training; write theta0 or reinit"
        )
    if masks.transform and STARTS[rewind.to].needs_trained == "mask" and source is None:
        yield (
            f"{where}.to: {rewind.to} looks at the weights that a mask was cut from, and "
            f"those do not lie where {masks.transform} puts the mask; write theta0 or "
            "reinit, or leave prune.transform out"
        )
    yield from _step(f"{where}.step", rewind, tasks)
    yield from _formula(f"{where}.to", rewind, tasks)
    if STARTS[rewind.to].at_last_rate:
        yield from _fine_tuning(f"{where}.to", rewind, tasks)
    if rewind.freezes:
        yield from _frozen(f"{where}.pruned", rewind, masks, tasks)


def _start(where: str, rewind: Rewind) -> Iterator[str]:
    if problem := choose_or_import(rewind.to, CHOICES, STARTS):
        yield f"{where}.to: {problem}"
    draws = STARTS[rewind.to].draws
    if draws and (rewind.draw is None or rewind.draw < 0):
        yield f"{where}.draw: {shown(rewind.draw)} found; number the draw: 0, 1, …"
    if not draws and rewind.draw is not None:
        yield f"{where}.draw: {rewind.to} draws nothing; write null"


def _of_another(
    where: str, rewind: Rewind, tasks: Mapping[str, Retraining], source: Retraining
) -> Iterator[str]:
    """Check that the dense networks of another task give the weights of a start."""
    if not takes_weights(rewind.to):
        able = " or ".join(name for name in CHOICES if takes_weights(name))
        yield f"{where}.task: {rewind.to} takes no weights of a training; write {able}"
    if STARTS[rewind.to].step == "needed":
        yield from _step(f"{where}.step", rewind, {str(rewind.task): source})
    for name, task in tasks.items():
        theirs, ours = (
            {n: list(t.shape) for n, t in parameters(network).items()}
            for network in (source.network, task.network)
        )
        differing = [n for n in [*theirs, *ours] if theirs.get(n) != ours.get(n)]
        for tensor in differing:
            found, wanted = (shapes.get(tensor, "not there") for shapes in (theirs, ours))
            yield (
                f"{where}.task: {tensor} is {found} in the network of task {rewind.task} "
                f"and {wanted} in that of task {name}; name a task with the same network"
            )


def takes_weights(start: str) -> bool:
    """Whether a start takes weights that a training has left."""
    return STARTS[start].step == "needed" or STARTS[start].needs_trained is not None


def _from_the_beginning(where: str, rewind: Rewind, schedule: str) -> Iterator[str]:
    start = STARTS[rewind.to]
    if start.step or start.needs_trained:
        yield (
            f"{where}: {rewind.to} goes on from trained weights, but a {schedule} round is "
            "one training from its beginning; write theta0 or reinit"
        )


def _step(where: str, rewind: Rewind, tasks: Mapping[str, Retraining]) -> Iterator[str]:
    to, step = rewind.to, rewind.step
    role = STARTS[to].step
    if role is None and step is not None:
        steppers = ", ".join(name for name, start in STARTS.items() if start.step)
        yield f"{where}: {to} starts at step 0; write null (a step is for {steppers})"
    if role == "needed" and step is None:
        yield f"{where}: null found; {to} needs the step to rewind to"
    if step is None:
        return
    for name, task in tasks.items():
        if not 1 <= step < task.total_steps:
            instead = "theta0 for step 0" if role == "needed" else "null for step 0"
            yield (
                f"{where}: {step} found; the training of task {name} has "
                f"{task.total_steps} steps: give 1 to {task.total_steps - 1}, or {instead}"
            )


def _formula(where: str, rewind: Rewind, tasks: Mapping[str, Retraining]) -> Iterator[str]:
    """Check that there is a formula of the weights' variance where the start needs it."""
    for name, task in tasks.items():
        if STARTS[rewind.to].needs_formula and task.init not in INITS:
            yield (
                f"{where}: {rewind.to} scales the formula of an init, and task {name} has "
                f"init: {task.init}, which has none; write init: {' or '.join(INITS)} "
                "there, or reinit here"
            )


def _fine_tuning(
    where: str, rewind: Rewind, tasks: Mapping[str, Retraining]
) -> Iterator[str]:
    for name, task in tasks.items():
        if task.train.schedule.name == "cosine":
            yield (
                f"{where}: the cosine schedule of task {name} ends at a rate of 0, at "
                "which nothing is fine-tuned; give the task milestones"
            )
        if is_constant(task.train, rewind.first_step, task.total_steps):
            yield (
                f"{where}: the rate of task {name} stays the same from step "
                f"{rewind.first_step} on, so that {rewind.to} is learning-rate rewinding; "
                "write trained"
            )


def _frozen(
    where: str, rewind: Rewind, masks: Masks, tasks: Mapping[str, Retraining]
) -> Iterator[str]:
    if STARTS[rewind.to].step is not None:
        yield (
            f"{where}: {rewind.pruned} freezes weights at theta0, but {rewind.to} goes on "
            "from later ones; write zero, or a start of step 0 such as theta0"
        )
    if masks.changing:
        yield f"{where}: {masks.changing} pruning sets to 0 what it prunes; write zero"
    from_theta0 = masks.own and not masks.before_training and rewind.to == "theta0"
    if rewind.pruned in LOOK_AT_TRAINED and not from_theta0:
        yield (
            f"{where}: {rewind.pruned} asks what training made of theta0, which only a "
            "variant with prune.mask: own and rewind.to: theta0 knows; write freeze-init"
        )
    for name, task in tasks.items():
        train = task.train
        try:
            needs = {Ability.FREEZE, *task.needs}
            engines.resolve(train.engine, task.network, 1.0, train.device, needs)
        except ValueError as error:
            yield f"{where}: task {name}: {error}"
