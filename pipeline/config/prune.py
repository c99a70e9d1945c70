"""Check the settings with which a variant gets its masks."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from pipeline import engines
from pipeline.config.mask_from import Owner
from pipeline.config.settings import (
    OWN,
    Prune,
    Settings,
    Task,
    Variant,
    build_network,
    total_steps,
)
from pipeline.config.yaml_shape import choose, choose_or_import
from pipeline.core import criteria
from pipeline.core.counts import DIVIDING
from pipeline.core.criteria import CRITERIA
from pipeline.core.cuts import CUTS
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Kind, Module, Network, kernels, parameters
from pipeline.core.policies import POLICIES, RECIPE, SCHEDULES, Policy
from pipeline.core.training.schedules import beyond_the_end
from pipeline.core.training.settings import for_scores
from pipeline.core.transforms import TRANSFORMS

_ONLY_ANOTHERS = "only another variant's mask can be transformed"


def problems(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    """Yield one line for each impossible setting of a variant's masks."""
    prune = variant.prune
    if prune.own:
        yield from _own(where, prune)
    elif prune.owner is not None:
        yield from _taken(where, variant, prune.owner, settings)
    elif prune.transform is not None:
        yield f"{where}.transform: {_ONLY_ANOTHERS}; name the variant that reads the file"
    yield from _keys(where, prune)
    tasks = {name: settings.tasks[name] for name in variant.tasks}
    if prune.own:
        yield from _recipe(where, prune, tasks, settings.rounds)
    if prune.policy.changes:
        yield from _changing(where, prune.policy, tasks)
    if prune.step is not None:
        yield from _step(f"{where}.step", prune, tasks)
    if prune.scores is not None:
        yield from _scores(f"{where}.scores", prune, tasks)


def _own(where: str, prune: Prune) -> Iterator[str]:
    if prune.schedule is None:
        yield f"{where}.schedule: null found; a variant with its own mask needs it"
    if problem := choose_or_import(str(prune.schedule), SCHEDULES, POLICIES):
        yield f"{where}.schedule: {problem}"
    if prune.transform is not None:
        yield f"{where}.transform: {_ONLY_ANOTHERS}"


def _keys(where: str, prune: Prune) -> Iterator[str]:
    """Check that a recipe gives the keys that its policy needs, and no others."""
    for key in RECIPE:
        found, needed = getattr(prune, key), key in prune.policy.needs
        if needed and found is None:
            yield f"{where}.{key}: null found; a variant with its own mask needs it"
        if not needed and found is not None:
            yield f"{where}.{key}: must be null, because {_comes_from(prune)}"


def _comes_from(prune: Prune) -> str:
    if prune.own:
        return f"{prune.schedule} asks for none"
    if prune.owner is None:
        return f"the mask is read from {prune.file}"
    of_task = f" of task {prune.owner.task}" if prune.owner.task else ""
    return f"the mask is taken from {prune.owner.variant}{of_task}"


def _recipe(
    where: str, prune: Prune, tasks: Mapping[str, Task], rounds: int
) -> Iterator[str]:
    needs_criterion = "criterion" in prune.policy.needs
    if needs_criterion and (
        problem := choose_or_import(str(prune.criterion), CRITERIA, CRITERIA)
    ):
        yield f"{where}.criterion: {problem}"
    possible = prune.policy.criteria
    if possible is not None and prune.criterion not in possible:
        yield (
            f"{where}.criterion: {prune.criterion} found; {prune.schedule} pruning ranks "
            f"weights by {' or '.join(possible)} while they train: write "
            f"{' or '.join(possible)}"
        )
    scopes = prune.policy.scopes
    if scopes and prune.scope not in scopes:
        said = " or ".join(scopes)
        yield f"{where}.scope: {prune.scope} found; {prune.schedule} works in {said} scope"
    if prune.policy.cuts:
        yield from _cutting(where, prune)
        yield from _scoring(where, prune, tasks)
    if prune.fraction is None:
        return
    yield from _fractions(f"{where}.fraction", prune.fraction, prune.scope)
    for name, task in tasks.items():
        yield from _kinds(f"{where}.fraction", prune.fraction, name, task)
    yield from _absent_kinds(f"{where}.fraction", prune.fraction, tasks)
    for name, task in tasks.items():
        yield from _emptied(f"{where}.fraction", prune, rounds, build_network(task), name)


def _scoring(where: str, prune: Prune, tasks: Mapping[str, Task]) -> Iterator[str]:
    """Check that the criterion can score each task's network for its data."""
    assert prune.criterion is not None
    for name, task in tasks.items():
        data = task.dataset.description
        problem = criteria.refusal(prune.criterion, build_network(task), data)
        if problem:
            yield (
                f"{where}.criterion: {prune.criterion} {problem} (task {name}); take "
                "another criterion, such as magnitude or random"
            )


def _cutting(where: str, prune: Prune) -> Iterator[str]:
    """Check that schedule, criterion and scope fit together where masks are cut."""
    assert prune.criterion is not None
    criterion, policy = CRITERIA[prune.criterion], prune.policy
    if criterion.needs_trained and not policy.looks_at_trained:
        able = ", ".join(name for name, c in CRITERIA.items() if not c.needs_trained)
        yield (
            f"{where}.criterion: {prune.criterion} looks at trained weights, and "
            f"{prune.schedule} prunes before training; write one of {able}"
        )
    cut = CUTS[criterion.cut] if criterion.cut else None
    if cut and cut.scopes and prune.scope not in cut.scopes:
        scopes = " or ".join(cut.scopes)
        yield (
            f"{where}.scope: {prune.scope} found; {prune.criterion} works in {scopes} scope"
        )
    divides = prune.scope in DIVIDING
    if not policy.at_once and ((cut and cut.whole) or divides):
        what = f"{prune.scope} scope" if divides else prune.criterion
        able = " or ".join(name for name in SCHEDULES if POLICIES[name].at_once)
        yield (
            f"{where}.schedule: {prune.schedule} found; {what} cuts a mask that keeps "
            f"everything: write {able}"
        )


def _changing(where: str, policy: Policy, tasks: Mapping[str, Task]) -> Iterator[str]:
    """Check that each task's engine can do what the policy needs while it trains."""
    for name, task in tasks.items():
        if policy.needs_layers and isinstance(build_network(task), Module):
            yield (
                f"{where}.schedule: task {name}: it reads layer records, which a torch "
                "module has not; take a model of ours, or another schedule"
            )
            continue
        try:
            train, network = task.train, build_network(task)
            needs = policy.abilities | task.needs
            engines.resolve(train.engine, network, 1.0, train.device, needs)
        except ValueError as error:
            yield f"{where}.schedule: task {name}: {error}"


def _step(where: str, prune: Prune, tasks: Mapping[str, Task]) -> Iterator[str]:
    """Check from which step of the dense training masks are cut."""
    criterion = prune.criterion
    if criterion and not CRITERIA[criterion].needs_trained:
        yield (
            f"{where}: {prune.step} found; {criterion} looks at no trained weights, and "
            "every step gives the same mask; leave step out, and write schedule: at-init"
        )
    if prune.policy.reads != "dense":
        able = " or ".join(name for name in SCHEDULES if POLICIES[name].reads == "dense")
        yield (
            f"{where}: {prune.step} found; only {able} cuts the dense network: write "
            f"schedule: {able}, or leave the step out"
        )
    for name, task in tasks.items():
        total = total_steps(task)
        if not 1 <= (prune.step or 0) < total:
            yield (
                f"{where}: {prune.step} found; the training of task {name} has {total} "
                f"steps: give 1 to {total - 1}, or leave it out for the end"
            )


def _scores(where: str, prune: Prune, tasks: Mapping[str, Task]) -> Iterator[str]:
    """Check how scores are to be trained, where there are some."""
    if not prune.policy.trains_scores:
        able = ", ".join(name for name in SCHEDULES if POLICIES[name].trains_scores)
        yield f"{where}: {prune.schedule} trains no scores; leave it out, or write {able}"
    for task in tasks.values():
        try:
            train = for_scores(task.train, prune.scores)
        except ValueError as error:
            yield f"{where}.{error}"
            return
        if problem := beyond_the_end(train.schedule, total_steps(task)):
            yield f"{where}.{problem}"


def _fractions(
    where: str, fractions: dict[Kind, float | None], scope: str | None
) -> Iterator[str]:
    for kind, fraction in fractions.items():
        if fraction is not None and not 0 <= fraction < 1:
            yield (
                f"{where}.{kind}: {fraction} found; it is the fraction "
                "removed per round, in (0, 1), 0 for none, or null"
            )
    positive = {f for f in fractions.values() if f}
    if not positive:
        yield f"{where}: nothing would be pruned; give a kind a value above 0"
    if scope != "layerwise" and len(positive) > 1:
        yield (
            f"{where}: {scope} scope pools the layers, so one fraction is "
            f"needed; found {sorted(positive)}"
        )


def _kinds(
    where: str, fraction: dict[Kind, float | None], name: str, task: Task
) -> Iterator[str]:
    present = {p.kind for p in parameters(build_network(task)).values() if p.kind}
    for kind in sorted(present - set(fraction)):
        yield (
            f"{where}: {task.model.name} of task {name} has {kind} weights; give "
            f"{kind} a fraction (0 keeps them, null leaves them out of the count)"
        )
    if not any(fraction.get(kind) for kind in present):
        yield f"{where}: no kind of layer of {task.model.name} would be pruned"


def _absent_kinds(
    where: str, fraction: dict[Kind, float | None], tasks: Mapping[str, Task]
) -> Iterator[str]:
    """Check that every fraction above 0 is of weights that some network has."""
    networks = [parameters(build_network(task)) for task in tasks.values()]
    present = {p.kind for network in networks for p in network.values() if p.kind}
    for kind, found in fraction.items():
        if found and kind not in present:
            yield (
                f"{where}.{kind}: {found} found; no network of {', '.join(tasks)} has "
                f"{kind} weights, leave it out"
            )


def _emptied(
    where: str, prune: Prune, rounds: int, network: Network, task: str
) -> Iterator[str]:
    """Check that weights remain in all that are ranked together, up to the last round."""
    assert prune.fraction is not None
    assert prune.scope is not None
    sizes = {name: prod(p.shape) for name, p in parameters(network).items()}
    for number in range(1, rounds + 1):
        asked = Asked.of_recipe(
            network, prune.criterion or "", prune.fraction, prune.scope, number
        )
        counts = asked.counts({name: sizes[name] for name in asked.fractions})
        empty = [pool for pool, count in counts.items() if count == 0]
        if empty:
            yield (
                f"{where}: round {number} would keep no weight of {empty[0]} in task "
                f"{task}; give a smaller fraction, or rounds: {number - 1}"
            )
            return


def _taken(where: str, variant: Variant, owner: Owner, settings: Settings) -> Iterator[str]:
    prune, named = variant.prune, owner.variant
    key = "mask" if owner.task is None else "mask.variant"
    yield from _unknown_owner(where, key, owner, settings)
    source = settings.variants[named]
    if source.prune.owner is not None:
        its = source.prune.owner.variant
        yield f"{where}.{key}: {named} takes its own mask from {its}; name {its}"
    for task in variant.tasks if owner.task is None else (owner.task,):
        if task not in source.tasks:
            yield f"{where}.{key}: {named} is not run on task {task}"
    yield from _control(where, prune)
    if prune.transform is not None:
        yield from _looking(f"{where}.transform", variant, owner, settings)
    for task in variant.tasks if owner.task is not None else ():
        yield from _other_network(where, prune, owner.task or task, task, settings)


def _unknown_owner(where: str, key: str, owner: Owner, settings: Settings) -> Iterator[str]:
    if owner.task is not None and owner.task not in settings.tasks:
        yield f"{where}.mask.task: {choose(owner.task, settings.tasks)}"
    if owner.variant not in settings.variants:
        known: Sequence[str] = [OWN] if owner.task is None else []
        said = choose(owner.variant, [*known, *settings.variants])
        yield f"{where}.{key}: {said}: a control needs its ticket"


def _control(where: str, prune: Prune) -> Iterator[str]:
    taken = prune.transform
    if taken and (problem := choose_or_import(taken, TRANSFORMS, TRANSFORMS)):
        yield f"{where}.transform: {problem}"
    if prune.schedule is not None:
        yield f"{where}.schedule: must be null, because {_comes_from(prune)}"


def _looking(
    where: str, variant: Variant, owner: Owner, settings: Settings
) -> Iterator[str]:
    """Check that a transform finds what its record says that it looks at."""
    name = str(variant.prune.transform)
    record = TRANSFORMS[name]
    for task in variant.tasks:
        theirs, ours = owner.task or task, variant.rewind.task or task
        if record.needs_dense and theirs == ours:
            yield (
                f"{where}: {name} compares dense networks of two tasks, and {theirs} is "
                "that of the mask and of the start; take the mask of a task that draws "
                "other weights (model.draw)"
            )
        if record.needs_layers and isinstance(build_network(settings.tasks[task]), Module):
            yield (
                f"{where}: task {task}: {name} reads layer records, which a torch module "
                "has not; take a model of ours, or another transform"
            )


def _other_network(
    where: str, prune: Prune, source: str, target: str, settings: Settings
) -> Iterator[str]:
    """Check that a mask of one task's network is a mask of another's."""
    if prune.transform is not None and TRANSFORMS[prune.transform].between_networks:
        return
    theirs, ours = (
        {name: tensor.shape for name, tensor in kernels(build_network(task)).items()}
        for task in (settings.tasks[source], settings.tasks[target])
    )
    for name in [*theirs, *ours]:
        if theirs.get(name) != ours.get(name):
            found, wanted = (
                f"{list(shapes[name])}" if name in shapes else "not there"
                for shapes in (theirs, ours)
            )
            able = [n for n, record in TRANSFORMS.items() if record.between_networks]
            yield (
                f"{where}.mask: {name} is {found} in the network of task {source} and "
                f"{wanted} in that of task {target}; name a task with the same network"
                f"{', or a transform between networks: ' + ', '.join(able) if able else ''}"
            )
