"""Single layers, forward and backward: our kernels beside other libraries and dense torch.

    python benchmarks/layers.py --out layers.json

A linear layer 784 → 300 with batch 64 and a 3 × 3 convolution 64 → 64 on 28 × 28 with batch
60. Outputs, gradients of weights and bias, and gradients of the inputs, on one thread, in
turns, medians. About 1 minute. Compared are

- ours: the kernels of the sparse engines, in their own layout (examples last), called from
  Python once per pass; a ReLU comes with them. The inputs' layer is a hidden one here, as
  only then are the gradients of the inputs wanted;
- dense: the module of torch, with the same weights;
- the libraries of ``rivals.py`` that are installed; of two ways to use one, the faster.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the libraries ask nothing else
os.environ.setdefault("MKL_NUM_THREADS", "1")

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import measuring
import numpy as np
import torch
from measuring import Goal, Report
from rivals import Array, Shape, Work, module_pass, rivals_of
from torch import nn

from pipeline.core import seeding
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Network,
    ReLU,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.engines import sparse, sparse_conv
from pipeline.engines.shared.vectors import LANES
from pipeline.engines.sparse.backward import backward
from pipeline.engines.sparse.forward import forward
from pipeline.engines.sparse.inputs import take_biases
from pipeline.engines.sparse_conv.convolutions import convolve
from pipeline.engines.sparse_conv.kernels import add_sums, order_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CASES = (
    (Shape(inputs=784, outputs=300, batch_size=64), (0.2, 0.1, 0.036, 0.01)),
    (Shape(inputs=64, outputs=64, batch_size=60, side=28), (0.2, 0.1, 0.02)),
)


OWN = ("ours", "dense")
"""the ways that need no other library"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One way to do one layer at one density."""

    layer: str
    density: float
    way: str
    microseconds: float
    """forward and backward together"""


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--repeats", type=int, default=15)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    rows = [
        row
        for shape, densities in CASES
        for density in densities
        for row in measure(shape, density, repeats=arguments.repeats)
    ]
    report = measuring.save(
        arguments.out,
        begin,
        goals=goals(rows),
        rows=[asdict(row) for row in rows],
        rivals=[rival.name for rival in rivals_of(CASES[0][0])],
        repeats=arguments.repeats,
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def measure(shape: Shape, density: float, *, repeats: int) -> list[Row]:
    """All ways in turns."""
    rng = seeding.generator(0, "mask_sample")
    weight = rng.standard_normal(shape.weight_shape, dtype=np.float32)
    weight[rng.random(shape.weight_shape) >= density] = 0
    ways: dict[str, Work] = {
        "ours": (our_conv if shape.side else our_linear)(shape, weight)
    }
    ways["dense"] = module_pass(_dense(shape, weight), shape)
    rivals = {rival.name: rival.ways(shape, weight) for rival in rivals_of(shape)}
    for name, own in rivals.items():
        ways |= {f"{name}, {way}": work for way, work in own.items()}
    times = measuring.in_turns({n: _seconds(work) for n, work in ways.items()}, repeats)
    for name, own in rivals.items():
        times[name] = min(times.pop(f"{name}, {way}") for way in own)
    rows = [
        Row(layer=shape.name, density=density, way=way, microseconds=1e6 * seconds)
        for way, seconds in times.items()
    ]
    found = ", ".join(f"{row.way} {row.microseconds:,.0f} µs" for row in rows)
    print(f"{shape.name}, density {density}: {found}", flush=True)
    return rows


def _seconds(work: Work) -> Callable[[], float]:
    """Time of one pass, from as many as take some milliseconds."""
    work()
    times = max(1, int(0.02 / measuring.wall(work)))

    def timed() -> float:
        begin = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - begin) / times

    return timed


def our_linear(shape: Shape, weight: Array) -> Work:
    """The layer as the last of a network whose hidden units are constants."""
    network: Network = (
        Flatten(),
        Linear(name="inputs", inputs=1, outputs=shape.inputs),
        ReLU(),
        Linear(name="layer", inputs=shape.inputs, outputs=shape.outputs),
    )
    data = measuring.random_data((shape.batch_size,) * 3, (1, 1, 1))
    closed = np.zeros(parameters(network)["inputs.weight"].shape, np.float32)
    known = {"layer.weight": weight, "inputs.weight": closed}
    job = _job(network, data, shape, known)
    engine = sparse.make([job])
    net, work, lanes = engine._net, engine._work, engine._shape
    work.gradients[:] = seeding.generator(0, "score_batch").standard_normal(
        len(work.gradients), dtype=np.float32
    )

    def both() -> None:
        take_biases(net, work)
        forward(net, 0, work, lanes)
        backward(net, 0, work, lanes)

    return both


def our_conv(shape: Shape, weight: Array) -> Work:
    """The layer as the second convolution of a network."""
    pooled = (shape.side // 2) ** 2
    network: Network = (
        Conv(name="inputs", inputs=1, outputs=shape.inputs),
        ReLU(),
        Conv(name="layer", inputs=shape.inputs, outputs=shape.outputs),
        ReLU(),
        MaxPool(),
        Flatten(),
        Linear(name="fc", inputs=shape.outputs * pooled, outputs=10),
    )
    data = measuring.random_data((shape.batch_size,) * 3, (1, shape.side, shape.side))
    engine = sparse_conv.make([_job(network, data, shape, {"layer.weight": weight})])
    net, work = engine._net, engine._work
    conv = net.wiring.convs[1]
    rng = seeding.generator(0, "score_batch")
    for planes in (*work.planes, work.plane_gradients):
        planes[:] = rng.standard_normal(len(planes), dtype=np.float32)
    blocks = -(-shape.batch_size // LANES)

    def both() -> None:
        order_values(net, work)
        for planes in work.planes[:blocks]:
            convolve(net, work, planes, conv, back=False)
        for planes in work.planes[:blocks]:
            convolve(net, work, planes, conv, back=True)
        add_sums(net, work)

    return both


def _job(network: Network, data: Dataset, shape: Shape, known: Mapping[str, Array]) -> Job:
    """Random weights, but those that are known; their zeros are pruned."""
    rng = seeding.generator(0, "init")
    start = {
        name: known.get(name, rng.standard_normal(tensor.shape, dtype=np.float32))
        for name, tensor in parameters(network).items()
    }
    mask = {name: start[name] != 0 for name in start if start[name].ndim > 1}
    settings = measuring.paper(steps=1, evaluate_every=1)
    settings = replace(settings, batch_size=shape.batch_size)
    return Job(
        network=network,
        start=start,
        mask=mask,
        data=data,
        settings=settings,
        seed=0,
        round=0,
    )


def _dense(shape: Shape, weight: Array) -> nn.Module:
    module: nn.Linear | nn.Conv2d
    if shape.side:
        module = nn.Conv2d(shape.inputs, shape.outputs, 3, padding=1)
    else:
        module = nn.Linear(shape.inputs, shape.outputs)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
    return module


def goals(rows: Sequence[Row]) -> list[Goal]:
    """Ahead of every library at every density: the lowest ratio per layer and library."""
    found = []
    for layer, way in dict.fromkeys((row.layer, row.way) for row in rows):
        if way in OWN:
            continue
        times = {(r.density, r.way): r.microseconds for r in rows if r.layer == layer}
        ratio = min(
            times[density, way] / times[density, "ours"]
            for density, other in times
            if other == way
        )
        goal = Goal(
            what=f"{layer}: time of {way}, at least",
            goal=1.0,
            measured=ratio,
            unit="× ours",
            at_least=True,
        )
        found.append(goal)
    return found


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Time against density, one panel per layer."""
    layers = list(dict.fromkeys(row.layer for row in rows))
    with measuring.figure(file, width=5.6 * len(layers)) as drawn:
        panels = drawn.subplots(ncols=len(layers), squeeze=False)[0]
        for axes, layer in zip(panels, layers, strict=True):
            draw(axes, [row for row in rows if row.layer == layer])
        drawn.suptitle(measuring.machine_line(report), fontsize="medium")


def draw(axes: "Axes", rows: Sequence[Row]) -> None:
    """Draw one layer's time against density, each library with its look."""
    from pipeline.plots import style

    ways = list(dict.fromkeys(row.way for row in rows))
    looks = style.looks(ways)
    for way in ways:
        points = [(row.density, row.microseconds) for row in rows if row.way == way]
        axes.plot(*zip(*points, strict=True), label=way, **looks[way])
    axes.set(yscale="log", ylabel="µs, forward and backward", title=rows[0].layer)
    style.weights_axis(axes, sorted({row.density for row in rows}))
    axes.legend()


if __name__ == "__main__":
    main()
