"""Settings -> plan.json: the structure of an experiment, resolved.

params.yaml says what a user wants; DVC's templates have no arithmetic. The plan is the
list of stage instances between the two: which exist, what each reads, which code each
depends on. It holds no setting: those stay in params.yaml, and the file that an instance
depends on (``inputs``) has those of them that decide its result.

Groups of seeds are kept: seeds of one group are trained side by side in one stage, and a
seed more must not retrain the others. New seeds form a new group; a group stays while
one of its seeds is active.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import engines
from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.config.settings import Settings, Task, build_network
from pipeline.core.training.engine import Ability
from pipeline.plan import expected, fingerprints
from pipeline.plan.chains import Chain, chains, early_steps, makes_mask
from pipeline.plan.places import Spot, ends_of, mask_of, spots, start_of

Item = dict[str, str | int]
Plan = dict[str, dict[str, Item]]
STAGES = ("data", "init", "train", "early", "prune", "rewind", "retrain", "copies", "lines")
INPUTS = ("data", "theta0", "source", "mask", "behind", "start", "ends", "against")
"""what of an item are paths that its stage reads, if they are there"""


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
    plan: Plan = {stage: {} for stage in STAGES}
    for name, task in settings.tasks.items():
        data = str(paths.data_file(task.data))
        inputs = str(fingerprints.inputs_file("data"))
        plan["data"][task.data] = {"out": data, "inputs": inputs}
        for seeds in groups:
            dense = Instance(task=name, variant=DENSE, round=0, seeds=seeds)
            common: Item = {"task": name, "seeds": _listed(seeds), "data": data}
            common["theta0"] = str(paths.theta0_folder(name, seeds))
            key = f"{name}-{paths.group_name(seeds)}"
            plan["init"][key] = common | {"inputs": _inputs("init", task, (name,))}
            train = _training("train", settings, (name,), density=1.0)
            plan["train"][key] = common | train | {"path": dense.path}
            for step in early_steps(settings, name):
                path = paths.early_path(name, step, seeds)
                plan["early"][path.replace("/", "-")] = {
                    **common,
                    **_training("early", settings, (name,), density=1.0),
                    "step": step,
                    "path": path,
                    "timing": paths.early_timing_path(name, step, seeds),
                }
    for chain in chains(settings, groups):
        for stage, instance, item in _rounds(settings, chain):
            plan[stage][instance.key] = item
    for spot in spots(settings, groups):
        if spot.trains:
            plan["copies"][spot.key] = _copies(settings, spot)
        plan["lines"][spot.key] = _lines(settings, spot)
    return plan


def _spot_item(settings: Settings, spot: Spot) -> Item:
    task = settings.tasks[spot.task]
    return {
        "task": spot.task,
        "analysis": spot.analysis,
        "round": spot.round,
        "step": spot.step,
        "seeds": _listed(spot.seeds),
        "path": spot.path,
        "data": str(paths.data_file(task.data)),
    }


def _copies(settings: Settings, spot: Spot) -> Item:
    names = (spot.task, spot.analysis)
    of = settings.analyses[spot.analysis].of
    density, frozen, recipe = 1.0, False, f"analyses.{spot.analysis}.of"
    if of != DENSE:
        density = expected_densities(settings, spot.task, of)[spot.round]
        frozen, recipe = settings.variants[of].rewind.freezes, f"variants.{of}.rewind"
    return _spot_item(settings, spot) | {
        "recipe": recipe,
        "start": str(start_of(settings, spot)),
        "mask": str(mask_of(settings, spot)),
        **_training("copies", settings, names, density=density, frozen=frozen),
    }


def _lines(settings: Settings, spot: Spot) -> Item:
    if spot.trains:
        ends, against = spot.copies, start_of(settings, spot)
    else:
        ends, against = ends_of(settings, spot)
    names = (spot.task, spot.analysis)
    inputs = _inputs("lines", settings.tasks[spot.task], names)
    read = {"ends": str(ends), "against": str(against), "inputs": inputs}
    return _spot_item(settings, spot) | read


def _rounds(settings: Settings, chain: Chain) -> Iterator[tuple[str, Instance, Item]]:
    task = settings.tasks[chain.task]
    names = (chain.task, chain.name)
    densities = expected_densities(settings, *names)
    for round in range(1, settings.rounds + 1):
        instance = chain.at(round)
        common: Item = {
            "task": chain.task,
            "variant": chain.name,
            "round": round,
            "seeds": _listed(chain.seeds),
            "path": instance.path,
            "data": str(paths.data_file(task.data)),
            "theta0": str(paths.theta0_folder(chain.task, chain.seeds)),
        }
        if makes_mask(chain.variant):
            how = chain.variant.prune
            used = {"criteria": how.criterion, "transforms": how.transform}
            item = common | {
                "initial": str(chain.initial_at(round)),
                "source": str(chain.mask_source_at(round)),
                "inputs": _inputs("prune", task, names, **used),
            }
            yield "prune", instance, item
        mask = str(chain.mask_before(round))
        rewound: Item = common | {
            "mask": mask,
            "behind": str(chain.weights_behind(round)),
            "inputs": _inputs("rewind", task, names, starts=chain.variant.rewind.to),
        }
        yield "rewind", instance, rewound
        trained: Item = common | {
            "mask": mask,
            "mask_owner": chain.mask_owner,
            "start": str(paths.starts_folder(instance)),
        }
        engine = _training(
            "retrain",
            settings,
            names,
            density=densities[round],
            frozen=chain.variant.rewind.freezes,
            gradual=chain.variant.prune.gradual,
        )
        yield "retrain", instance, trained | engine


def _inputs(stage: str, task: Task, names: Sequence[str], **used: str | None) -> str:
    return str(fingerprints.inputs_file(stage, *names, models=task.model.name, **used))


def _training(
    stage: str,
    settings: Settings,
    names: Sequence[str],
    *,
    density: float,
    frozen: bool = False,
    gradual: bool = False,
) -> Item:
    """The engine of a stage that trains for a task (and variant, or analysis)."""
    task = settings.tasks[names[0]]
    setting, network = task.compat or task.train.engine, build_network(task)
    asked = {Ability.FREEZE: frozen, Ability.CHANGE_MASK: gradual}
    needs = {ability for ability, is_needed in asked.items() if is_needed}
    density = 1.0 if gradual else density
    engine = engines.resolve(setting, network, density, task.train.device, needs)
    return {"engine": engine, "inputs": _inputs(stage, task, names, training=engine)}


def kinds(plan: Plan) -> dict[Path, list[str]]:
    """Files that the plan's stages depend on, ``results`` among them, and their settings.

    Instances that share a file are of one kind: they have the same code and settings.
    """
    of_instances = {
        Path(str(item["inputs"])): fingerprints.settings_of(stage, item)
        for stage, items in plan.items()
        for item in items.values()
    }
    return {fingerprints.inputs_file("results"): [], **of_instances}


def expected_densities(settings: Settings, task: str, variant: str) -> list[float]:
    """The density of each round 0 … rounds, by the integer recursion of pruning.

    With ``compat`` thresholds decide, and trainings; this is then close to what they do.
    """
    prune = settings.variants[variant].prune
    if not prune.own:
        return expected_densities(settings, task, prune.mask)
    return expected.densities(settings.tasks[task], prune, settings.rounds)


def upstream(plan: Plan) -> dict[str, set[str]]:
    """Output of a stage instance -> names of all stages behind it, its own included."""
    behind: dict[str, set[str]] = {}
    waiting = [(stage, key, item) for stage in STAGES for key, item in plan[stage].items()]
    while waiting:
        later = []
        for stage, key, item in waiting:
            made = _output(stage, item)
            read = {str(item[name]) for name in INPUTS if name in item} - {made}
            if read <= set(behind):
                behind[made] = {f"{stage}@{key}"}.union(*(behind[path] for path in read))
            else:
                later.append((stage, key, item))
        assert len(later) < len(waiting), "stages that read each other's outputs"
        waiting = later
    return behind


def active(settings: Settings) -> dict[str, dict[str, tuple[range, tuple[int, ...]]]]:
    """Task -> variant -> (rounds, seeds): what tables, tracking and figures show.

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


def _output(stage: str, item: Item) -> str:
    if stage in ("data", "init"):
        return str(item["out" if stage == "data" else "theta0"])
    kinds = {"prune": "masks", "rewind": "starts", "train": "trained", "retrain": "trained"}
    return str(paths.FOLDER / kinds.get(stage, stage) / str(item["path"]))


def _listed(seeds: tuple[int, ...]) -> str:
    return ",".join(str(seed) for seed in seeds)
