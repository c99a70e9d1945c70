"""Tests of the batched engine alone; test_contract.py tests what all engines promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.statistics import normalized_by
from helpers.train_settings import PLAIN

from pipeline.core import seeding
from pipeline.core.augmentations.flip_crop import flip_crop, flip_crop_draws
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Flatten, Linear, ReLU
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine
from pipeline.engines.batched.inputs import STRETCH, moved

torch.set_num_threads(1)

NETWORK = (
    Flatten(),
    Linear(name="fc1", inputs=36, outputs=8),
    ReLU(),
    Linear(name="fc2", inputs=8, outputs=3, kind="output"),
)
SETTINGS = replace(
    PLAIN,
    steps=500,
    batch_size=4,
    lr=1e-2,
    schedule=Schedule(name="cosine", milestones=(), gamma=1.0, warmup_steps=5),
    augment="flip-crop",
    engine="batched",
)


def dataset():
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, 1, 6, 6)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 3, size))

    return Dataset(
        train=split(30),
        validation=split(10),
        test=split(600),
        description=of_images(
            (1, 6, 6),
            classes=3,
            mean=(127.0,),
            std=(70.0,),
        ),
    )


def jobs(data, *, num_lanes=2, **settings):
    start = initial_weights(NETWORK, "glorot-normal", seeding.generator(0, "init"))
    mask = {name: weight != 0 for name, weight in start.items() if weight.ndim == 2}
    mask["fc1.weight"][:, ::2] = False
    start["fc1.weight"][:, ::2] = 0
    job = Job(
        network=NETWORK,
        start=start,
        mask=mask,
        data=data,
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=0,
    )
    return [replace(job, seed=seed) for seed in range(num_lanes)]


def test_moving_a_batch_gives_the_bits_of_flip_crop():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 5, 3, 6, 7)).astype(np.float32)
    draws = [flip_crop_draws(5, seed=seed, round=0, step=1) for seed in range(2)]
    flips, corners = (np.stack(drawn) for drawn in zip(*draws, strict=True))
    expected = [
        flip_crop(lane, flips=flip, corners=corner)
        for lane, (flip, corner) in zip(images, draws, strict=True)
    ]
    found = moved(torch.tensor(images), torch.tensor(flips), torch.tensor(corners))
    assert np.array_equal(found.numpy(), np.stack(expected))


def test_where_a_stretch_of_inputs_ends_changes_no_bit():
    data = dataset()
    whole, sliced = (make_engine("batched", jobs(data)) for _ in range(2))
    whole.advance(2 * STRETCH + 3)
    for num_steps in (1, STRETCH, STRETCH - 1, 3):
        sliced.advance(num_steps)
    for name, array in whole.state().items():
        assert array.tobytes() == sliced.state()[name].tobytes()


def test_an_equal_copy_of_the_data_will_do_and_other_data_will_not():
    first, second = jobs(dataset())
    made = make_engine("batched", [first, replace(second, data=dataset())])
    assert len(made.evaluate("test")) == 2
    other = normalized_by(second.data, std=(1.0,))
    with pytest.raises(ValueError, match="differ in network, settings, data"):
        make_engine("batched", [first, replace(second, data=other)])


def test_no_job_is_refused():
    with pytest.raises(ValueError, match="got no job; give it one or more"):
        make_engine("batched", [])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_captured_step_agrees_with_the_same_step_on_the_cpu():
    data = dataset()
    engines = [make_engine("batched", jobs(data, device=d)) for d in ("cuda", "cpu")]
    for engine in engines:
        engine.advance(STRETCH + 6)
    for ours, expected in zip(*(engine.weights() for engine in engines), strict=True):
        for name, weight in expected.items():
            assert np.linalg.norm(ours[name] - weight) <= 1e-5 * np.linalg.norm(weight)
