"""Compile settings into a plan: every stage instance with its paths.

params.yaml says what a user wants; DVC's templates have no arithmetic. The plan is the
list of stage instances between the two: which exist, what each reads, which code each
depends on. It holds no setting: those stay in params.yaml, and the file that an instance
depends on (``inputs``) has those of them that decide its result. Every path that a stage
reads or writes stands in its item: DVC and the stage both take it from there.

Groups of seeds are kept: seeds of one group are trained side by side in one stage, and a
seed more must not retrain the others. New seeds form a new group; a group stays while
one of its seeds is active.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import engines
from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.border import user_code
from pipeline.config.settings import Prune, Settings, Task, build_network
from pipeline.core import criteria
from pipeline.core.augmentations import NO_AUGMENTATION
from pipeline.core.optimizers import is_built_in
from pipeline.core.starts import STARTS
from pipeline.core.training.engine import Ability
from pipeline.core.training.settings import for_scores
from pipeline.core.transforms import TRANSFORMS
from pipeline.plan import fingerprints, trained
from pipeline.plan.chains import ChainGroup, chain_groups, early_steps
from pipeline.plan.items import Fields, Item, Plan, items_of
from pipeline.plan.kinds import INPUTS, KINDS
from pipeline.plan.places import Place, ends_of, mask_of, places, start_of
from pipeline.plan.targets import TargetPlace, target_places


def regroup(seeds: tuple[int, ...], groups: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Groups for these seeds that leave the existing groups as they are.

    >>> regroup((0, 1, 2, 3, 4), [(0, 1, 2)])
    [(0, 1, 2), (3, 4)]
    >>> regroup((0, 4), [(0, 1, 2), (3,)])
    [(0, 1, 2), (4,)]
    """
    kept = [group for group in groups if set(group) & set(seeds)]
    covered = {seed for group in kept for seed in group}
    new = tuple(sorted(set(seeds) - covered))
    return [*kept, new] if new else kept


def compile_plan(settings: Settings, groups: list[tuple[int, ...]]) -> Plan:
    """The stage instances of an experiment, by stage and key."""
    plan: Plan = {kind: {} for kind in KINDS}
    for name, task in settings.tasks.items():
        kind, fields = _dataset(settings, task)
        plan[kind][task.data] = fields
        for seeds in groups:
            for kind, key, fields in _dense(settings, name, seeds):
                plan[kind][key] = fields
    for group in chain_groups(settings, groups):
        for kind, instance, fields in _rounds(settings, group):
            plan[kind][instance.key] = fields
    for place in places(settings, groups):
        if place.trains:
            plan["copies"][place.key] = _copies(settings, place)
        plan["lines"][place.key] = _lines(settings, place)
    plan["approximations"] = {
        target.key: _approximation(settings, target)
        for target in target_places(settings, groups)
    }
    return plan


def _dataset(settings: Settings, task: Task) -> tuple[str, Fields]:
    """The stage that reads a task's data set: built in, or the user's own."""
    data: Fields = {"data": _data(task)}
    if task.data not in settings.datasets:
        return "data", data | {INPUTS: str(fingerprints.inputs_file("data"))}
    source = settings.datasets[task.data]
    raw = source.path or str(user_code.file_of(source.maker))
    inputs = str(fingerprints.inputs_file("own", task.data, own=source.own_module))
    return "own", data | {"dataset": task.data, "raw": raw, INPUTS: inputs}


def _dense(
    settings: Settings, name: str, seeds: tuple[int, ...]
) -> Iterator[tuple[str, str, Fields]]:
    """The items of a task without any variant: θ₀, the dense training, its first steps."""
    task = settings.tasks[name]
    instance = Instance(task=name, variant=DENSE, round=0, seeds=seeds)
    key = f"{name}-{paths.group_name(seeds)}"
    common: Fields = {
        "task": name,
        "seeds": _listed(seeds),
        "data": _data(task),
        "theta0": str(paths.theta0_folder(name, seeds)),
    }
    yield "init", key, common | {INPUTS: _inputs("init", task, (name,))}
    engine = _training("train", settings, (name,), density=1.0)
    of: Fields = {"variant": DENSE, "round": 0}
    yield "train", key, common | of | engine | _round_outputs(instance)
    for step in early_steps(settings, name):
        first: Fields = {
            "step": step,
            "early": str(paths.early_folder(name, step, seeds)),
            "timing": str(paths.timing_at(paths.early_timing_path(name, step, seeds))),
        }
        engine = _training("early", settings, (name,), density=1.0)
        path = paths.early_path(name, step, seeds)
        yield "early", path.replace("/", "-"), common | engine | first


def _round_outputs(instance: Instance) -> Fields:
    """The paths that a round's training writes."""
    return {
        "trained": str(paths.trained_folder(instance)),
        "results": str(paths.results_folder(instance)),
        "timing": str(paths.timing_file(instance)),
    }


def _at_place(settings: Settings, place: Place) -> Fields:
    return {
        "task": place.task,
        "analysis": place.analysis,
        "round": place.round,
        "step": place.step,
        "seeds": _listed(place.seeds),
        "data": _data(settings.tasks[place.task]),
    }


def _copies(settings: Settings, place: Place) -> Fields:
    names = (place.task, place.analysis)
    of = settings.analyses[place.analysis].of
    density, frozen, recipe = 1.0, False, f"analyses.{place.analysis}.of"
    course: Fields = {}
    if of != DENSE:
        course = _course(settings.variants[of].rewind.to)
        density = trained.densities_of(settings, place.task, of)[place.round]
        frozen, recipe = settings.variants[of].rewind.freezes, f"variants.{of}.rewind"
    return _at_place(settings, place) | {
        "recipe": recipe,
        "start": str(start_of(settings, place)),
        "mask": str(mask_of(settings, place)),
        "copies": str(place.copies),
        "timing": str(paths.timing_at(place.path)),
        **course,
        **_training("copies", settings, names, density=density, frozen=frozen),
    }


def _lines(settings: Settings, place: Place) -> Fields:
    if place.trains:
        ends, against = place.copies, start_of(settings, place)
    else:
        ends, against = ends_of(settings, place)
    names = (place.task, place.analysis)
    return _at_place(settings, place) | {
        "ends": str(ends),
        "against": str(against),
        "lines": str(place.lines),
        INPUTS: _inputs("lines", settings.tasks[place.task], names),
    }


def _approximation(settings: Settings, place: TargetPlace) -> Fields:
    task = settings.tasks[place.task]
    construction = settings.approximations[place.approximation].construction
    names = (place.task, place.approximation)
    inputs = _inputs("approximations", task, names, constructions=construction)
    return {
        "task": place.task,
        "approximation": place.approximation,
        "round": place.round,
        "seeds": _listed(place.seeds),
        "data": _data(task),
        "target": str(place.target),
        "approximations": str(place.folder),
        INPUTS: inputs,
    }


def _rounds(
    settings: Settings, group: ChainGroup
) -> Iterator[tuple[str, Instance, Fields]]:
    task = settings.tasks[group.task]
    names = (group.task, group.name)
    densities = trained.densities_of(settings, *names)
    for round in range(1, settings.rounds + 1):
        instance = group.at(round)
        common = _of_round(instance) | {"data": _data(task)}
        if group.owner_task != group.task:
            common["mask_task"] = group.owner_task
        if group.variant.prune.blocks is not None:
            common["mapped"] = group.name
        if group.variant.prune.makes_masks:
            kind, made = _masks(group, round, task)
            yield kind, instance, common | made
        mask, starts = str(group.mask_before(round)), str(paths.starts_folder(instance))
        rewound: Fields = {
            "theta0": str(paths.theta0_folder(group.task, group.seeds)),
            "mask": mask,
            "behind": str(group.weights_behind(round)),
            "starts": starts,
            INPUTS: _inputs("rewind", task, names, starts=group.start),
        }
        yield "rewind", instance, common | rewound
        retrained: Fields = {"mask": mask, "mask_owner": group.mask_owner, "start": starts}
        retrained |= _course(group.variant.rewind.to)
        engine = _training(
            "retrain",
            settings,
            names,
            density=densities[round],
            frozen=group.variant.rewind.freezes,
            prune=group.variant.prune,
        )
        yield "retrain", instance, common | retrained | engine | _round_outputs(instance)
    if group.variant.prune.pool is not None:
        yield from _pools(settings, group)


def _course(start: str) -> Fields:
    """What the record of a start says about the training that begins there.

    The record may be the user's. An edit of it may change the training although the start
    itself stays the same, bit for bit.
    """
    record = STARTS[start]
    course = {
        "from_beginning": record.from_beginning,
        "at_last_rate": record.at_last_rate,
        "evaluates": not record.trains,
    }
    return {name: 1 for name, holds in course.items() if holds}


def _pools(settings: Settings, group: ChainGroup) -> Iterator[tuple[str, Instance, Fields]]:
    """The stages that mix networks of several rounds.

    DVC's templates have no lists of deps. So one stage per round notes the digests of all
    networks up to it, and a pool reads the networks that stand in the last of these files.
    """
    task, owner = settings.tasks[group.task], group.mask_owner
    for round in range(1, settings.rounds + 1):
        begun, last = group.pooled_from(round, settings.rounds)
        mixed: Fields = {
            "data": _data(task),
            "mask_owner": owner,
            "trained": str(paths.trained_folder(begun)),
            "networks": str(paths.networks_file(last)),
            "pooled": str(paths.pooled_folder(group.at(round))),
            INPUTS: _inputs("pooled", task, (group.task, group.name)),
        }
        yield "pooled", group.at(round), _of_round(group.at(round)) | mixed
        own = replace(group.at(round), variant=owner)
        before = replace(own, round=round - 1)
        dense = paths.trained_folder(replace(own, variant=DENSE, round=0))
        noted: Fields = {
            "trained": str(paths.trained_folder(own)),
            "behind": str(paths.networks_file(before) if round > 1 else dense),
            "networks": str(paths.networks_file(own)),
            INPUTS: str(fingerprints.inputs_file("networks", group.task, owner)),
        }
        yield "networks", own, _of_round(own) | noted


def _of_round(instance: Instance) -> Fields:
    return {
        "task": instance.task,
        "variant": instance.variant,
        "round": instance.round,
        "seeds": _listed(instance.seeds),
    }


def _masks(group: ChainGroup, round: int, task: Task) -> tuple[str, Fields]:
    """The stage that makes the mask with which a round begins."""
    how, names = group.variant.prune, (group.task, group.name)
    made: Fields = {"masks": str(paths.masks_folder(group.at(round)))}
    source = str(group.mask_source_at(round))
    if how.file is not None:
        return "given", made | {"raw": source, INPUTS: _inputs("given", task, names)}
    if how.transform is not None and TRANSFORMS[how.transform].needs_dense:
        inputs = _inputs("matched", task, names, transforms=how.transform)
        both = {"dense": str(group.dense), "dense_source": str(group.dense_source)}
        return "matched", made | both | {"source": source, INPUTS: inputs}
    used = {"transforms": how.transform}
    if how.policy.cuts:
        assert how.criterion is not None, "a recipe whose masks are cut has one"
        used["criteria"] = how.criterion
        used["cuts"] = criteria.cut_of(how.criterion, task.program.cut)
    inputs = _inputs("prune", task, names, **used)
    initial = str(group.initial_at(round))
    return "prune", made | {"initial": initial, "source": source, INPUTS: inputs}


def _data(task: Task) -> str:
    return str(paths.data_file(task.data))


def _inputs(
    stage: str, task: Task, names: Sequence[str], **used: str | tuple[str, ...] | None
) -> str:
    model = task.model
    which = (
        {"models": model.name}
        if model.import_ is None
        else {"own": user_code.module_of(model.import_)}
    )
    return str(fingerprints.inputs_file(stage, *names, **which, **used))


def _training(
    stage: str,
    settings: Settings,
    names: Sequence[str],
    *,
    density: float,
    frozen: bool = False,
    prune: Prune | None = None,
) -> Fields:
    """The engine of a stage that trains for a task (and variant, or analysis)."""
    task = settings.tasks[names[0]]
    task = replace(task, train=for_scores(task.train, prune.scores if prune else None))
    setting, network = task.program.engine or task.train.engine, build_network(task)
    augment = task.train.augment
    needs = set(prune.policy.abilities) if prune else set()
    if frozen:
        needs.add(Ability.FREEZE)
    density = 1.0 if prune and prune.policy.begins_dense else density
    needs |= task.needs
    engine = engines.resolve(setting, network, density, task.train.device, needs)
    used: dict[str, str | tuple[str, ...] | None] = {
        "engines": engine,
        "metrics": task.program.metric,
        "measures": task.train.measures,
        "policies": prune.schedule if prune and prune.policy.changes else None,
        "optimizers": None if is_built_in(task.train.optimizer) else task.train.optimizer,
        "augmentations": None if augment == NO_AUGMENTATION else augment,
    }
    return {"engine": engine, INPUTS: _inputs(stage, task, names, **used)}


def inputs_of(plan: Plan) -> dict[Path, fingerprints.Decided]:
    """The inputs files of the plan's stages, ``results`` among them: what stands in each.

    Instances that share a file have the same code, settings and facts.
    """
    found = {fingerprints.inputs_file("results"): fingerprints.NOTHING}
    for item in items_of(plan):
        decided = fingerprints.decided_by(item)
        assert found.setdefault(item.path(INPUTS), decided) == decided, item.stage
    return found


def upstream(plan: Plan) -> dict[str, set[str]]:
    """For every output of a stage instance: the names of all stages that lead to it."""
    behind: dict[str, set[str]] = {}
    waiting = list(items_of(plan))
    while waiting:
        later: list[Item] = []
        for item in waiting:
            read = {item[name] for name in item.kind.reads}
            if read <= set(behind):
                stages = {item.stage}.union(*(behind[path] for path in read))
                behind |= {item[name]: stages for name in item.kind.writes}
            else:
                later.append(item)
        assert len(later) < len(waiting), "stages that read each other's outputs"
        waiting = later
    return behind


def active(settings: Settings) -> dict[str, dict[str, tuple[range, tuple[int, ...]]]]:
    """The rounds and seeds that tables, tracking and figures show, by task and variant.

    The dense network is round 0 of every variant; a task without variants has it alone.
    """
    return {
        task: {
            name: (range(1, settings.rounds + 1), settings.seeds)
            for name, variant in settings.variants.items()
            if task in variant.tasks
        }
        or {DENSE: (range(0), settings.seeds)}
        for task in settings.tasks
    }


def _listed(seeds: tuple[int, ...]) -> str:
    return ",".join(str(seed) for seed in seeds)
