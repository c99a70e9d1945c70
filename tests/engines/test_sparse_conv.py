"""The sparse engine for convolutions agrees with torch; and tests of this engine alone.

What every engine promises is in test_contract.py. One step of plain SGD with rate
1 shows the gradients: start - trained.
"""

from dataclasses import replace

import numpy as np
import pytest
from helpers import agreement
from helpers.statistics import normalized_by
from helpers.train_settings import PLAIN

from pipeline.core import masks, seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import conv, mlp
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    MaxPool,
    ReLU,
    parameters,
)
from pipeline.core.training.engine import Job
from pipeline.engines import make_engine
from pipeline.engines.sparse_conv.records import TILES
from pipeline.engines.sparse_conv.wiring import cover
from pipeline.engines.suitability import plain_convolutional

SETTINGS = replace(PLAIN, batch_size=20, optimizer="sgd", lr=1.0)
SIZES = [(28, 28, 2), (32, 32, 3), (7, 7, 1), (3, 3, 1), (2, 2, 1), (6, 17, 1), (15, 9, 2)]
"""height, width, number of pools: all tiles, odd borders, and what no tile fits"""


def network(image_shape, num_pools=1, channels=3, widths=(5, 4)):
    inputs, height, width = image_shape
    layers = []
    for pool in range(num_pools):
        for number in (2 * pool + 1, 2 * pool + 2):
            layers += [Conv(name=f"conv{number}", inputs=inputs, outputs=channels), ReLU()]
            inputs = channels
        layers.append(MaxPool())
        height, width = height // 2, width // 2
    layers.append(Flatten())
    inputs *= height * width
    for number, outputs in enumerate(widths, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    return tuple(layers[:-1])


def dataset(image_shape, size=140):
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, *image_shape)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 4, size))

    channels = image_shape[0]
    return Dataset(
        train=split(size),
        validation=split(70),
        test=split(1),
        description=of_images(
            image_shape,
            classes=4,
            mean=(100.0, 30.0, 140.0)[:channels],
            std=(60.0, 50.0, 90.0)[:channels],
        ),
    )


def make_job(image_shape=(2, 6, 6), density=0.4, mask=None, layers=None, **settings):
    layers = layers or network(image_shape)
    theta0 = initial_weights(layers, "glorot-normal", seeding.generator(0, "init"))
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
        data=dataset(image_shape),
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=1,
    )


def assert_agrees(job, num_steps=1):
    agreement.assert_agrees("sparse-conv", job, num_steps, within=2e-6)


@pytest.mark.parametrize(("height", "width", "num_pools"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_agree_with_torch_for_all_tiles(height, width, num_pools, channels):
    shape = (channels, height, width)
    assert_agrees(make_job(shape, layers=network(shape, num_pools)))


@pytest.mark.parametrize("batch_size", [1, 15, 16, 17, 64, 65, 140])
def test_any_batch_size_agrees_with_torch(batch_size):
    assert_agrees(make_job(batch_size=batch_size, lr=0.1), num_steps=3)


@pytest.mark.parametrize("density", [0.0, 0.02, 1.0])
def test_any_density_agrees_with_torch(density):
    assert_agrees(make_job(density=density, lr=0.1), num_steps=3)


@pytest.mark.parametrize("name", ["conv1", "conv2", "fc1", "fc2"])
def test_an_empty_layer_agrees_with_torch(name):
    shape = parameters(network((2, 6, 6)))[f"{name}.weight"].shape
    assert_agrees(make_job(density=1.0, mask={f"{name}.weight": np.zeros(shape, bool)}))


def test_a_channel_without_readers_only_decays():
    unread = np.ones((3, 3, 3, 3), bool)
    unread[:, 1] = False
    job = make_job(mask={"conv2.weight": unread}, density=1.0, weight_decay=0.1, lr=0.5)
    assert_agrees(job, num_steps=3)
    (trained,) = run(job, 1).weights()
    decayed = job.start["conv1.weight"][1] * np.float32(1 - 0.5 * 0.1)
    assert trained["conv1.weight"][1] == pytest.approx(decayed, rel=1e-6)


def test_a_channel_without_inputs_is_a_constant_that_still_learns():
    constant = np.ones((3, 3, 3, 3), bool)
    constant[1] = False
    job = make_job(mask={"conv2.weight": constant}, density=1.0)
    job.start["conv2.bias"][1] = 0.5
    assert_agrees(job, num_steps=2)
    assert run(job, 1).weights()[0]["conv2.bias"][1] != np.float32(0.5)


def test_equal_outputs_pool_to_the_first_as_in_torch():
    """Outputs of different pixels are equal in bits, since small halves add up exactly."""
    job = make_job((1, 8, 8), density=1.0)
    data = normalized_by(job.data, mean=(0.0,), std=(1.0,))
    for split in (data.train, data.validation):
        split.images[:] %= 3
    halves = {name: np.rint(4 * weight) / 2 for name, weight in job.start.items()}
    assert_agrees(replace(job, data=data, start=halves))


@pytest.mark.parametrize("image_shape", [(1, 6, 6), (3, 5, 8)])
def test_flip_crop_agrees_with_the_reference(image_shape):
    job = make_job(image_shape, augment="flip-crop", lr=0.1)
    assert_agrees(job, num_steps=5)


@pytest.mark.parametrize("model", ["conv-2", "conv-4", "conv-6", "conv-8"])
def test_the_models_of_the_papers_are_supported(model):
    layers = conv.build(model, None, data=of_images((3, 32, 32), classes=10))
    assert plain_convolutional(layers)


def test_other_networks_are_not_supported():
    tail = (MaxPool(), Flatten(), Linear(name="fc", inputs=9, outputs=4))
    for layer in (
        Conv(name="conv", inputs=1, outputs=1, stride=2),
        Conv(name="conv", inputs=1, outputs=1, kernel=1),
        Conv(name="conv", inputs=1, outputs=1, bias=False),
    ):
        assert not plain_convolutional((layer, ReLU(), *tail))
    plain = Conv(name="conv", inputs=1, outputs=1)
    assert plain_convolutional((plain, ReLU(), *tail))
    assert not plain_convolutional((plain, ReLU(), *tail[1:]))
    assert not plain_convolutional((plain, *tail))
    layers = mlp.build("lenet-300-100", None, data=of_images((1, 28, 28), classes=10))
    assert not plain_convolutional(layers)


def test_jobs_that_the_engine_cannot_train_are_refused():
    job = make_job()
    with pytest.raises(ValueError, match="trains on the CPU, not on cuda"):
        make_engine(
            "sparse-conv", [replace(job, settings=replace(SETTINGS, device="cuda"))]
        )
    with pytest.raises(ValueError, match=r"trains 3 × 3 convolutions.*reference"):
        make_engine("sparse-conv", [replace(job, network=job.network[5:])])
    job.data.test.labels[0] = 4
    with pytest.raises(ValueError, match=r"labels reach from 4 to 4, but .* 4 logits"):
        make_engine("sparse-conv", [job])


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.bias", "fc1.weight", "fc2.bias"])
def test_one_nan_shows_in_the_loss(name):
    job = make_job(density=1.0)
    job.start[name].flat[0] = np.nan
    assert np.isnan(run(job, 0).evaluate("validation")[0].loss)
    assert np.isnan(run(job, 1).weights()[0]["fc2.weight"]).any()


def test_leftovers_of_a_diverged_training_harm_no_other():
    job = make_job(batch_size=20)
    engine = make_engine("sparse-conv", [job])
    start = engine.state()
    engine.restore({name: array + np.float32(np.nan) for name, array in start.items()}, 0)
    engine.evaluate("train")
    engine.restore(start, 0)
    engine.advance(3)
    (found,), (expected,) = engine.weights(), run(job, 3).weights()
    for name, weight in expected.items():
        assert found[name].tobytes() == weight.tobytes()


def test_tiles_cover_each_position_once():
    for height in range(1, 36):
        for width in range(1, 36):
            count = np.zeros((height, width), int)
            for rows, columns, y, x in cover(height, width):
                assert (rows, columns) in TILES
                assert y + rows <= height
                assert x + columns <= width
                count[y : y + rows, x : x + columns] += 1
            assert (count == 1).all()


def run(job, num_steps):
    engine = make_engine("sparse-conv", [job])
    engine.advance(num_steps)
    return engine
