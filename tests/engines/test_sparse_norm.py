"""The sparse engine for networks with batch norm agrees with torch; and tests of it alone.

What every engine promises is in test_contract.py. One step of plain SGD with rate 1 shows
the gradients: start - trained.
"""

from dataclasses import replace

import numpy as np
import pytest
from helpers import agreement
from helpers.train_settings import PLAIN

from pipeline.core import masks, seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.forward import NORM_EPSILON, NORM_MOMENTUM
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.engines import make_engine
from pipeline.engines.sparse_conv.normed_records import EPSILON, MOMENTUM
from pipeline.engines.suitability import normed_convolutional

SETTINGS = replace(PLAIN, batch_size=20, optimizer="sgd", lr=1.0)


def convolved(name, inputs, outputs, **options):
    conv = Conv(name=name, inputs=inputs, outputs=outputs, bias=False, **options)
    return conv, BatchNorm(name=f"{name}_norm", channels=outputs)


END = (GlobalAveragePool(), Linear(name="fc", inputs=6, outputs=4, kind="output"))
IDENTITY = Residual(
    body=(*convolved("b1", 5, 3), ReLU(), *convolved("b2", 3, 5)),
)
HALVING = Residual(
    body=(*convolved("c1", 5, 6, stride=2), ReLU(), *convolved("c2", 6, 6)),
    shortcut=convolved("c3", 5, 6, kernel=1, stride=2),
)
WIDENING = Residual(
    body=(*convolved("c1", 5, 6), ReLU(), *convolved("c2", 6, 6)),
    shortcut=convolved("c3", 5, 6, kernel=1),
)
NETWORKS = {
    "blocks": (*convolved("a", 2, 5), ReLU(), IDENTITY, HALVING, *END),
    "pools": (
        *(*convolved("a", 2, 5), ReLU(), MaxPool()),
        *(*convolved("b", 5, 6), ReLU(), MaxPool(), *END),
    ),
    "stride at once": (*convolved("a", 2, 5, stride=2), ReLU(), WIDENING, *END),
    "block behind a pool": (
        *convolved("a", 2, 5),
        ReLU(),
        MaxPool(),
        IDENTITY,
        WIDENING,
        *END,
    ),
}


def dataset(image_shape, size=70):
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, *image_shape)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 4, size))

    mean, std = (100.0, 30.0), (60.0, 50.0)
    described = of_images(image_shape, classes=4, mean=mean, std=std)
    return Dataset(
        train=split(size), validation=split(35), test=split(1), description=described
    )


def make_job(network="blocks", side=(8, 8), density=0.5, mask=None, **settings):
    layers = NETWORKS[network]
    theta0 = initial_weights(layers, "kaiming-normal", seeding.generator(0, "init"))
    rng = seeding.generator(0, "mask_sample")
    drawn = {
        name: rng.random(tensor.shape) < density
        for name, tensor in parameters(layers).items()
        if tensor.kind is not None
    }
    mask = drawn | (mask or {})
    return Job(
        network=layers,
        start=masks.apply(theta0, mask),
        mask=mask,
        data=dataset((2, *side)),
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=1,
    )


def assert_agrees(job, num_steps=1):
    agreement.assert_agrees("sparse-norm", job, num_steps, within=4e-6)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("side", [(8, 8), (7, 10), (9, 5)])
def test_gradients_agree_with_torch(network, side):
    assert_agrees(make_job(network, side))


@pytest.mark.parametrize("batch_size", [2, 15, 16, 17, 70])
def test_any_batch_size_agrees_with_torch(batch_size):
    assert_agrees(make_job(batch_size=batch_size, lr=0.1), num_steps=2)


@pytest.mark.parametrize("density", [0.02, 1.0])
def test_any_density_agrees_with_torch(density):
    assert_agrees(make_job(density=density, lr=0.1), num_steps=3)


@pytest.mark.parametrize("name", ["a", "b2", "c1", "c3", "fc"])
def test_an_empty_layer_agrees_with_torch(name):
    shape = parameters(NETWORKS["blocks"])[f"{name}.weight"].shape
    empty = {f"{name}.weight": np.zeros(shape, np.bool_)}
    assert_agrees(make_job(mask=empty, lr=0.1), num_steps=3)


def test_flip_crop_agrees_with_the_reference():
    assert_agrees(make_job(augment="flip-crop", lr=0.1), num_steps=3)


def test_an_evaluation_changes_no_bit_of_a_training():
    job = make_job(batch_size=35)
    one, other = (make_engine("sparse-norm", [job]) for _ in range(2))
    one.advance(2)
    other.advance(1)
    other.evaluate("validation")
    other.advance(1)
    for name, weight in one.weights()[0].items():
        assert weight.tobytes() == other.weights()[0][name].tobytes()


@pytest.mark.parametrize("model", ["resnet-8", "resnet-20", "vgg-11", "vgg-16"])
def test_the_models_of_the_papers_are_supported(model):
    data = of_images((3, 32, 32), classes=10)
    assert normed_convolutional(build(model, widths=None, data=data))


def test_other_networks_are_not_supported():
    norm, linear = convolved("a", 2, 6), END[1]
    biased = Conv(name="a", inputs=2, outputs=6)
    wide = Conv(name="a", inputs=2, outputs=6, kernel=5, bias=False)
    inner = Residual(body=(biased, norm[1]))
    late = Residual(
        body=(*convolved("d", 6, 6), ReLU(), *convolved("e", 6, 6, stride=2)),
        shortcut=convolved("f", 6, 6, kernel=1, stride=2),
    )
    for layers in (
        (*norm, *END),
        (biased, ReLU(), *END),
        (biased, norm[1], ReLU(), *END),
        (wide, norm[1], ReLU(), *END),
        (*norm, ReLU(), inner, *END),
        (*norm, ReLU(), Residual(body=(*norm, ReLU())), *END),
        (*norm, ReLU(), late, *END),
        (*norm, ReLU(), Residual(body=convolved("g", 6, 6, stride=2)), *END),
        (*norm, ReLU(), Flatten(), linear),
        (*norm, ReLU(), *END, ReLU(), linear),
    ):
        assert not normed_convolutional(layers)
        with pytest.raises(
            ValueError, match=r"^the sparse-norm engine trains convolutions"
        ):
            make_engine("sparse-norm", [replace(make_job(), network=layers)])


@pytest.mark.parametrize("name", ["a.weight", "b1_norm.bias", "c2.weight", "fc.bias"])
def test_one_nan_shows_in_the_loss(name):
    job = make_job(density=1.0)
    start = job.start | {name: job.start[name].copy()}
    start[name].flat[0] = np.nan
    engine = make_engine("sparse-norm", [replace(job, start=start)])
    assert np.isnan(engine.evaluate("validation")[0].loss)


def test_its_numbers_of_norms_are_those_of_the_forward_pass():
    assert (EPSILON, MOMENTUM) == (NORM_EPSILON, NORM_MOMENTUM)
