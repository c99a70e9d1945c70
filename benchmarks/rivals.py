"""The sparse layers of other libraries, forward and backward, as ``layers.py`` times them.

Each is measured where it is installed, in an environment of its own that sees this one's
packages. None is installed with the pipeline:

- sparseprop: Nikdan et al. 2023, arXiv:2302.04852. Its setup needs pybind11, which it
  cannot fetch into pip's isolated build, and it installs a module called ``backend``:
  ``pip install pybind11 wheel``, then ``pip install --no-build-isolation --no-deps
  sparseprop``. It builds with g++ 12, beside torch 2.13;
- sparselab: ``pip install --no-deps sparselab``;
- oneMKL: ``pip install mkl sparse-dot-mkl``, and ``MKL_RT`` names ``lib/libmkl_rt.so.3``.

Nerva (Wesselink et al. 2024, arXiv:2407.17437) is on no package index. Its sparse layers do
what the way ``oneMKL`` does, and make oneMKL's matrix anew after each step.

torch itself brings compressed sparse rows (CSR), whose products are those of the MKL that
it was built with.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """One library, or one way to use it."""

    name: str
    package: str
    """what must be installed"""
    ways: Callable[[Shape, Array], Mapping[str, Work]]
    """how the layer is done with it; several where users have the choice"""
    convolutions: bool = False
    """whether it has them"""


def rivals_of(shape: Shape) -> list[Rival]:
    """Those that are installed and have such a layer."""
    return [
        rival
        for rival in RIVALS
        if find_spec(rival.package) is not None and (rival.convolutions or not shape.side)
    ]


def module_pass(module: nn.Module, shape: Shape) -> Work:
    """Forward and backward of a module, with gradients of everything."""
    inputs, gradient = (torch.rand(size) for size in shape.batch_shapes)
    inputs.requires_grad_()

    def both() -> None:
        module.zero_grad()
        inputs.grad = None
        module(inputs).backward(gradient)

    return both


def _sparseprop(shape: Shape, weight: Array) -> dict[str, Work]:
    """Its modules as a user calls them."""
    from sparseprop.modules import SparseConv2d, SparseLinear

    dense, bias = torch.tensor(weight), nn.Parameter(torch.zeros(shape.outputs))
    if not shape.side:
        return {"linear": module_pass(SparseLinear(dense, bias=bias), shape)}
    return {
        f"over {'columns' if columns else 'rows'}": module_pass(
            SparseConv2d(dense, bias, padding=1, vectorizing_over_on=columns), shape
        )
        for columns in (False, True)
    }


def _sparseprop_kernels(shape: Shape, weight: Array) -> dict[str, Work]:
    """Its C++ functions alone, without autograd and transposing."""
    from sparseprop import backend
    from sparseprop.modules import SparseLinear

    layer = SparseLinear(torch.tensor(weight), bias=nn.Parameter(torch.zeros(1)))
    values, indices = layer.W_val.data, layer.W_idx
    inputs, gradient = _batch(shape)

    def both() -> None:
        outputs = torch.zeros(shape.outputs, shape.batch_size)
        backend.sparse_linear_vectorized_forward(inputs, *indices, values, outputs)
        input_gradient, gradients = torch.zeros_like(inputs), torch.zeros_like(values)
        backend.sparse_linear_vectorized_backward(
            inputs, *indices, values, gradient, input_gradient, gradients
        )

    return {"linear": both}


def _sparselab(shape: Shape, weight: Array) -> dict[str, Work]:
    """Its module, which draws a mask and weights of its own, as many in number."""
    from sparselab import SparseLinear

    sparsity = 1 - np.count_nonzero(weight) / weight.size
    layer = SparseLinear(shape.inputs, shape.outputs, sparsity=sparsity)
    return {"linear": module_pass(layer, shape)}


def _onemkl(shape: Shape, weight: Array) -> dict[str, Work]:
    """Products of a sparse and a dense matrix.

    oneMKL has none that gives the gradients of kept weights alone: they are taken from the
    dense product.
    """
    from scipy.sparse import csr_matrix
    from sparse_dot_mkl import dot_product_mkl

    sparse = csr_matrix(weight)
    turned = csr_matrix(weight.T)
    kept = torch.tensor(np.flatnonzero(weight))
    inputs, gradient = _batch(shape)
    outputs = np.zeros((shape.outputs, shape.batch_size), np.float32)
    input_gradient = np.zeros((shape.inputs, shape.batch_size), np.float32)
    all_gradients = torch.empty(weight.shape)

    def both() -> None:
        dot_product_mkl(sparse, inputs.numpy(), out=outputs)
        dot_product_mkl(turned, gradient.numpy(), out=input_gradient)
        torch.mm(gradient, inputs.T, out=all_gradients)
        all_gradients.view(-1)[kept]
        gradient.sum(1)

    return {"linear": both}


def _torch_csr(shape: Shape, weight: Array) -> dict[str, Work]:
    """Three products by hand; the weights stand in two orders, as nothing turns them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        sparse = torch.tensor(weight).to_sparse_csr()
        turned = torch.tensor(weight.T).to_sparse_csr()
    inputs, gradient = _batch(shape)

    def both() -> None:
        torch.mm(sparse, inputs)
        torch.mm(turned, gradient)
        torch.sparse.sampled_addmm(sparse, gradient, inputs.T, beta=0.0)
        gradient.sum(1)

    return {"linear": both}


def _batch(shape: Shape) -> tuple[Tensor, Tensor]:
    """Inputs and gradients of the outputs, examples last."""
    inputs = torch.rand(shape.inputs, shape.batch_size)
    return inputs, torch.rand(shape.outputs, shape.batch_size)


RIVALS: Sequence[Rival] = (
    Rival(name="sparseprop", package="sparseprop", ways=_sparseprop, convolutions=True),
    Rival(name="sparseprop kernels", package="sparseprop", ways=_sparseprop_kernels),
    Rival(name="sparselab", package="sparselab", ways=_sparselab),
    Rival(name="oneMKL", package="sparse_dot_mkl", ways=_onemkl),
    Rival(name="torch CSR", package="torch", ways=_torch_csr),
)
