"""Try each compiled engine once on a machine, before it trains there.

Compiled engines use options of Numba that its versions may change, and code for the
processor at hand. So an engine first makes one step beside the reference engine. One that
fails, or comes to other weights, is set aside on this machine, and ``auto`` takes the next.
What a trial gave is kept beside the compiled kernels, by code, versions and processor.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import engines
from pipeline.artifacts import files
from pipeline.border import caches, notes
from pipeline.border.errors import UserError
from pipeline.core import masks, seeding
from pipeline.core.arrays import Weights
from pipeline.core.batches import Split
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Ability, Engine, Job
from pipeline.core.training.settings import Schedule
from pipeline.run import checkpoints, machines
from pipeline.run.executors import preloads, processes
from pipeline.run.executors.processes import Tell

if TYPE_CHECKING:
    from pipeline.run.sources import Source

HERE = Path(".lt/engines")
"""where results of trials lie if the user has no cache"""
CLOSE = 0.01
"""greatest difference from the reference, as a share of its step or of its loss"""
NUM_EVALUATED = 256
"""validation examples of a trial"""
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
"""what compilers put into their errors for terminals"""
_OF_RULES = frozenset({Ability.CHANGE_MASK, Ability.REGROW})


class EngineError(UserError):
    """An engine that the settings name does not work on this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """The trainings that one trial speaks for: they run the same compiled code.

    A trial does not cover the evaluation of much sparser masks, for which an engine may
    choose other code.
    """

    engine: str
    network: Network
    optimizer: str
    batch_size: int
    augment: str

    @property
    def is_compiled(self) -> bool:
        """Whether the engine trains such networks by kernels of its own."""
        return engines.ENGINES[self.engine].compiles(self.network)

    def file(self, versions: dict[str, str]) -> Path:
        """Where the result of its trial is kept.

        Args:
            versions: of the libraries that compile and compute.
        """
        known = {
            "network": repr(self.network),
            "optimizer": self.optimizer,
            "batch_size": self.batch_size,
            "augment": self.augment,
            "code": checkpoints.code_digest(),
            "trial": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            "processor": machines.processor("cpu"),
            "variables": machines.variables(),
            "versions": versions,
        }
        text = json.dumps(known, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = caches.user_cache("engines") or HERE
        return folder / f"{self.engine}-{digest}.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The work of a worker that tries an engine on the first of some trainings."""

    source: "Source"
    file: Path
    """where the result is kept"""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:  # noqa: ARG002
        """Compare the first step with the reference's."""
        source = self.source
        data, network = files.load_dataset(source.data), source.network()
        job = source.job(data, network, source.seeds[0], source.copies[0])
        with processes.ending_at_once(stop):  # it may compile
            found = difference(source.engine, job)
        keep(self.file, found)


def with_engine_that_works(
    source: "Source", network: Network, versions: dict[str, str]
) -> "Source":
    """The same trainings by the engine of the plan, or by the next that works here.

    Says so, in a line, if it is not that of the plan.

    Args:
        source: of the trainings.
        network: that they train.
        versions: of the libraries that compile and compute.

    Raises:
        EngineError: if the setting names an engine that does not work here.
    """

    def refused(kind: Kind) -> str:
        if not kind.is_compiled:
            return ""
        file = kind.file(versions)
        found = kept(file)
        if found is None:
            _try(replace(source, engine=kind.engine), kind, file)
            found = kept(file)
        return found or ""

    train = source.task.train
    kind = Kind(
        engine=source.engine,
        network=network,
        optimizer=train.optimizer,
        batch_size=train.batch_size,
        augment=train.augment,
    )
    name, said = choose(train.engine, kind, refused, changes_mask=source.rule is not None)
    for line in said:
        notes.say(f"{source.label}: {line}")
    return source if name == source.engine else replace(source, engine=name)


def _try(source: "Source", kind: Kind, file: Path) -> None:
    """Try an engine in a process of its own: compiled code may crash."""
    try:
        processes.run_all(
            [Trial(source=source, file=file)],
            at_once=1,
            preload=preloads.module_for(source.engine, kind.network),
            watch=lambda _: None,
        )
    except processes.CrashError as error:
        keep(file, str(error))


def choose(
    setting: str, kind: Kind, refused: Callable[[Kind], str], *, changes_mask: bool
) -> tuple[str, list[str]]:
    """The engine that trains here: the wanted one, or else the next plainer that works.

    Args:
        setting: the value of ``train.engine``.
        kind: of the trainings, by the engine that the plan chose.
        refused: tells why an engine does not work here; empty if it does.
        changes_mask: whether masks change in them.

    Returns:
        Its name, and a line for each engine that is set aside.

    Raises:
        EngineError: if the setting names an engine that does not work here.
    """
    said: list[str] = []
    for name in (
        kind.engine,
        *plainer(kind.engine, kind.network, changes_mask=changes_mask),
    ):
        reason = refused(replace(kind, engine=name))
        if not reason:
            return name, [f"{line}; {name} trains instead" for line in said]
        line = f"engine {name} does not work on this machine ({reason})"
        if setting != engines.AUTO:
            raise EngineError(f"{line}; give train.engine: {engines.AUTO}")
        said.append(line)
    raise EngineError(f"{said[-1]}, nor does any other that can train this network")


def plainer(name: str, network: Network, *, changes_mask: bool) -> list[str]:
    """The engines that may stand in for one, the next first; the last is the reference."""
    wanted = engines.ENGINES[name]
    needs = wanted.abilities if changes_mask else wanted.abilities - _OF_RULES
    names = list(engines.ENGINES)
    before = names[: names.index(name)]
    return [
        other
        for other in reversed(before)
        if not (record := engines.ENGINES[other]).program
        and needs <= record.abilities
        and "cpu" in record.devices
        and record.trains(network)
    ]


def kept(file: Path) -> str | None:
    """The answer of a trial: why the engine is refused, or empty; None without a trial."""
    try:
        return str(files.load_json(file)["refused"])
    except (UserError, OSError, LookupError, TypeError):
        return None


def keep(file: Path, refused: str) -> None:
    """Keep what a trial gave."""
    file.parent.mkdir(parents=True, exist_ok=True)
    files.save_json(file, {"refused": refused})


def difference(engine: str, job: Job) -> str:
    """How the first step and an evaluation differ from the reference's; empty if not.

    Weights are drawn for it: a start with equal weights may bring a unit so close to 0
    that rounding decides whether it is active, and the engines round differently. The rate
    is constant: in a warm-up it begins with 0, and no step could differ.

    Raises:
        OSError, MemoryError: the machine's own, which say nothing of the engine.
    """
    few = _few(job.data.validation)
    data = replace(job.data, validation=few)
    settings = replace(job.settings, schedule=Schedule())
    job = replace(job, data=data, settings=settings, last_step=None, rule=None)
    job = replace(job, start=_drawn(job))
    try:
        found, loss = _first_step(engines.make_engine(engine, [job]))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever a compiler of another version may raise
        text = " ".join(_COLORS.sub("", str(error)).split())
        return f"{type(error).__name__}: {text[:120]}"
    wanted, wanted_loss = _first_step(engines.make_engine("reference", [job]))
    away = _distance(found, wanted) / max(_distance(wanted, job.start), 1e-30)
    if not away <= CLOSE:
        return f"its first step is {100 * away:.0f} % off the reference's"
    if not abs(loss - wanted_loss) <= CLOSE * abs(wanted_loss) + 1e-6:
        return f"its loss is {loss:.4g} where the reference's is {wanted_loss:.4g}"
    return ""


def _drawn(job: Job) -> Weights:
    """Random weights under the mask of the job."""
    rng = seeding.generator(job.seed, "init")
    return masks.apply(initial_weights(job.network, "kaiming-normal", rng), job.mask)


def _first_step(engine: Engine) -> tuple[Any, float]:
    engine.advance(1)
    return engine.weights()[0], engine.evaluate("validation")[0].loss


def _distance(some: Any, other: Any) -> float:  # noqa: ANN401 - arrays by name
    parts = [np.sum((some[name].astype(np.float64) - other[name]) ** 2) for name in other]
    return float(np.sqrt(sum(parts)))


def _few(split: Split) -> Split:
    return Split(inputs=split.inputs[:NUM_EVALUATED], labels=split.labels[:NUM_EVALUATED])
