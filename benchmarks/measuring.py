"""Helpers of all benchmarks: data, jobs, turns, facts of the machine, saving.

Ratios are taken within one run. What is compared is measured in turns, so that a busy
moment hits all of it, and medians are reported.
"""

import argparse
import datetime
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline.core import masks, seeding
from pipeline.core.arrays import Mask
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Network, parameters
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule, TrainSettings
from pipeline.data.raw import DataError, read
from pipeline.run.executors import cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Report = dict[str, Any]
"""what a benchmark writes as JSON"""
ROOT = Path(__file__).parent.parent
DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.036, 0.01)
PAPER_CADENCE = 100
"""steps between two evaluations on the validation set"""
PAPER = TrainSettings(
    steps=10**7,
    epochs=None,
    batch_size=60,
    optimizer="adam",
    lr=1.2e-3,
    momentum=0.0,
    weight_decay=0.0,
    schedule=Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0),
    augment="none",
    evaluate_every=PAPER_CADENCE,
    test_cadence="improved",
    common_noise=True,
    engine="auto",
    device="cpu",
)
"""LeNet-300-100 on MNIST; the steps never end"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What was wanted of a measured number, and what came out."""

    what: str
    goal: float
    measured: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.at_least:
            return self.measured >= self.goal
        return self.measured <= self.goal

    def __str__(self) -> str:
        """One line for the terminal."""
        relation = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.what}: {self.measured:.3g} {self.unit} "
            f"(goal {relation} {self.goal:g}: {verdict})"
        )


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of every benchmark; the first line of its docstring is the description."""
    options = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    options.add_argument("--out", type=Path, required=True, help="FILE.json; a PNG beside")
    default_root = os.environ.get("LT_DATA_ROOT", str(ROOT.parent / "shared" / "data"))
    options.add_argument("--data-root", type=Path, default=default_root)
    return options


def load(data_root: Path) -> tuple[Dataset, str]:
    """MNIST, or random images of its shape; and which of them it is."""
    try:
        return read("mnist", root=data_root, download=False), "mnist"
    except DataError as error:
        print(f"random data instead of MNIST: {error}")
        return random_data(), "random"


def random_data(
    sizes: tuple[int, int, int] = (55_000, 5_000, 10_000),
    image_shape: tuple[int, int, int] = (1, 28, 28),
) -> Dataset:
    """Random images and labels, in numbers and shape those of MNIST."""
    rng = seeding.generator(0, "score_batch")

    def split(size: int) -> Split:
        images = rng.integers(0, 256, (size, *image_shape), dtype=np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 10, size))

    train, validation, test = (split(size) for size in sizes)
    return Dataset(
        train=train,
        validation=validation,
        test=test,
        description=of_images(
            image_shape,
            classes=10,
            mean=(33.3,) * image_shape[0],
            std=(78.6,) * image_shape[0],
        ),
    )


def network_for(model: str, data: Dataset) -> Network:
    """A network by name, for these images."""
    return build(model, widths=None, data=data.description)


def make_job(
    network: Network, data: Dataset, density: float, settings: TrainSettings = PAPER
) -> Job:
    """A ticket of that density, with the paper's optimizer."""
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    mask = random_mask(network, density)
    return Job(
        network=network,
        start=masks.apply(theta0, mask),
        mask=mask,
        data=data,
        settings=settings,
        seed=0,
        round=0,
    )


def random_mask(network: Network, density: float) -> Mask:
    """Random within each layer; output layers denser, as if pruned at half the rate."""
    kernels = {n: p for n, p in parameters(network).items() if p.kind is not None}
    sizes = {name: int(np.prod(tensor.shape)) for name, tensor in kernels.items()}
    rng = seeding.generator(0, "mask_sample")

    def counts(rounds: float) -> dict[str, int]:
        return {
            name: round(sizes[name] * (0.9 if tensor.kind == "output" else 0.8) ** rounds)
            for name, tensor in kernels.items()
        }

    rounds = np.linspace(0, 40, 4001)
    kept = np.array([sum(counts(r).values()) for r in rounds])
    nearest = float(rounds[np.argmin(np.abs(kept - density * sum(sizes.values())))])
    return {
        name: rng.permutation(np.arange(sizes[name]) < count).reshape(kernels[name].shape)
        for name, count in counts(nearest).items()
    }


def paper(steps: int, evaluate_every: int = PAPER_CADENCE) -> TrainSettings:
    """The paper's settings with fewer steps."""
    return replace(PAPER, steps=steps, evaluate_every=evaluate_every)


def wall(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turns(works: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of what each returns, measured in turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name].append(work())
    return {name: median(values) for name, values in found.items()}


def surroundings() -> Report:
    """Hardware, versions, date, and how busy the machine is."""
    return {
        "cpu": _cpu(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "cores": cores.of_process(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "numba")},
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu() -> str:
    """Model and family, which tells generations of the same name apart."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    parts = [line.partition(":") for line in text.splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in parts}
    return f"{facts.get('model name')} (family {facts.get('cpu family')})"


def save(
    out: Path,
    begin: float,
    *,
    goals: Iterable[Goal] = (),
    **report: object,
) -> Report:
    """Print the goals; write the report with what is known of the machine.

    Args:
        out: FILE.json.
        begin: ``time.monotonic()`` at the start.
        goals: printed, and saved with their verdict.
        report: rows and whatever else was found.
    """
    wanted = list(goals)
    for goal in wanted:
        print(goal)
    full = report | {
        "goals": [asdict(goal) | {"met": goal.met} for goal in wanted],
        "seconds": round(time.monotonic() - begin),
        **surroundings(),
    }
    out.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
    return full


@contextmanager
def figure(file: Path, *, width: float = 6.4, height: float = 4.8) -> "Iterator[Figure]":
    """A figure in the style of ``lt-pipeline plot``, saved when it has been drawn."""
    from pipeline.plots import style

    with style.drawing():
        drawn = style.new_figure(width, height)
        yield drawn
        drawn.savefig(file)


def machine_line(report: Report) -> str:
    """Under a figure's title: CPU, date, load."""
    load = report["load_average"][0]
    return f"{report['cpu']}, {report['date']}, load {load}"
