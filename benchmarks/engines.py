"""Steps per second of every engine against density, beside the dense floor.

    python benchmarks/engines.py --out engines.json

The dense floor is the time of a dense step's matrix products alone (torch, one thread);
the kept-weight floor is that time multiplied by the density. Masks are random within each
layer, as dense as rounds of 20 % (hidden layers) and 10 % (output) pruning leave them.
Everything is measured in turns within one run, and the medians are reported. Real MNIST
where there is some, else random data of the same shape. About 2 minutes.

A new engine joins by its entry in ``pipeline.core.training.ENGINES``, a new model by one
in ``CASES``.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import datetime
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import matplotlib as mpl
import numpy as np
import torch

from pipeline.core import seeding
from pipeline.core.arrays import Mask
from pipeline.core.batches import Dataset, Split
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Linear, Network, parameters
from pipeline.core.training import ENGINES, engine_module
from pipeline.core.training.engine import Engine, Job
from pipeline.core.training.settings import Schedule, TrainSettings
from pipeline.datasets import DataError, read

DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.036, 0.01)
REPEATS = 7
SLICE_S = 0.25
"""seconds of training in one measurement"""
PAPER_CADENCE = 100
"""steps between two evaluations on the validation set"""
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model and its batch size."""

    model: str
    batch_size: int
    floor: Callable[[Network, int], Callable[[], None]]
    """makes the function that does a dense step's matrix products"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What is reported of one engine at one density."""

    engine: str
    model: str
    density: float
    batch_size: int
    steps_per_s: float
    floor_steps_per_s: float
    evaluation_share: float
    """of the whole time, with the validation set every 100 steps"""


def linear_products(network: Network, batch_size: int) -> Callable[[], None]:
    """Forward, weight gradients, and input gradients of all layers but the first."""
    layers = [layer for layer in network if isinstance(layer, Linear)]
    inputs = [torch.rand(batch_size, layer.inputs) for layer in layers]
    gradients = [torch.rand(batch_size, layer.outputs) for layer in layers]
    weights = [torch.rand(layer.outputs, layer.inputs) for layer in layers]
    results = [
        (torch.empty_like(g), torch.empty_like(w), torch.empty_like(x))
        for g, w, x in zip(gradients, weights, inputs, strict=True)
    ]

    def products() -> None:
        for i in range(len(layers)):
            torch.mm(inputs[i], weights[i].T, out=results[i][0])
            torch.mm(gradients[i].T, inputs[i], out=results[i][1])
            if i:
                torch.mm(gradients[i], weights[i], out=results[i][2])

    return products


CASES = (Case(model="lenet-300-100", batch_size=60, floor=linear_products),)


def main() -> None:
    """Measure, print, and save the table and its figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="FILE.json; a PNG beside")
    default_root = os.environ.get("LT_DATA_ROOT", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data-root", type=Path, default=default_root)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, source = load(arguments.data_root)
    begin = time.monotonic()
    rows = [row for case in CASES for row in measure(case, data)]
    report = {
        "rows": [asdict(row) for row in rows],
        "data": source,
        "seconds": round(time.monotonic() - begin),
        **surroundings(),
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot(rows, report, arguments.out.with_suffix(".png"))


def load(data_root: Path) -> tuple[Dataset, str]:
    """MNIST, or random images of its shape; and which of them it is."""
    try:
        return read("mnist", root=data_root, download=False), "mnist"
    except DataError as error:
        print(f"random data instead of MNIST: {error}")
        return random_data(), "random"


def random_data() -> Dataset:
    """Random images and labels, in numbers and shape those of MNIST."""
    rng = seeding.generator(0, "score_batch")

    def split(size: int) -> Split:
        images = rng.integers(0, 256, (size, 1, 28, 28), dtype=np.uint8)
        return Split(images=images, labels=rng.integers(0, 10, size))

    return Dataset(
        train=split(55_000),
        validation=split(5_000),
        test=split(10_000),
        mean=(33.3,),
        std=(78.6,),
        num_classes=10,
    )


def measure(case: Case, data: Dataset) -> list[Row]:
    """All engines at all densities."""
    network = build(
        case.model, widths=None, image_shape=data.image_shape, num_classes=data.num_classes
    )
    floor = case.floor(network, case.batch_size)
    rows = []
    for density in DENSITIES:
        engines = {
            name: engine_module(name).make([make_job(case, network, data, density)])
            for name in ENGINES
            if engine_module(name).supports(network)
        }
        rows += measured(case, density, floor, engines)
        for row in rows[-len(engines) :]:
            print(
                f"{row.model} density {row.density:5} {row.engine:9} "
                f"{row.steps_per_s:8.0f} steps/s = "
                f"{row.steps_per_s / row.floor_steps_per_s:5.2f} × dense floor, "
                f"evaluation {row.evaluation_share:.0%}",
                flush=True,
            )
    return rows


def measured(
    case: Case,
    density: float,
    floor: Callable[[], None],
    engines: Mapping[str, Engine],
) -> list[Row]:
    """One row per engine, from measurements in turns."""
    floor_s: list[float] = []
    step_s: dict[str, list[float]] = {name: [] for name in engines}
    evaluation_s: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():  # compile, allocate, warm up
        engine.advance(PAPER_CADENCE)
        engine.evaluate("validation")
    for _ in range(REPEATS):
        floor_s.append(seconds(repeated(floor)))
        for name, engine in engines.items():
            step_s[name].append(seconds(engine.advance))
            evaluation_s[name].append(evaluation_seconds(engine))
    rows = []
    for name in engines:
        step, evaluation = median(step_s[name]), median(evaluation_s[name])
        rows.append(
            Row(
                engine=name,
                model=case.model,
                density=density,
                batch_size=case.batch_size,
                steps_per_s=1 / step,
                floor_steps_per_s=1 / median(floor_s),
                evaluation_share=evaluation / (evaluation + PAPER_CADENCE * step),
            )
        )
    return rows


def repeated(work: Callable[[], object]) -> Callable[[int], None]:
    """The work, so many times."""

    def run(times: int) -> None:
        for _ in range(times):
            work()

    return run


def evaluation_seconds(engine: Engine) -> float:
    """Time of one evaluation as it comes in a training: with other data in the caches."""
    engine.advance(PAPER_CADENCE)
    begin = time.perf_counter()
    engine.evaluate("validation")
    return time.perf_counter() - begin


def seconds(work: Callable[[int], None]) -> float:
    """Time of one of many: about SLICE_S seconds of them, after a short trial."""
    trial = 4
    begin = time.perf_counter()
    work(trial)
    times = max(1, int(SLICE_S * trial / (time.perf_counter() - begin)))
    begin = time.perf_counter()
    work(times)
    return (time.perf_counter() - begin) / times


def make_job(case: Case, network: Network, data: Dataset, density: float) -> Job:
    """Round 0 of a ticket of that density, with the paper's optimizer."""
    theta0 = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    mask = random_mask(network, density)
    start = {
        name: np.where(mask[name], weight, np.float32(0)) if name in mask else weight
        for name, weight in theta0.items()
    }
    settings = TrainSettings(
        steps=10**7,
        epochs=None,
        batch_size=case.batch_size,
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
    return Job(
        network=network,
        start=start,
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


def surroundings() -> dict[str, object]:
    """Hardware, versions, date."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines]
        facts = dict(
            zip([line.partition(":")[0].strip() for line in lines], names, strict=True)
        )
        cpu = f"{facts.get('model name')} (family {facts.get('cpu family')})"
    except OSError:
        cpu = platform.processor()
    return {
        "cpu": cpu,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "numba")},
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "repeats": REPEATS,
    }


def plot(rows: Sequence[Row], report: Mapping[str, object], file: Path) -> None:
    """Steps per second against density, one panel per model."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    models = sorted({row.model for row in rows})
    figure, panels = plt.subplots(
        ncols=len(models), figsize=(6.4 * len(models), 4.8), squeeze=False
    )
    for axes, model in zip(panels[0], models, strict=True):
        shown = [row for row in rows if row.model == model]
        for engine in dict.fromkeys(row.engine for row in shown):
            points = [(r.density, r.steps_per_s) for r in shown if r.engine == engine]
            axes.plot(*zip(*points, strict=True), marker="o", label=engine)
        floor = median(row.floor_steps_per_s for row in shown)
        densities = sorted({row.density for row in shown})
        axes.plot(densities, [floor] * len(densities), "k--", label="dense floor")
        kept = [floor / density for density in densities]
        axes.plot(densities, kept, "k:", label="kept-weight floor")
        axes.set(xscale="log", yscale="log", xlabel="density", ylabel="steps/s")
        axes.set_title(f"{model}, batch {shown[0].batch_size}, 1 thread\n{report['cpu']}")
        axes.invert_xaxis()
        axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
