"""The forward pass agrees with networks written by hand with torch.nn."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core import seeding
from pipeline.core.description import of_images
from pipeline.core.models import MODELS, build
from pipeline.core.models.forward import forward
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Conv, Flatten, MaxPool, parameters

torch.set_num_threads(1)


def make(name, shape, widths=None):
    network = build(name, widths=widths, data=of_images(shape, classes=10))
    drawn = initial_weights(network, "kaiming-normal", seeding.generator(0, "init"))
    return network, {
        name: torch.from_numpy(array + _away_from_zero_and_one(array))
        for name, array in drawn.items()
    }


def _away_from_zero_and_one(array):
    """Added to biases and norms, so that leaving one out would show."""
    if array.ndim > 1:
        return np.zeros_like(array)
    return np.linspace(0.1, 0.3, array.size, dtype=np.float32)


def images(shape, count=4):
    drawn = np.random.default_rng(1).standard_normal((count, *shape))
    return torch.from_numpy(drawn.astype(np.float32))


def load(module, weights):
    """Copy weights into a hand-written module, tensor by tensor in layer order."""
    state = module.state_dict()
    theirs = [key for key in state if not key.endswith("num_batches_tracked")]
    assert len(theirs) == len(weights)
    renamed = dict(zip(theirs, weights.values(), strict=True))
    module.load_state_dict({k: v.clone() for k, v in renamed.items()}, strict=False)
    return module


def test_an_mlp_is_linear_layers_with_relu_between_them():
    network, weights = make("mlp", (1, 8, 8), widths=(20, 15))
    by_hand = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 20),
        nn.ReLU(),
        nn.Linear(20, 15),
        nn.ReLU(),
        nn.Linear(15, 10),
    )
    batch = images((1, 8, 8))
    logits = forward(network, weights, batch, training=True)
    assert torch.equal(logits, load(by_hand, weights)(batch))


def test_conv_2_is_what_the_paper_draws():
    network, weights = make("conv-2", (3, 8, 8))
    by_hand = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )
    batch = images((3, 8, 8))
    logits = forward(network, weights, batch, training=True)
    assert torch.equal(logits, load(by_hand, weights)(batch))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        shapes = [(16, 16, 1)] * 3
        shapes += [(16, 32, 2), (32, 32, 1), (32, 32, 1)]
        shapes += [(32, 64, 2), (64, 64, 1), (64, 64, 1)]
        self.blocks = nn.Sequential(*(Block(*shape) for shape in shapes))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        y = self.blocks(torch.relu(self.bn(self.conv(x))))
        return self.fc(y.mean(dim=(2, 3)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [8, 7])
def test_resnet_20_and_its_running_statistics_are_those_of_modules(training, size):
    network, weights = make("resnet-20", (3, size, size))
    by_hand = load(ResNet20(), weights).train(training)
    before = {key: tensor.clone() for key, tensor in weights.items()}
    batch = images((3, size, size))
    logits = forward(network, weights, batch, training=training)
    assert torch.equal(logits, by_hand(batch))
    theirs = [t for k, t in by_hand.state_dict().items() if "num_batches" not in k]
    for (key, ours), their in zip(weights.items(), theirs, strict=True):
        assert torch.equal(ours, their), key
        moved = training and key.rpartition(".")[2].startswith("running")
        assert torch.equal(ours, before[key]) != moved, key


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if not m.is_module])
def test_every_model_gives_finite_logits_and_a_gradient_for_every_kernel(name):
    shape = (1, 16, 16)
    network, weights = make(
        name, shape, widths=(5, 6) if MODELS[name].takes_widths else None
    )
    tensors = parameters(network)
    trainable = [weights[key].requires_grad_() for key in tensors if tensors[key].trainable]
    logits = forward(network, weights, images(shape), training=True)
    assert logits.shape == (4, 10)
    gradients = torch.autograd.grad(logits.square().sum(), trainable)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients if gradient.ndim > 1)


def test_odd_borders_are_dropped_by_a_pool():
    pooled = forward((MaxPool(), Flatten()), {}, images((1, 5, 3), 1), training=True)
    assert pooled.shape == (1, 2)


@pytest.mark.parametrize(("stride", "size"), [(1, 5), (2, 3)])
def test_a_convolution_keeps_its_size_up_to_the_stride(stride, size):
    layer = Conv(name="conv1", inputs=1, outputs=2, stride=stride, bias=False)
    weights = {"conv1.weight": torch.ones(2, 1, 3, 3)}
    result = forward((layer,), weights, torch.ones(1, 1, 5, 5), training=False)
    assert result.shape == (1, 2, size, size)
    assert result[0, 0, 0].tolist()[:2] == [4.0, 6.0]
