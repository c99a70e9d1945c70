"""Settings -> plan.json: the structure of an experiment, resolved.

params.yaml says what a user wants; DVC's templates have no arithmetic. The plan is the
list of stage instances between the two: which exist, what each reads, which file of code
each depends on. It holds no setting: those stay in params.yaml and are tracked by key.

Groups of seeds are kept: seeds of one group are trained side by side in one stage, and a
seed more must not retrain the others. New seeds form a new group; a group stays while
one of its seeds is active.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import artifacts, checkpoints
from pipeline.artifacts import DENSE, Instance
from pipeline.core import criteria, models, starts, training, transforms
from pipeline.core.counts import fractions_per_tensor, kept_counts
from pipeline.core.models.layers import parameters
from pipeline.core.starts import STARTS
from pipeline.errors import UserError
from pipeline.params import Settings, Variant, build_network

FILE = Path("pipeline/plan.json")

Item = dict[str, str | int]
Plan = dict[str, dict[str, Item]]
STAGES = ("data", "init", "train", "early", "prune", "rewind", "retrain")
INPUTS = ("data", "theta0", "source", "mask", "behind", "start")
"""what of an item are paths that its stage reads, if they are there"""


class PlanError(UserError):
    """The plan does not fit the settings; one line that says so and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One variant on one task, over all rounds, for one group of seeds."""

    task: str
    name: str
    variant: Variant
    owner: Variant
    """whose recipe decides the masks: the variant itself, or the one it takes them from"""
    seeds: tuple[int, ...]

    def at(self, round: int) -> Instance:
        """This chain's instance of a round; round 0 is the dense network's."""
        name = self.name if round else DENSE
        return Instance(task=self.task, variant=name, round=round, seeds=self.seeds)

    @property
    def mask_owner(self) -> str:
        """The variant whose recipe decides the masks."""
        return self.name if self.variant.prune.own else self.variant.prune.mask

    def mask_at(self, round: int) -> Path:
        """The folder that a round's mask is read from."""
        if makes_mask(self.variant):
            return artifacts.masks_folder(self.at(round))
        source = Instance(
            task=self.task,
            variant=self.variant.prune.mask,
            round=round,
            seeds=self.seeds,
        )
        return artifacts.masks_folder(source)

    def mask_source_at(self, round: int) -> Path:
        """What a round's prune stage looks at: trained weights, or another's mask."""
        prune = self.variant.prune
        if not prune.own:
            source = Instance(
                task=self.task, variant=prune.mask, round=round, seeds=self.seeds
            )
            return artifacts.masks_folder(source)
        previous = 0 if prune.schedule == "one-shot" else round - 1
        return artifacts.trained_folder(self.at(previous))

    def initial_at(self, round: int) -> Path:
        """Where the training began whose weights a round's own mask is cut from."""
        previous = 0 if self.variant.prune.schedule == "one-shot" else round - 1
        if previous == 0:
            return artifacts.theta0_folder(self.task, self.seeds)
        return artifacts.starts_folder(self.at(previous))

    def weights_behind(self, round: int) -> Path:
        """The weights beside θ₀ that a round's start may look at.

        Those of the first steps where it is rewound to one; those of the chain's own
        previous round where the start continues them; else those that the round's mask
        was cut from.
        """
        start = STARTS[self.variant.rewind.to]
        if start.step == "needed":
            step = self.variant.rewind.first_step
            return artifacts.early_folder(self.task, step, self.seeds)
        if start.needs_trained == "chain":
            return artifacts.trained_folder(self.at(round - 1))
        previous = 0 if self.owner.prune.schedule == "one-shot" else round - 1
        name = self.mask_owner if previous else DENSE
        return artifacts.trained_folder(
            Instance(task=self.task, variant=name, round=previous, seeds=self.seeds)
        )


def find_chain(settings: Settings, task: str, name: str, seeds: str) -> Chain:
    """The chain that a stage's command line names."""
    return _chain(settings, task, name, artifacts.parse_seeds(seeds))


def _chain(settings: Settings, task: str, name: str, seeds: tuple[int, ...]) -> Chain:
    variant = settings.variants[name]
    owner = variant if variant.prune.own else settings.variants[variant.prune.mask]
    return Chain(task=task, name=name, variant=variant, owner=owner, seeds=seeds)


def makes_mask(variant: Variant) -> bool:
    """Whether a variant has prune stages (a plain control takes a mask as it is)."""
    return variant.prune.own or variant.prune.transform is not None


def chains(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[Chain]:
    """Every chain group of the experiment, in the order of params.yaml."""
    for name, variant in settings.variants.items():
        for task in variant.tasks:
            for seeds in groups:
                yield _chain(settings, task, name, seeds)


def instances(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[Instance]:
    """Every training of the experiment: the dense ones, then round by round."""
    for task in used_tasks(settings):
        for seeds in groups:
            yield Instance(task=task, variant=DENSE, round=0, seeds=seeds)
    for chain in chains(settings, groups):
        for round in range(1, settings.rounds + 1):
            yield chain.at(round)


def used_tasks(settings: Settings) -> list[str]:
    """Tasks that a variant runs on; without variants every task trains densely."""
    if not settings.variants:
        return list(settings.tasks)
    return [
        name
        for name in settings.tasks
        if any(name in variant.tasks for variant in settings.variants.values())
    ]


def early_steps(settings: Settings, task: str) -> list[int]:
    """The steps of a task's dense training whose weights something begins with."""
    return sorted(
        {
            variant.rewind.first_step
            for variant in settings.variants.values()
            if task in variant.tasks and STARTS[variant.rewind.to].step == "needed"
        }
    )


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
    for name in used_tasks(settings):
        task = settings.tasks[name]
        data = str(artifacts.data_file(task.data))
        plan["data"][task.data] = {"out": data}
        for seeds in groups:
            dense = Instance(task=name, variant=DENSE, round=0, seeds=seeds)
            theta0 = artifacts.theta0_folder(name, seeds)
            common: Item = {
                "task": name,
                "seeds": _listed(seeds),
                "data": data,
                "theta0": str(theta0),
                "model_file": models.file_of(task.model.name),
            }
            key = f"{name}-{artifacts.group_name(seeds)}"
            plan["init"][key] = common
            trained = common | _engine(settings, name, density=1.0)
            plan["train"][key] = trained | {"path": dense.path}
            for step in early_steps(settings, name):
                path = artifacts.early_path(name, step, seeds)
                plan["early"][path.replace("/", "-")] = trained | {
                    "step": step,
                    "path": path,
                    "timing": artifacts.early_timing_path(name, step, seeds),
                }
    for chain in chains(settings, groups):
        for stage, instance, item in _rounds(settings, chain):
            plan[stage][instance.key] = item
    return plan


def _rounds(settings: Settings, chain: Chain) -> Iterator[tuple[str, Instance, Item]]:
    task = settings.tasks[chain.task]
    densities = expected_densities(settings, chain.task, chain.name)
    for round in range(1, settings.rounds + 1):
        instance = chain.at(round)
        common: Item = {
            "task": chain.task,
            "variant": chain.name,
            "round": round,
            "seeds": _listed(chain.seeds),
            "path": instance.path,
            "data": str(artifacts.data_file(task.data)),
            "theta0": str(artifacts.theta0_folder(chain.task, chain.seeds)),
            "model_file": models.file_of(task.model.name),
        }
        if makes_mask(chain.variant):
            item = common | {
                "initial": str(chain.initial_at(round)),
                "source": str(chain.mask_source_at(round)),
                "method_file": _method_file(chain.variant),
            }
            yield "prune", instance, item
        mask = str(chain.mask_at(round))
        rewound: Item = common | {
            "mask": mask,
            "start_file": starts.file_of(chain.variant.rewind.to),
            "behind": str(chain.weights_behind(round)),
        }
        yield "rewind", instance, rewound
        trained: Item = common | {
            "mask": mask,
            "mask_owner": chain.mask_owner,
            "start": str(artifacts.starts_folder(instance)),
            **_engine(settings, chain.task, density=densities[round]),
        }
        yield "retrain", instance, trained


def _method_file(variant: Variant) -> str:
    prune = variant.prune
    if prune.transform is not None:
        return f"pipeline/core/transforms/{transforms.file_of(prune.transform)}"
    assert prune.criterion is not None
    return f"pipeline/core/criteria/{criteria.file_of(prune.criterion)}"


def _engine(settings: Settings, task: str, *, density: float) -> Item:
    train = settings.tasks[task].train
    network = build_network(settings.tasks[task])
    name = training.resolve(train.engine, network, density, train.device)
    return {"engine": name, "engine_file": training.file_of(name)}


def expected_densities(settings: Settings, task: str, variant: str) -> list[float]:
    """The density of each round 0 … rounds, by the integer recursion of pruning."""
    prune = settings.variants[variant].prune
    if not prune.own:
        return expected_densities(settings, task, prune.mask)
    assert prune.fraction is not None
    assert prune.scope is not None
    tensors = parameters(build_network(settings.tasks[task]))
    fractions = fractions_per_tensor(tensors, prune.fraction)
    sizes = {name: math.prod(tensors[name].shape) for name in fractions}
    counts = kept_counts(sizes, fractions, prune.scope, settings.rounds)
    return [sum(kept.values()) / sum(sizes.values()) for kept in counts]


def read(root: Path = Path()) -> Plan | None:
    """The plan on disk, or None where there is none.

    Raises:
        PlanError: if the file is something else, such as two plans half merged.
    """
    if not (root / FILE).exists():
        return None
    try:
        value = json.loads((root / FILE).read_text(encoding="utf-8"))
        plan: Plan = value["plan"]
        groups_in(plan)
        unknown = set(plan) ^ set(STAGES)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        unknown = {"everything"}
    if unknown:
        raise PlanError(
            f"{FILE} is not a plan; restore it with `git checkout {FILE}`, or delete it "
            "and run `lt-pipeline plan`"
        )
    return plan


def groups_in(plan: Plan | None) -> list[tuple[int, ...]]:
    """The groups of seeds of a plan, in its order."""
    items = (plan or {}).get("train", {}).values()
    return list(dict.fromkeys(artifacts.parse_seeds(str(item["seeds"])) for item in items))


def write(settings: Settings, root: Path = Path(), *, fresh: bool = False) -> Plan:
    """Compile the plan and write it, keeping the groups of seeds that have been run.

    Args:
        settings: what to plan.
        root: of the repository.
        fresh: whether to put all seeds into one group, as for another experiment.
    """
    begun = [] if fresh else _begun(groups_in(read(root)), root)
    plan = compile_plan(settings, regroup(settings.seeds, begun))
    artifacts.save_json(root / FILE, {"plan": plan})
    return plan


def _begun(groups: list[tuple[int, ...]], root: Path) -> list[tuple[int, ...]]:
    """The groups that DVC has a stage of; the others can be formed anew."""
    lock = root / "dvc.lock"
    known = lock.read_text(encoding="utf-8") if lock.exists() else ""
    return [g for g in groups if f"{artifacts.group_name(g)}:\n" in known]


def check(settings: Settings, root: Path = Path()) -> Plan:
    """The plan on disk, if it is what the settings ask for.

    Raises:
        PlanError: with one line that says what to run.
    """
    plan = read(root)
    if plan is None:
        raise PlanError(f"{FILE} is missing; write it with `lt-pipeline plan`")
    expected = compile_plan(settings, regroup(settings.seeds, groups_in(plan)))
    if plan != expected:
        raise PlanError(
            f"{FILE} does not fit params.yaml ({_difference(plan, expected)}); "
            "run `lt-pipeline plan`, then `dvc repro`"
        )
    return plan


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
    """Task -> variant -> (rounds, seeds): what tables, tracking and figures show."""
    return {
        task: {
            name: (range(1, settings.rounds + 1), settings.seeds)
            for name, variant in settings.variants.items()
            if task in variant.tasks
        }
        for task in used_tasks(settings)
    }


def stale_folders(plan: Plan, root: Path = Path()) -> list[Path]:
    """Results and checkpoints of instances that the plan no longer has."""
    paths = {str(item["path"]) for s in ("train", "retrain") for item in plan[s].values()}
    timed = {str(item["timing"]) for item in plan["early"].values()}
    keys = {path.replace("/", "-") for path in paths}
    found: list[Path] = []
    for kind in ("masks", "starts", "trained", "results", "timing"):
        base = root / artifacts.FOLDER / kind
        for folder in sorted(base.glob("*/*/*/*")):
            relative = str(folder.relative_to(base)).removesuffix(".json")
            if relative not in paths | (timed if kind == "timing" else set()):
                found.append(folder)
    theta0 = {Path(str(item["theta0"])) for item in plan["init"].values()}
    base = root / artifacts.FOLDER / "theta0"
    found += [f for f in sorted(base.glob("*/*")) if f.relative_to(root) not in theta0]
    early = {str(item["path"]) for item in plan["early"].values()}
    keys |= {"early-" + path.replace("/", "-") for path in early}
    base = root / artifacts.FOLDER / "early"
    found += [
        f for f in sorted(base.glob("*/*/*")) if str(f.relative_to(base)) not in early
    ]
    kept = sorted((root / checkpoints.FOLDER).glob("*"))
    return found + [folder for folder in kept if folder.name not in keys]


def remove_stale(plan: Plan, root: Path = Path()) -> int:
    """Delete what ``stale_folders`` finds; DVC's cache restores it when it is back."""
    found = stale_folders(plan, root)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for parent in {path.parent for path in found}:
        for folder in (parent, *parent.parents[:2]):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return len(found)


def _output(stage: str, item: Item) -> str:
    if stage in ("data", "init"):
        return str(item["out" if stage == "data" else "theta0"])
    kinds = {"early": "early", "prune": "masks", "rewind": "starts"}
    return str(artifacts.FOLDER / kinds.get(stage, "trained") / str(item["path"]))


def _difference(plan: Plan, expected: Plan) -> str:
    missing = [f"{s}@{key}" for s in STAGES for key in expected[s].keys() - plan[s].keys()]
    extra = [f"{s}@{key}" for s in STAGES for key in plan[s].keys() - expected[s].keys()]
    parts = []
    if missing:
        parts.append(f"{len(missing)} stages missing, such as {min(missing)}")
    if extra:
        parts.append(f"{len(extra)} too many, such as {min(extra)}")
    return ", ".join(parts) or "instances read other files"


def _listed(seeds: tuple[int, ...]) -> str:
    return ",".join(str(seed) for seed in seeds)
