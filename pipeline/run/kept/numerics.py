"""Tell which machines compute the same bits: those of one *numerics class*.

A class is the digest of a *canary*: the first steps of a training with the network, the
data, the engine and the optimizer at hand, from weights that every machine draws alike.
Processors sum floats in different orders, which shows within a few steps. It is computed
once per machine and version, where a training is about to start, and kept beside the
compiled kernels.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import engines
from pipeline.artifacts import files
from pipeline.border import caches
from pipeline.border.errors import UserError
from pipeline.core import masks, seeding
from pipeline.core.batches import Split
from pipeline.core.digests import digest
from pipeline.core.models.init import MODULE, initial_weights
from pipeline.core.models.layers import Module
from pipeline.core.models.totals import multiply_adds
from pipeline.core.training.engine import Job
from pipeline.core.training.mask_rules import first_mask
from pipeline.core.training.settings import Schedule
from pipeline.run import checkpoints, machines

HERE = Path(".lt/numerics")
"""where classes lie if the user has no cache"""
STEPS = range(3, 31)
"""of a canary: AVX2 and AVX-512 differ after 30 of LeNet's at the latest"""
MULTIPLY_ADDS = 1e10
"""of a canary's forward passes, in which the number of steps ends: .3 s on one core"""
NUM_EVALUATED = 256
DENSITY = 0.25
LENGTH = 12
"""digits of a class"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """The short training that tells the class of a machine."""

    engine: str
    job: Job
    """a training of the kind at hand; its data may be without examples"""
    data: str
    """digest of the arrays of the data set"""

    @property
    def file(self) -> Path:
        """Where the class of this machine is kept."""
        job = self.job
        known = {
            "engine": self.engine,
            "network": repr(job.network),
            "description": repr(job.data.description),
            "data": self.data,
            "settings": asdict(self._job.settings),
            "scores": job.score_rule is not None,
            "code": checkpoints.code_digest(),
            "canary": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            "processor": machines.processor(job.settings.device),
            "versions": machines.versions(),
            "variables": machines.variables(),
            "own": checkpoints.own_code([job]),
        }
        text = json.dumps(known, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        return (caches.user_cache("numerics") or HERE) / f"{name}.json"

    def known(self) -> str | None:
        """The class, if it was computed before on this machine."""
        with suppress(UserError, OSError, LookupError, TypeError):
            return str(files.load_json(self.file)["class"])
        return None

    def found(self) -> str:
        """The class; it is computed if it is not known. The data must have its examples."""
        if kept := self.known():
            return kept
        name = self._computed()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        files.save_json(self.file, {"class": name, "processor": machines.machine()["cpu"]})
        return name

    @property
    def _job(self) -> Job:
        """The training without what decides no order of sums: its rate, length, cadence."""
        train = self.job.settings
        plain = replace(
            train,
            steps=STEPS[-1],
            epochs=None,
            lr=0.01,
            schedule=Schedule(),
            evaluate_every=STEPS[-1],
            test_cadence="improved",
            common_noise=True,
            engine=self.engine,
        )
        return replace(
            self.job,
            settings=plain,
            seed=0,
            round=0,
            copy=0,
            first_step=0,
            last_step=None,
            rule=None,
        )

    def _computed(self) -> str:
        job = self._job
        rng = seeding.generator(0, "init")
        init = MODULE if isinstance(job.network, Module) else "kaiming-normal"
        mask = first_mask(job.network, job.score_rule)
        if job.score_rule is None:
            mask = {n: m & (rng.random(m.shape) < DENSITY) for n, m in mask.items()}
        start = masks.apply(initial_weights(job.network, init, rng), mask)
        few = _few(job.data.validation)
        job = replace(job, mask=mask, start=start, data=replace(job.data, validation=few))
        engine = engines.make_engine(self.engine, [job])
        engine.advance(_steps(job))
        (weights,), (seen,) = engine.weights(), engine.evaluate("validation")
        looked = np.array([seen.loss, seen.accuracy])
        return digest({**weights, "evaluation": looked})[:LENGTH]


def here() -> set[str]:
    """The classes that this machine is known to have."""
    found = set()
    for file in (caches.user_cache("numerics") or HERE).glob("*.json"):
        with suppress(UserError, OSError, LookupError, TypeError):
            known = files.load_json(file)
            if known["processor"] == machines.machine()["cpu"]:
                found.add(str(known["class"]))
    return found


def _steps(job: Job) -> int:
    """As many as the canary's share of work allows."""
    one = multiply_adds(job.network, job.data.description, {}) * job.settings.batch_size
    return int(min(max(MULTIPLY_ADDS / one, STEPS[0]), STEPS[-1]))


def _few(split: Split) -> Split:
    return Split(inputs=split.inputs[:NUM_EVALUATED], labels=split.labels[:NUM_EVALUATED])
