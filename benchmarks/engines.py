"""Steps per second of every engine against density, beside the dense floor.

    python benchmarks/engines.py --out engines.json

The dense floor is the time of a dense step's matrix products and convolutions alone
(torch, one thread); the kept-weight floor is that time multiplied by the density. Masks
are random within each layer, as dense as rounds of 20 % (hidden layers) and 10 % (output)
pruning leave them. Everything is measured in turns within one run, and the medians are
reported. Real MNIST where there is some, else random data of the same shape. Conv-2 is
measured without evaluations, which would take minutes. About 4 minutes.

A new engine joins by its entry in ``pipeline.engines.ENGINES``, a new model by one
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
import torch.nn.functional as F  # noqa: N812
from measuring import DENSITIES, PAPER, PAPER_CADENCE, Report
from torch import Tensor

from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Conv, Linear, MaxPool, Network, layers_of
from pipeline.core.training.engine import Ability, Engine
from pipeline.engines import ENGINES, make_engine
from pipeline.engines.dense.layers import channels_last

SLICE_S = 0.25
"""seconds of training in one measurement"""
Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model, and how it is measured."""

    model: str
    batch_size: int
    repeats: int
    evaluated: bool
    """whether the share of evaluations is measured, too"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What is reported of one engine at one density."""

    engine: str
    model: str
    density: float
    batch_size: int
    steps_per_s: float
    floor_steps_per_s: float
    evaluation_share: float | None
    """of the whole time, with the validation set every 100 steps; None: not measured"""


CASES = (
    Case(model="lenet-300-100", batch_size=60, repeats=7, evaluated=True),
    Case(model="conv-2", batch_size=60, repeats=3, evaluated=False),
)


def products(
    network: Network, image_shape: tuple[int, int, int], batch_size: int
) -> Callable[[], None]:
    """Forward, weight gradients, and input gradients of all layers but the first.

    Of Linear layers and convolutions with stride 1, whose images are channels-last.
    """
    _, *plane = image_shape
    works: list[Work] = []
    for layer in layers_of(network):
        if isinstance(layer, Conv):
            shape = (batch_size, layer.inputs, *plane)
            works.append(_convolution(layer, shape, is_first=not works))
        elif isinstance(layer, Linear):
            works.append(_linear(layer, batch_size, is_first=not works))
        elif isinstance(layer, MaxPool):
            plane = [side // 2 for side in plane]

    def run() -> None:
        for work in works:
            work()

    return run


def _linear(layer: Linear, batch_size: int, *, is_first: bool) -> Work:
    inputs = torch.rand(batch_size, layer.inputs)
    gradients = torch.rand(batch_size, layer.outputs)
    weight = torch.rand(layer.outputs, layer.inputs)
    results = (
        torch.empty_like(gradients),
        torch.empty_like(weight),
        torch.empty_like(inputs),
    )

    def work() -> None:
        torch.mm(inputs, weight.T, out=results[0])
        torch.mm(gradients.T, inputs, out=results[1])
        if not is_first:
            torch.mm(gradients, weight, out=results[2])

    return work


def _convolution(layer: Conv, shape: tuple[int, ...], *, is_first: bool) -> Work:
    def drawn(*shape: int) -> Tensor:
        return channels_last(torch.rand(shape))

    batch_size, _, *plane = shape
    images, gradients = drawn(*shape), drawn(batch_size, layer.outputs, *plane)
    weight = drawn(layer.outputs, layer.inputs, layer.kernel, layer.kernel)
    padding = [layer.kernel // 2] * 2
    rest = [1, 1], padding, [1, 1], False, [0, 0], 1, [not is_first, True, False]

    def work() -> None:
        F.conv2d(images, weight, padding=padding)
        torch.ops.aten.convolution_backward(gradients, images, weight, None, *rest)

    return work


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
        repeats={case.model: case.repeats for case in CASES},
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def measure(case: Case, data: Dataset) -> list[Row]:
    """All engines at all densities."""
    network = measuring.network_for(case.model, data)
    settings = replace(PAPER, batch_size=case.batch_size)
    floor = products(network, data.images.shape, case.batch_size)
    rows = []
    for density in DENSITIES:
        job = measuring.make_job(network, data, density, settings)
        engines = {
            name: make_engine(name, [job])
            for name, record in ENGINES.items()
            if not record.program
            and record.trains(network)
            and Ability.SHARE_BATCHES not in record.abilities  # alone it is the reference
        }
        rows += measured(case, density, floor, engines)
        for row in rows[-len(engines) :]:
            print(line(row), flush=True)
    return rows


def line(row: Row) -> str:
    """For the terminal."""
    share = row.evaluation_share
    return (
        f"{row.model} density {row.density:5} {row.engine:11} "
        f"{row.steps_per_s:8.1f} steps/s = "
        f"{row.steps_per_s / row.floor_steps_per_s:5.2f} × dense floor"
        + ("" if share is None else f", evaluation {share:.0%}")
    )


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
        seconds(engine.advance)
    for _ in range(case.repeats):
        floor_s.append(seconds(repeated(floor)))
        for name, engine in engines.items():
            step_s[name].append(seconds(engine.advance))
            if case.evaluated:
                evaluation_s[name].append(evaluation_seconds(engine))
    rows = []
    for name in engines:
        step = median(step_s[name])
        rows.append(
            Row(
                engine=name,
                model=case.model,
                density=density,
                batch_size=case.batch_size,
                steps_per_s=1 / step,
                floor_steps_per_s=1 / median(floor_s),
                evaluation_share=evaluation_share(evaluation_s[name], step),
            )
        )
    return rows


def evaluation_share(evaluation_s: Sequence[float], step_s: float) -> float | None:
    """What evaluations take of the whole time; None where there were none."""
    if not evaluation_s:
        return None
    evaluation = median(evaluation_s)
    return evaluation / (evaluation + PAPER_CADENCE * step_s)


def repeated(work: Work) -> Callable[[int], None]:
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
    from pipeline.plots import style

    models = sorted({row.model for row in rows})
    looks = style.looks(list(dict.fromkeys(row.engine for row in rows)))
    with measuring.figure(file, width=4.8 * len(models), height=3.9) as drawn:
        panels = drawn.subplots(ncols=len(models), squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            shown = [row for row in rows if row.model == model]
            for engine in dict.fromkeys(row.engine for row in shown):
                points = [(r.density, r.steps_per_s) for r in shown if r.engine == engine]
                axes.plot(*zip(*points, strict=True), label=engine, **looks[engine])
            floor = median(row.floor_steps_per_s for row in shown)
            densities = sorted({row.density for row in shown})
            flat = [floor] * len(densities)
            floors = {"color": style.DENSE_COLOR, "linewidth": 1.1}
            axes.plot(densities, flat, "--", label="dense floor", **floors)
            kept = [floor / density for density in densities]
            axes.plot(densities, kept, ":", label="kept-weight floor", **floors)
            axes.set(yscale="log", ylabel="Training steps per second")
            axes.set_title(f"{model}, batch {shown[0].batch_size}, 1 thread")
            style.weights_axis(axes, densities)
            axes.legend()
        drawn.suptitle(measuring.machine_line(report), fontsize=8)


if __name__ == "__main__":
    main()
