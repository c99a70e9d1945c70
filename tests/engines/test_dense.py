"""The dense engine's passes in torch agree with autograd.

Promises are in the contract test, compiled networks in test_fully_connected.py.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from helpers.train_settings import PLAIN

from pipeline.core import seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import MODELS, build
from pipeline.core.models.forward import forward
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.engines import ENGINES, make_engine
from pipeline.engines.dense import layers
from pipeline.engines.dense.layers import (
    SMALL_PRODUCT,
    gradients,
    in_order,
    logits,
    product,
)
from pipeline.engines.dense.layers import channels_last as channels_last_of

torch.set_num_threads(1)

SETTINGS = replace(PLAIN, steps=20, batch_size=50, lr=1e-3, engine="dense")
OUTPUT = Linear(name="fc", inputs=12, outputs=5, kind="output")
NETWORKS = {
    "odd sizes": (
        Conv(name="conv1", inputs=3, outputs=4),
        ReLU(),
        MaxPool(),
        Flatten(),
        Linear(name="fc", inputs=48, outputs=5, kind="output"),
    ),
    "stride, kernel 1, no bias": (
        Conv(name="conv1", inputs=3, outputs=6, stride=2, bias=False),
        ReLU(),
        Conv(name="conv2", inputs=6, outputs=12, kernel=1, bias=False),
        GlobalAveragePool(),
        OUTPUT,
    ),
    "activation before weights": (
        ReLU(),
        MaxPool(),
        Conv(name="conv1", inputs=3, outputs=12),
        ReLU(),
        GlobalAveragePool(),
        OUTPUT,
    ),
    "one layer": (Flatten(), Linear(name="fc", inputs=189, outputs=5, kind="output")),
}
IMAGE = (3, 9, 7)


def drawn(*shape):
    values = np.random.default_rng(1).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def weights_of(network):
    return {
        name: 0.3 * drawn(*parameter.shape)
        for name, parameter in parameters(network).items()
    }


def channels_last(tensors):
    last = torch.channels_last
    return {
        name: tensor.contiguous(memory_format=last) if tensor.ndim == 4 else tensor
        for name, tensor in tensors.items()
    }


def job(network, image_shape=IMAGE, **settings):
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, *image_shape)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 5, size))

    channels = image_shape[0]
    data = Dataset(
        train=split(120),
        validation=split(30),
        test=split(60),
        description=of_images(
            image_shape,
            classes=5,
            mean=(120.0, 130.0, 110.0)[:channels],
            std=(70.0, 60.0, 80.0)[:channels],
        ),
    )
    start = initial_weights(network, "glorot-normal", seeding.generator(0, "init"))
    kernels = [name for name, parameter in parameters(network).items() if parameter.kind]
    return Job(
        network=network,
        start=start,
        mask={name: np.ones(start[name].shape, np.bool_) for name in kernels},
        data=data,
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=0,
    )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_passes_written_out_agree_with_autograd(network):
    weights, images = weights_of(network), drawn(8, *IMAGE)
    labels = torch.arange(8) % 5
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    expected = forward(network, leaves, images, training=True)
    F.cross_entropy(expected, labels).backward()
    ours = channels_last(weights)
    found = gradients(network, ours, images, torch.eye(5)[labels])
    torch.testing.assert_close(logits(network, ours, images), expected.detach())
    assert sorted(found) == sorted(leaves)
    for name, leaf in leaves.items():
        torch.testing.assert_close(found[name], leaf.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_gradients_lie_in_memory_as_the_weights_do(network):
    weights = channels_last(weights_of(network))
    found = gradients(network, weights, drawn(8, *IMAGE), torch.eye(5)[torch.arange(8) % 5])
    for name, weight in weights.items():
        in_order = torch.arange(weight.numel(), dtype=torch.float32)
        one = torch.empty_like(weight).as_strided((weight.numel(),), (1,)).copy_(in_order)
        other = torch.empty_like(found[name]).as_strided((weight.numel(),), (1,))
        other.copy_(in_order)
        assert torch.equal(
            one.as_strided(weight.shape, weight.stride()),
            other.as_strided(weight.shape, found[name].stride()),
        )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_images_are_left_unchanged(network):
    weights, images = channels_last(weights_of(network)), drawn(8, *IMAGE)
    before = images.clone()
    gradients(network, weights, images, torch.eye(5)[torch.arange(8) % 5])
    logits(network, weights, images)
    assert torch.equal(images, before)


@pytest.fixture(params=[False, True], ids=["torch.mm", "oneDNN"])
def library(request, monkeypatch):
    """Both libraries of large products, whatever this processor would take."""
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(layers, "USES_ONEDNN", request.param)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("size", [10, 100])
@pytest.mark.parametrize("turned", [(False, False), (True, True), (False, True)])
def test_a_product_is_right_on_both_sides_of_the_threshold(size, turned):
    assert (size**3 > SMALL_PRODUCT) == (size == 100)
    left, right = drawn(size, size), drawn(size, size).flip(0).contiguous()
    left, right = (
        t.t() if turn else t for t, turn in zip((left, right), turned, strict=True)
    )
    bias = drawn(size)
    expected = left.double() @ right.double().t()
    torch.testing.assert_close(product(left, right), expected.float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        product(left, right, bias), (expected + bias).float(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.usefixtures("library")
def test_a_large_product_passes_nan_on():
    left, right = drawn(100, 100), drawn(100, 100)
    left[3, 4] = torch.nan
    found = product(left, right)
    assert found[3].isnan().all()
    assert not found[4].isnan().any()


def test_images_of_one_channel_are_convolved_with_channels_last_as_all_others():
    # Both formats describe such images; torch takes the slower one if it may choose.
    weights, images = channels_last_of(drawn(4, 1, 3, 3)), drawn(2, 1, 9, 7)
    found = F.conv2d(channels_last_of(images), weights, None, 1, 1)
    assert found.stride() == (4 * 9 * 7, 1, 4 * 7, 4)
    torch.testing.assert_close(found, F.conv2d(images, weights, None, 1, 1))


def test_a_relu_comes_behind_the_pool_that_follows_it():
    behind = [type(layer) for layer in in_order(NETWORKS["odd sizes"])]
    assert behind == [Conv, MaxPool, ReLU, Flatten, Linear]


@pytest.mark.parametrize(
    ("found", "uses_onednn"),
    [({"cpu_name": "Intel Xeon"}, False), ({"cpu_name": "AMD EPYC"}, True), ({}, True)],
)
def test_mkl_is_trusted_on_the_processors_of_its_vendor_alone(
    found, uses_onednn, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    for library in (torch.backends.mkl, torch.backends.mkldnn):
        monkeypatch.setattr(library, "is_available", lambda: True)
    assert layers._uses_onednn() == uses_onednn


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("name", "shape"), [("lenet-300-100", (1, 28, 28)), ("conv-2", IMAGE)]
)
def test_networks_of_real_size_agree_with_the_reference(name, shape):
    # Not Adam: of millions of gates some lie within a rounding of 0, on which side depends
    # on the machine, and Adam makes a whole step of so small a gradient.
    network = build(name, widths=None, data=of_images(shape, classes=5))
    made = job(network, shape, optimizer="sgd", lr=0.01, momentum=0.9)
    engines = [make_engine(engine, [made]) for engine in ("dense", "reference")]
    for engine in engines:
        engine.advance(10)
    (ours,), (reference,) = (engine.weights() for engine in engines)
    for weight, expected in zip(ours.values(), reference.values(), strict=True):
        assert np.linalg.norm(weight - expected) <= 1e-5 * np.linalg.norm(expected)


def test_every_model_without_batch_norm_or_binary_units_is_supported():
    unsupported = set()
    for name in [n for n, m in MODELS.items() if not m.is_module]:
        widths = (3, 5) if MODELS[name].takes_widths else None
        network = build(name, widths=widths, data=of_images((3, 32, 32), classes=10))
        if not ENGINES["dense"].trains(network):
            unsupported.add(name.partition("-")[0])
    assert unsupported == {"binary", "resnet", "vgg"}


def test_jobs_that_the_engine_cannot_train_are_refused():
    shape = (3, 32, 32)
    resnet = build("resnet-20", widths=None, data=of_images(shape, classes=5))
    with pytest.raises(ValueError, match=r"without batch norm on device cpu, .*BatchNorm"):
        make_engine("dense", [job(resnet, shape)])
    with pytest.raises(ValueError, match=r"on cuda; give train\.engine: reference"):
        make_engine("dense", [job(NETWORKS["one layer"], device="cuda")])


def test_denormals_count_as_0_while_it_trains_and_nowhere_else():
    made = job(NETWORKS["odd sizes"], optimizer="sgd", lr=1e-30)
    start = {name: np.full_like(weight, 1e-40) for name, weight in made.start.items()}
    engine = make_engine("dense", [replace(made, start=start)])
    engine.advance(1)
    (weights,) = engine.weights()
    assert not any((weight == np.float32(1e-40)).any() for weight in weights.values())
    assert drawn(64).mul(1e-40).any()
