"""Networks of binary units: their order of layers, and the slope of a sign."""

import numpy as np
import pytest
import torch

from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Linear,
    MaxPool,
    ReLU,
    Sign,
    kernels,
    layers_of,
)

IMAGES = of_images((1, 8, 8), classes=10)


def of(name):
    return layers_of(build(name, widths=None, data=IMAGES))


@pytest.mark.parametrize("plain", ["lenet-300-100", "conv-2", "conv-4"])
def test_a_norm_and_a_sign_stand_for_every_relu(plain):
    layers = of(f"binary-{plain}")
    assert not any(isinstance(layer, ReLU) for layer in layers)
    signs = sum(isinstance(layer, Sign) for layer in layers)
    assert signs == sum(isinstance(layer, ReLU) for layer in of(plain))
    assert kernels(layers).keys() == kernels(of(plain)).keys()
    assert isinstance(layers[-1], Linear)


def test_a_convolution_is_pooled_normed_and_then_a_sign():
    kinds = [type(layer) for layer in of("binary-conv-2")[:7]]
    assert kinds == [Conv, BatchNorm, Sign, Conv, MaxPool, BatchNorm, Sign]


def test_a_sign_has_the_slope_of_two_pieces_of_parabolas():
    x = torch.tensor([-2.0, -1.0, -0.75, -0.0, 0.0, 0.25, 1.0, 3.0], requires_grad=True)
    signs = forward((Sign(),), {}, x, training=True)
    assert signs.tolist() == [-1, -1, -1, 0, 0, 1, 1, 1]
    signs.sum().backward()
    assert x.grad is not None
    size = np.abs(x.detach().numpy())
    np.testing.assert_allclose(x.grad, np.where(size <= 1, 2 * (1 - size), 0), atol=1e-6)
