"""Single layers, forward and backward: our kernels beside SparseProp and dense torch.

    python benchmarks/layers.py --out layers.json

A linear layer 784 → 300 with batch 64 and a 3 × 3 convolution 64 → 64 on 28 × 28 with batch
60. Outputs, gradients of weights and bias, and gradients of the inputs, on one thread, in
turns, medians. About 1 minute. Compared are

- ours: the kernels of the sparse engines, in their own layout (examples last), called from
  Python once per pass; a ReLU comes with them. The inputs' layer is a hidden one here, as
  only then are the gradients of the inputs wanted;
- sparseprop: its modules as a user calls them, of the two for convolutions the faster one.
  Nikdan et al. 2023, arXiv:2302.04852; ``pip install sparseprop``;
- sparseprop kernels: its C++ functions alone, without autograd and transposing;
- dense: the module of torch, with the same weights.

SparseProp is measured where it is installed. Its setup needs pybind11, which it cannot
fetch into pip's isolated build, so (in an activated environment of its own, since it
installs a module called ``backend``): ``pip install -e . pybind11 wheel scipy``, then
``pip install --no-build-isolation sparseprop``. It builds with g++ 12, beside torch 2.13.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # SparseProp asks nothing else

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import measuring
import numpy as np
import torch
from measuring import Goal, Report
from numpy.typing import NDArray
from torch import Tensor, nn

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

Work = Callable[[], object]
Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One layer and its batch."""

    inputs: int
    outputs: int
    batch_size: int
    side: int = 0
    """height and width of the images of a 3 × 3 convolution; 0: a linear layer"""

    @property
    def name(self) -> str:
        """For tables."""
        layer = f"{self.inputs}→{self.outputs}"
        if self.side:
            layer = f"{layer} 3×3 on {self.side}×{self.side}"
        return f"{layer}, batch {self.batch_size}"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Of the dense tensor."""
        kernel = (3, 3) if self.side else ()
        return (self.outputs, self.inputs, *kernel)

    @property
    def batch_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of inputs and outputs."""
        plane = (self.side, self.side) if self.side else ()
        return (self.batch_size, self.inputs, *plane), (
            self.batch_size,
            self.outputs,
            *plane,
        )


CASES = (
    (Shape(inputs=784, outputs=300, batch_size=64), (0.2, 0.1, 0.036, 0.01)),
    (Shape(inputs=64, outputs=64, batch_size=60, side=28), (0.2, 0.1, 0.02)),
)


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
    installed = find_spec("sparseprop") is not None
    if not installed:
        print("sparseprop is not installed (see the top of this file): ours alone")
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
        sparseprop=installed,
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
    if find_spec("sparseprop") is not None:
        ways |= sparseprop_ways(shape, weight)
    times = measuring.in_turns({n: _seconds(work) for n, work in ways.items()}, repeats)
    modules = [name for name in times if name.startswith("sparseprop ")]
    if modules:  # of its two convolutions, users take the faster one
        times["sparseprop"] = min(times.pop(n) for n in modules if "kernels" not in n)
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


def module_pass(module: nn.Module, shape: Shape) -> Work:
    """Forward and backward of a module, with gradients of everything."""
    inputs, gradient = (torch.rand(size) for size in shape.batch_shapes)
    inputs.requires_grad_()

    def both() -> None:
        module.zero_grad()
        inputs.grad = None
        module(inputs).backward(gradient)

    return both


def sparseprop_ways(shape: Shape, weight: Array) -> dict[str, Work]:
    """Its modules, and its functions alone."""
    from sparseprop.modules import SparseConv2d, SparseLinear

    dense, bias = torch.tensor(weight), nn.Parameter(torch.zeros(shape.outputs))
    if not shape.side:
        layer = SparseLinear(dense, bias=bias)
        return {
            "sparseprop module": module_pass(layer, shape),
            "sparseprop kernels": _linear_functions(layer.W_val.data, layer.W_idx, shape),
        }
    ways = {}
    for over_columns in (False, True):
        layer = SparseConv2d(dense, bias, padding=1, vectorizing_over_on=over_columns)
        ways[f"sparseprop {over_columns}"] = module_pass(layer, shape)
    return ways


def _linear_functions(values: Tensor, indices: Sequence[Tensor], shape: Shape) -> Work:
    from sparseprop import backend

    inputs = torch.rand(shape.inputs, shape.batch_size)
    gradient = torch.rand(shape.outputs, shape.batch_size)

    def both() -> None:
        outputs = torch.zeros(shape.outputs, shape.batch_size)
        backend.sparse_linear_vectorized_forward(inputs, *indices, values, outputs)
        input_gradient, gradients = torch.zeros_like(inputs), torch.zeros_like(values)
        backend.sparse_linear_vectorized_backward(
            inputs, *indices, values, gradient, input_gradient, gradients
        )

    return both


def goals(rows: Sequence[Row]) -> list[Goal]:
    """Ahead of SparseProp at every density: the lowest ratio per layer."""
    found = []
    for layer in dict.fromkeys(row.layer for row in rows):
        times = {(r.density, r.way): r.microseconds for r in rows if r.layer == layer}
        ratios = [
            microseconds / times[density, "ours"]
            for (density, way), microseconds in times.items()
            if way.startswith("sparseprop")
        ]
        if ratios:
            goal = Goal(
                what=f"{layer}: SparseProp's time, at least",
                goal=1.0,
                measured=min(ratios),
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
            shown = [row for row in rows if row.layer == layer]
            for way in dict.fromkeys(row.way for row in shown):
                points = [(r.density, r.microseconds) for r in shown if r.way == way]
                axes.plot(*zip(*points, strict=True), marker="o", label=way)
            axes.set(xscale="log", yscale="log", xlabel="density", title=layer)
            axes.set_ylabel("µs, forward and backward")
            axes.invert_xaxis()
            axes.legend()
        drawn.suptitle(measuring.machine_line(report), fontsize="medium")


if __name__ == "__main__":
    main()
