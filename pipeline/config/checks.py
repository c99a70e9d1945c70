"""Check whether settings with the right types fit together.

Pruning, rewinding, analyses and ``compat`` have their checks in files of their own.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from pipeline import engines
from pipeline.config import analysis, approximation, compat, prune, rewind, taken
from pipeline.config.analysis import Analysis, Known
from pipeline.config.approximation import Approximation
from pipeline.config.rewind import Masks, Retraining
from pipeline.config.settings import (
    OWN,
    Model,
    Resources,
    Settings,
    Task,
    Variant,
    build_network,
    total_steps,
)
from pipeline.config.yaml_shape import choose
from pipeline.core import measures, models
from pipeline.core.augmentations import NO_AUGMENTATION
from pipeline.core.description import Images
from pipeline.core.looks import LEAST_OPEN
from pipeline.core.models.init import CHOICES, INITS, MODULE
from pipeline.core.models.layers import Module, Network, has_norms, has_statistics
from pipeline.core.training.schedules import beyond_the_end
from pipeline.data.facts import FACTS

NAME = r"[a-z][a-z0-9]*([_-][a-z0-9]+)*"
"""pattern of all names; a dot would end a name in paths of DVC's params"""
LONGEST_NAME = 60
LONGEST_EXPERIMENT = 256
"""characters of the column for the name in MLflow's databases"""
RESERVED = analysis.NAMED_ENDS
"""names that folders and analyses use for networks that belong to no variant"""


def bad_names(settings: Settings) -> Iterator[str]:
    """Yield one line for each name that breaks the pattern.

    Names become parts of paths, so check them before anything is read or written.
    """
    for key in fields(settings):
        below = getattr(settings, key.name)
        for name in below if isinstance(below, dict) else ():
            yield from _bad_name(f"{key.name}.{name}", name)


def problems(settings: Settings) -> Iterator[str]:
    """Yield one line for each impossible setting; every value has its type by now."""
    yield from _top_level(settings)
    for name, task in settings.tasks.items():
        yield from _task(f"tasks.{name}", task, settings.datasets)
    for name, variant in settings.variants.items():
        if name in RESERVED | {OWN}:
            yield f"variants.{name}: the name {name} is taken; choose another"
        yield from _variant(f"variants.{name}", variant, settings)
    yield from _one_key_for_two("variants", settings.variants)
    yield from _analyses(settings)
    yield from _approximations(settings)
    yield from _looks(settings.looks)


def _top_level(settings: Settings) -> Iterator[str]:
    yield from _experiment(settings.experiment)
    if not 1 <= settings.rounds <= 99:
        yield f"rounds: {settings.rounds} found; give 1 to 99 pruning rounds"
    if not settings.seeds:
        yield "seeds: none given; write at least one, such as [0]"
    if min(settings.seeds) < 0:
        yield f"seeds: {min(settings.seeds)} found; a seed is 0 or more"
    twice = sorted({s for s in settings.seeds if settings.seeds.count(s) > 1})
    if twice:
        yield f"seeds: {twice[0]} stands there twice; each seed is one replicate"
    if settings.workers is not None and settings.workers < 1:
        yield f"workers: {settings.workers} found; give 1 or more, or null for all cores"
    if not settings.tasks:
        yield "tasks: none given; write at least one"


def _experiment(name: str) -> Iterator[str]:
    if not name.strip():
        yield "experiment: an MLflow experiment needs a name"
    if len(name) > LONGEST_EXPERIMENT:
        yield (
            f"experiment: the name has {len(name)} characters, and MLflow takes "
            f"{LONGEST_EXPERIMENT}; shorten it"
        )


def _looks(looks: tuple[int, ...]) -> Iterator[str]:
    if list(looks) != sorted(set(looks)) or min(looks, default=LEAST_OPEN) < LEAST_OPEN:
        yield (
            f"looks: {list(looks)} found; give ascending numbers of seeds from "
            f"{LEAST_OPEN} on, or [] if seeds may be added at any time"
        )


def _bad_name(where: str, name: str) -> Iterator[str]:
    if not re.fullmatch(NAME, name):
        yield (
            f"{where}: a name becomes a folder and a stage; begin with a letter and use "
            "lower-case letters, digits, and single - or _ between them"
        )
    if len(name) > LONGEST_NAME:
        yield f"{where}: the name has more than {LONGEST_NAME} characters; shorten it"


def _one_key_for_two(
    kind: str, named: Mapping[str, Variant | Analysis | Approximation]
) -> Iterator[str]:
    """Refuse names that give one key to two stages: a key joins two names by a hyphen."""
    seen: dict[str, tuple[str, str]] = {}
    for name, recipe in named.items():
        for task in recipe.tasks:
            other_task, other = seen.setdefault(f"{task}-{name}", (task, name))
            if other != name:
                yield (
                    f"{kind}.{name} on task {task} and {kind}.{other} on task "
                    f"{other_task} are both called {task}-{name}; rename one of them"
                )


def _analyses(settings: Settings) -> Iterator[str]:
    known = Known(
        num_rounds=settings.rounds,
        num_seeds=len(settings.seeds),
        steps={name: total_steps(task) for name, task in settings.tasks.items()},
        variants={name: variant.tasks for name, variant in settings.variants.items()},
        normed=[
            name
            for name, task in settings.tasks.items()
            if has_statistics(build_network(task))
        ],
        modules=[
            name
            for name, task in settings.tasks.items()
            if isinstance(build_network(task), Module)
        ],
        changing=[name for name, v in settings.variants.items() if v.prune.policy.changes],
        owners={
            name: v.prune.owner.variant if v.prune.owner else name
            for name, v in settings.variants.items()
        },
        transformed=[
            name
            for name, v in settings.variants.items()
            if v.prune.transform or v.prune.pool
        ],
        frozen=[name for name, v in settings.variants.items() if v.rewind.freezes],
    )
    for name, asked in settings.analyses.items():
        yield from analysis.problems(f"analyses.{name}", asked, known)
    yield from _one_key_for_two("analyses", settings.analyses)


def _approximations(settings: Settings) -> Iterator[str]:
    known = approximation.Targets(
        num_rounds=settings.rounds,
        networks={name: build_network(task) for name, task in settings.tasks.items()},
        variants={name: variant.tasks for name, variant in settings.variants.items()},
    )
    for name, asked in settings.approximations.items():
        yield from approximation.problems(f"approximations.{name}", asked, known)
    yield from _one_key_for_two("approximations", settings.approximations)


def _model(where: str, model: Model) -> Iterator[str]:
    if model.import_ is None and model.name not in models.MODELS:
        yield f"{where}.name: {choose(model.name, models.MODELS)}"
    if model.import_ is not None and model.name != model.import_:
        yield f"{where}: both name and import are given; remove one of them"
    if model.options and model.import_ is None:
        yield f"{where}.options: they are arguments of an imported function; remove them"
    if model.widths is not None and model.import_ is not None:
        yield (
            f"{where}.widths: an imported function takes none; remove them, or give them "
            "under options"
        )
    ours = models.MODELS.get(model.name)
    if model.draw < 0:
        yield f"{where}.draw: {model.draw} found; number the draw: 0, 1, …"
    known = CHOICES if ours is None or ours.is_module else INITS
    if model.init not in known:
        yield f"{where}.init: {choose(model.init, known)}"


def _resources(where: str, asked: Resources) -> Iterator[str]:
    gpus, memory = asked.gpus, asked.memory_gb
    if asked.cpus < 1:
        yield f"{where}.cpus: {asked.cpus} found; give 1 or more"
    if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and gpus == int(gpus))):
        yield f"{where}.gpus: {gpus} found; give a fraction from 0 to 1, or a whole number"
    if memory is not None and not 0 < memory < math.inf:
        yield f"{where}.memory_gb: {memory} found; give more than 0, or null"


def _task(where: str, task: Task, datasets: Iterable[str]) -> Iterator[str]:
    if task.known is None and task.data not in FACTS:
        yield f"{where}.data: {choose(task.data, [*FACTS, *datasets])}"
    yield from _model(f"{where}.model", task.model)
    yield from _resources(f"{where}.resources", task.resources or Resources())
    try:
        network = build_network(task)
    except ValueError as error:
        yield f"{where}.model: {error}"
        return
    yield from _init(f"{where}.model.init", task.model, network)
    if task.train.engine not in engines.CHOICES:
        yield f"{where}.train.engine: {choose(task.train.engine, engines.CHOICES)}"
    try:
        engines.resolve(task.train.engine, network, 1.0, task.train.device, task.needs)
    except ValueError as error:
        yield f"{where}.train.engine: {error}"
    yield from _lengths(where, task)
    if task.train.mix_norms and not has_norms(network):
        yield f"{where}.train.mix_norms: true found; its network has no norms, leave it out"
    for name in task.train.measures or ():
        if why := measures.refusal(name, network):
            yield f"{where}.train.measures: {why}"
    yield from _augmentation(where, task)
    yield from compat.problems(where, task, network)


def _init(where: str, model: Model, network: Network) -> Iterator[str]:
    """Check that the network draws its weights itself, if it is asked to."""
    if model.init == MODULE and not isinstance(network, Module):
        *others, last = INITS
        yield (
            f"{where}: {model.name} gives layer records, which do not draw their weights "
            f"themselves (init: {MODULE}); write {', '.join(others)} or {last}"
        )


def _augmentation(where: str, task: Task) -> Iterator[str]:
    """Check that there are images to change."""
    inputs = task.dataset.description.inputs
    augment = task.train.augment
    if augment != NO_AUGMENTATION and not isinstance(inputs, Images):
        yield (
            f"{where}.train.augment: {augment} changes images, and {task.data} has "
            f"{inputs}; give {NO_AUGMENTATION}"
        )


def _lengths(where: str, task: Task) -> Iterator[str]:
    """Check that batches, evaluations and the schedule fit into the training."""
    num_train = task.dataset.num_train
    if task.train.batch_size > num_train:
        yield (
            f"{where}.train.batch_size: {task.train.batch_size} is more than the "
            f"{num_train} training examples of {task.data}"
        )
    if task.train.evaluate_every > total_steps(task):
        yield (
            f"{where}.train.evaluate_every: {task.train.evaluate_every} is more than "
            f"the {total_steps(task)} steps of the training"
        )
    if problem := beyond_the_end(task.train.schedule, total_steps(task)):
        yield f"{where}.train.{problem}"


def _variant(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    if not variant.tasks:
        yield f"{where}.tasks: none given; known tasks: {', '.join(settings.tasks)}"
    for task in variant.tasks:
        if task not in settings.tasks:
            yield f"{where}.tasks: {choose(task, settings.tasks)}"
    if len(set(variant.tasks)) < len(variant.tasks):
        yield f"{where}.tasks: a task stands there twice"
    for task in variant.tasks:
        yield from compat.of_variant(where, variant, task, settings.tasks[task])
    yield from prune.problems(f"{where}.prune", variant, settings)
    tasks = {name: _retraining(settings.tasks[name]) for name in variant.tasks}
    masks = _masks(variant, settings)
    named = variant.rewind.task
    if named is not None and named not in settings.tasks:
        yield f"{where}.rewind.task: {choose(named, settings.tasks)}"
    source = None if named is None else _retraining(settings.tasks[named])
    yield from rewind.problems(f"{where}.rewind", variant.rewind, masks, tasks, source)
    yield from taken.problems(where, variant, settings)


def _masks(variant: Variant, settings: Settings) -> Masks:
    named = variant.prune.owner
    owner = settings.variants[named.variant] if named else variant
    policy, how = owner.prune.policy, owner.prune.schedule or "a file"
    return Masks(
        own=variant.prune.own,
        changing=variant.prune.schedule if variant.prune.policy.changes else None,
        before_training=None if policy.looks_at_trained or policy.changes else how,
        # A transform of a pool's mask is refused by the pool, with its own words.
        transform=None if variant.prune.pool else variant.prune.transform,
    )


def _retraining(task: Task) -> Retraining:
    return Retraining(
        train=task.train,
        total_steps=total_steps(task),
        network=build_network(task),
        init=task.model.init,
        needs=task.needs,
    )
