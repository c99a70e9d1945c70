"""Models have the layers, shapes and weight counts of their sources."""

import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

from pipeline.core.description import of_images
from pipeline.core.models import MODELS, build
from pipeline.core.models.layers import Linear, parameters
from pipeline.core.models.totals import (
    kernel_counts,
    multiply_adds,
    positions,
    trainable_count,
)

DIGITS, MNIST, CIFAR = (1, 8, 8), (1, 28, 28), (3, 32, 32)


def make(name, shape, widths=None):
    widths = (5, 6) if MODELS[name].takes_widths and widths is None else widths
    return build(name, widths=widths, data=of_images(shape, classes=10))


# Frankle & Carbin 2019 and the codes behind it; methods.md, section 0.
@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("lenet-300-100", MNIST, {"fc": 265_200, "output": 1_000}),
        ("lenet-300-100", DIGITS, {"fc": 64 * 300 + 30_000, "output": 1_000}),
        ("conv-2", CIFAR, {"conv": 38_592, "fc": 4_259_840, "output": 2_560}),
        ("conv-4", CIFAR, {"conv": 259_776, "fc": 2_162_688, "output": 2_560}),
        ("conv-6", CIFAR, {"conv": 1_144_512, "fc": 1_114_112, "output": 2_560}),
        ("conv-8", CIFAR, {"conv": 4_683_456, "fc": 589_824, "output": 2_560}),
        ("conv-2", MNIST, {"conv": 37_440, "fc": 3_276_800, "output": 2_560}),
        ("resnet-20", CIFAR, {"conv": 267_696, "shortcut": 2_560, "output": 640}),
        ("vgg-11", CIFAR, {"conv": 9_217_728, "output": 5_120}),
        ("vgg-16", CIFAR, {"conv": 14_710_464, "output": 5_120}),
        ("vgg-19", CIFAR, {"conv": 20_018_880, "output": 5_120}),
    ],
)
def test_the_weights_of_each_kind_are_those_of_the_papers(name, shape, counts):
    assert kernel_counts(make(name, shape)) == counts


@pytest.mark.parametrize(
    ("name", "shape", "total"),
    [
        ("lenet-300-100", MNIST, 266_200),
        ("conv-2", CIFAR, 4_300_992),
        ("conv-4", CIFAR, 2_425_024),
        ("conv-6", CIFAR, 2_261_184),
        ("conv-8", CIFAR, 5_275_840),
        ("conv-2", MNIST, 3_316_800),
        ("resnet-20", CIFAR, 270_256 + 640),
    ],
)
def test_the_prunable_weights_add_up_to_the_golden_counts(name, shape, total):
    assert sum(kernel_counts(make(name, shape)).values()) == total


@pytest.mark.parametrize(
    ("name", "shape", "total"),
    [
        ("lenet-300-100", MNIST, 266_200),
        ("conv-2", CIFAR, 1024 * (27 + 576) * 64 + 4_262_400),
        # the 40.8 million that papers on ResNet-20 give
        ("resnet-20", CIFAR, 40_813_184),
    ],
)
def test_multiply_adds_count_every_weight_at_every_position(name, shape, total):
    assert multiply_adds(make(name, shape), of_images(shape, classes=10), {}) == total


def test_a_strided_shortcut_is_counted_at_its_own_output():
    places = positions(make("resnet-20", CIFAR), of_images(CIFAR, classes=10))
    assert set(places) == {
        name for name, t in parameters(make("resnet-20", CIFAR)).items() if t.kind
    }
    assert sorted(set(places.values())) == [1, 64, 256, 1024]


def test_a_pruned_weight_costs_nothing_at_any_position():
    network = make("conv-2", MNIST)
    whole = multiply_adds(network, of_images(MNIST, classes=10), {})
    first = next(iter(parameters(network)))
    cut = multiply_adds(network, of_images(MNIST, classes=10), {first: 0})
    assert cut == whole - 576 * 784


def test_biases_and_norms_are_counted_among_the_trainable():
    assert trainable_count(make("lenet-300-100", MNIST)) == 266_200 + 410
    assert trainable_count(make("resnet-20", CIFAR)) == 272_474


@pytest.mark.parametrize(
    ("name", "layers"),
    [("resnet-8", 8), ("resnet-32", 32), ("resnet-44", 44), ("resnet-56", 56)],
)
def test_a_resnet_has_as_many_layers_as_its_name_says(name, layers):
    tensors = parameters(make(name, CIFAR))
    counted = [t for t in tensors.values() if t.kind in ("conv", "output")]
    assert len(counted) == layers


def test_the_names_are_those_of_a_plain_state_dict():
    assert list(parameters(make("lenet-300-100", MNIST))) == [
        f"fc{layer}.{tensor}" for layer in (1, 2, 3) for tensor in ("weight", "bias")
    ]
    assert {
        "conv.weight",
        "norm.running_mean",
        "block4.conv1.weight",
        "block4.shortcut.weight",
        "block4.shortcut_norm.bias",
        "fc.bias",
    } <= set(parameters(make("resnet-20", CIFAR)))


def test_an_mlp_has_the_widths_it_is_given():
    network = make("mlp", DIGITS, widths=(7, 5, 3))
    linear = [layer for layer in network if isinstance(layer, Linear)]
    assert [(fc.name, fc.inputs, fc.outputs, fc.kind) for fc in linear] == [
        ("fc1", 64, 7, "fc"),
        ("fc2", 7, 5, "fc"),
        ("fc3", 5, 3, "fc"),
        ("fc4", 3, 10, "output"),
    ]


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if not m.is_module])
@pytest.mark.parametrize("shape", [DIGITS, MNIST, CIFAR], ids=str)
def test_every_model_ends_in_one_logit_per_class_or_says_why_not(name, shape):
    too_small = shape == DIGITS and (name.endswith("conv-8") or name.startswith("vgg"))
    if too_small:
        with pytest.raises(ValueError, match="8×8 pixels are too few"):
            make(name, shape)
        return
    network = make(name, shape)
    output = network[-1]
    assert isinstance(output, Linear)
    assert (output.outputs, output.kind) == (10, "output")
    tensors = parameters(network)
    assert len(tensors) == len(set(tensors))
    assert all(prod(tensor.shape) > 0 for tensor in tensors.values())


def test_too_many_pools_are_refused_with_what_to_take_instead():
    with pytest.raises(
        ValueError,
        match=(
            r"^vgg-16 halves its images 4 times, and 8×8 pixels are too few; take "
            r"images of at least 16×16, or a model with fewer pools \(lenet-300-100, "
        ),
    ):
        make("vgg-16", DIGITS)


@pytest.mark.parametrize("widths", [(), (0, 3)])
def test_an_mlp_without_widths_is_refused(widths):
    with pytest.raises(ValueError, match="mlp needs the widths of its hidden layers"):
        make("mlp", MNIST, widths=widths)


def test_a_cnn_has_the_channels_and_units_it_is_given():
    assert kernel_counts(make("cnn", MNIST, widths=(8, 16, 64))) == {
        "conv": 9 * 8 + 9 * 8 * 16,
        "fc": 7 * 7 * 16 * 64,
        "output": 640,
    }


@pytest.mark.parametrize("widths", [None, (64,), (8, 0)])
def test_a_cnn_without_a_convolution_and_a_hidden_layer_is_refused(widths):
    with pytest.raises(ValueError, match="cnn needs the channels of its convolutions"):
        build("cnn", widths=widths, data=of_images(MNIST, classes=10))


def test_widths_are_refused_where_the_name_gives_them():
    with pytest.raises(ValueError, match="conv-2 has widths of its own; for"):
        make("conv-2", MNIST, widths=(3,))


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown model: alexnet.*conv-2, conv-4"):
        make("alexnet", CIFAR)


def test_models_are_built_and_drawn_without_torch():
    code = (
        "import sys, numpy\n"
        "from pipeline.core.description import of_images\n"
        "from pipeline.core.models import MODELS, build, init\n"
        "for name in [n for n, m in MODELS.items() if not m.is_module]:\n"
        "    widths = (3, 5) if MODELS[name].takes_widths else None\n"
        "    build(name, widths=widths, data=of_images((3, 32, 32), classes=10))\n"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0
