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

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import measuring
import torch
from measuring import DENSITIES, PAPER, PAPER_CADENCE, Report

from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Linear, Network
from pipeline.core.training import COMPAT, ENGINES, engine_module
from pipeline.core.training.engine import Engine

REPEATS = 7
SLICE_S = 0.25
"""seconds of training in one measurement"""


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
    arguments = measuring.parser(__doc__).parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    data, source = measuring.load(arguments.data_root)
    rows = [row for case in CASES for row in measure(case, data)]
    report = measuring.save(
        arguments.out,
        begin,
        rows=[asdict(row) for row in rows],
        data=source,
        repeats=REPEATS,
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def measure(case: Case, data: Dataset) -> list[Row]:
    """All engines at all densities."""
    network = measuring.network_for(case.model, data)
    settings = replace(PAPER, batch_size=case.batch_size)
    floor = case.floor(network, case.batch_size)
    rows = []
    for density in DENSITIES:
        job = measuring.make_job(network, data, density, settings)
        engines = {
            name: engine_module(name).make([job])
            for name in ENGINES
            if name not in COMPAT and engine_module(name).supports(network)
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


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Steps per second against density, one panel per model."""
    models = sorted({row.model for row in rows})
    with measuring.figure(file, width=6.4 * len(models)) as drawn:
        panels = drawn.subplots(ncols=len(models), squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
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
            axes.set_title(f"{model}, batch {shown[0].batch_size}, 1 thread")
            axes.invert_xaxis()
            axes.legend()
        drawn.suptitle(measuring.machine_line(report), fontsize="medium")


if __name__ == "__main__":
    main()
