"""Steps per second of every engine against density, beside the dense floor.

    python benchmarks/engines.py --out engines.json

The dense floor is the time of a dense step's matrix products and convolutions alone
(torch, one thread); the kept-weight floor is that time multiplied by the density. Masks
are random within each layer, as dense as rounds of 20 % (hidden layers) and 10 % (output)
pruning leave them. Everything is measured in turns within one run, and the medians are
reported. Real MNIST where there is some, else random data of the same shape; for ResNet-20
random images of CIFAR-10's shape. Networks with convolutions are measured without
evaluations, which would take minutes. Beside the rates stand the
multiply-adds of a step and the peaks of the core (``peaks.py``), which say what binds.
About 9 minutes.

A new engine joins by its entry in ``pipeline.engines.ENGINES``, a new model by one
in ``CASES``.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import layers
import measuring
import numpy as np
import peaks
import torch
import torch.nn.functional as F  # noqa: N812
from measuring import DENSITIES, PAPER, PAPER_CADENCE, Report
from torch import Tensor

from pipeline.core.arrays import Floats, Mask
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Layers,
    Linear,
    MaxPool,
    Network,
    Residual,
    layers_of,
    parameters,
)
from pipeline.core.training.engine import Ability, Engine
from pipeline.engines import ENGINES, make_engine
from pipeline.engines.dense.layers import channels_last
from pipeline.engines.shared.vectors import LANES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    image_shape: tuple[int, int, int] | None = None
    """of random images; None: MNIST"""


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
    multiply_adds: float
    """of a step's products and convolutions, of the weights that the engine computes with;
    batches filled up to whole vectors, and pixels that are 0 in a whole batch left out by
    engines that do so"""


CASES = (
    Case(model="lenet-300-100", batch_size=60, repeats=7, evaluated=True),
    Case(model="conv-2", batch_size=60, repeats=3, evaluated=False),
    Case(
        model="resnet-20",
        batch_size=128,
        repeats=3,
        evaluated=False,
        image_shape=(3, 32, 32),
    ),
)


def products(
    network: Network, image_shape: tuple[int, int, int], batch_size: int
) -> Callable[[], None]:
    """Forward, weight gradients, and input gradients of all layers but the first.

    Of Linear layers and convolutions, whose images are channels-last.
    """
    works: list[Work] = []
    for layer, plane in applied(layers_of(network), image_shape[1:]):
        if isinstance(layer, Conv):
            shape = (batch_size, layer.inputs, *plane)
            works.append(_convolution(layer, shape, is_first=not works))
        else:
            works.append(_linear(layer, batch_size, is_first=not works))

    def run() -> None:
        for work in works:
            work()

    return run


def applied(
    layers: Layers, plane: tuple[int, ...]
) -> Generator[tuple[Conv | Linear, tuple[int, ...]], None, tuple[int, ...]]:
    """All layers with weights, each with height and width of what it reads.

    Returns:
        Height and width of what the last one leaves.
    """
    for layer in layers:
        match layer:
            case Conv() | Linear():
                yield layer, plane
                stride = layer.stride if isinstance(layer, Conv) else 1
                plane = tuple(-(-side // stride) for side in plane)
            case MaxPool():
                plane = tuple(side // 2 for side in plane)
            case Residual():
                yield from applied(layer.shortcut, plane)
                plane = yield from applied(layer.body, plane)
            case _:
                pass
    return plane


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
    behind = [-(-side // layer.stride) for side in plane]
    images, gradients = drawn(*shape), drawn(batch_size, layer.outputs, *behind)
    weight = drawn(layer.outputs, layer.inputs, layer.kernel, layer.kernel)
    padding, stride = [layer.kernel // 2] * 2, [layer.stride] * 2
    rest = stride, padding, [1, 1], False, [0, 0], 1, [not is_first, True, False]

    def work() -> None:
        F.conv2d(images, weight, stride=stride, padding=padding)
        torch.ops.aten.convolution_backward(gradients, images, weight, None, *rest)

    return work


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--layers", type=Path, help="a report of layers.py to draw beside")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    data, source = measuring.load(arguments.data_root)
    before = peaks.measure()
    rows = [row for case in CASES for row in measure(case, data)]
    report = measuring.save(
        arguments.out,
        begin,
        rows=[asdict(row) for row in rows],
        data=source,
        peaks=asdict(peaks.best(before, peaks.measure())),
        repeats={case.model: case.repeats for case in CASES},
    )
    beside = read_rows(arguments.layers) if arguments.layers else []
    plot(rows, report, arguments.out.with_suffix(".png"), beside)


def measure(case: Case, data: Dataset) -> list[Row]:
    """All engines at all densities."""
    if case.image_shape:
        data = measuring.random_data((6_000, 500, 500), case.image_shape)
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
            and Ability.ACT not in record.abilities  # takes no examples
        }
        shares = {
            name: kept_shares(network, job.mask, data, case.batch_size, engine=name)
            for name in engines
        }
        work = {
            name: step_multiply_adds(network, data, case.batch_size, shares[name])
            for name in engines
        }
        rows += measured(case, density, floor, engines, work)
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
    multiply_adds: Mapping[str, float],
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
                multiply_adds=multiply_adds[name],
            )
        )
    return rows


def kept_shares(
    network: Network, mask: Mask, data: Dataset, batch_size: int, *, engine: str
) -> dict[str, float]:
    """By name of a kernel, the share of its weights that an engine computes with."""
    kernels = [name for name, tensor in parameters(network).items() if tensor.kind]
    if not engine.startswith("sparse"):
        return dict.fromkeys(kernels, 1.0)
    shares = {name: float(mask[name].mean()) for name in kernels}
    if isinstance(layers_of(network)[0], Flatten):
        shares[kernels[0]] = float((mask[kernels[0]] * _lit(data, batch_size)).mean())
    return shares


def _lit(data: Dataset, batch_size: int) -> Floats:
    """For each pixel, in what share of 20 batches it is not 0 in every image."""
    images = data.train.images[: 20 * batch_size]
    batches = images.reshape(-1, batch_size, int(np.prod(images.shape[1:])))
    lit: Floats = batches.any(axis=1).mean(axis=0)
    return lit


def step_multiply_adds(
    network: Network, data: Dataset, batch_size: int, shares: Mapping[str, float]
) -> float:
    """Multiply-adds of a step: three products per layer, two in the first one."""
    columns = -(-batch_size // LANES) * LANES
    total, num_products = 0.0, 2
    for layer, plane in applied(layers_of(network), data.images.shape[1:]):
        name = f"{layer.name}.weight"
        weights = shares[name] * float(np.prod(parameters(network)[name].shape))
        stride = layer.stride if isinstance(layer, Conv) else 1
        positions = [-(-side // stride) for side in plane]
        per_weight = float(np.prod(positions)) if isinstance(layer, Conv) else 1.0
        total += num_products * columns * per_weight * weights
        num_products = 3
    return total


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


def plot(
    rows: Sequence[Row], report: Report, file: Path, beside: Sequence[layers.Row] = ()
) -> None:
    """Steps per second against density, one panel per model.

    Args:
        rows: what was measured.
        report: what is known of the machine.
        file: of the figure.
        beside: single layers, which get panels of their own.
    """
    models = sorted({row.model for row in rows})
    names = list(dict.fromkeys(row.layer for row in beside))
    num_rows = 2 if names else 1
    num_columns = max(len(models), len(names))
    width, height = 4.8 * num_columns, 3.9 * num_rows
    with measuring.figure(file, width=width, height=height) as drawn:
        panels = drawn.subplots(num_rows, num_columns, squeeze=False)
        for axes, model in zip(panels[0], models, strict=False):
            draw(axes, [row for row in rows if row.model == model])
        for axes, name in zip(panels[-1], names, strict=False):
            layers.draw(axes, [row for row in beside if row.layer == name])
        for axes in (*panels[0][len(models) :], *panels[-1][len(names) or len(models) :]):
            axes.set_axis_off()
        drawn.suptitle(measuring.machine_line(report), fontsize=8)


def draw(axes: "Axes", rows: Sequence[Row]) -> None:
    """Draw one model's steps per second against density."""
    from pipeline.plots import style

    engines = list(dict.fromkeys(row.engine for row in rows))
    looks = style.looks(engines)
    for engine in engines:
        points = [(row.density, row.steps_per_s) for row in rows if row.engine == engine]
        axes.plot(*zip(*points, strict=True), label=engine, **looks[engine])
    floor = median(row.floor_steps_per_s for row in rows)
    densities = sorted({row.density for row in rows})
    floors: dict[str, Any] = {"color": style.DENSE_COLOR, "linewidth": 1.1}
    flat = [floor] * len(densities)
    axes.plot(densities, flat, "--", label="dense floor", **floors)
    kept = [floor / density for density in densities]
    axes.plot(densities, kept, ":", label="kept-weight floor", **floors)
    axes.set(yscale="log", ylabel="Training steps per second")
    axes.set_title(f"{rows[0].model}, batch {rows[0].batch_size}, 1 thread")
    style.weights_axis(axes, densities)
    axes.legend()


def read_rows(file: Path) -> list[layers.Row]:
    """The rows of a report of ``layers.py``."""
    report: Report = json.loads(file.read_text(encoding="utf-8"))
    return [layers.Row(**row) for row in report["rows"]]


if __name__ == "__main__":
    main()
