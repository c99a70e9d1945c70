"""The sparse engine's kernels against numpy, and what is special about the engine.

What every engine promises is in test_engines_contract.py.
"""

from dataclasses import replace

import numba
import numpy as np
import pytest

from pipeline.core import seeding
from pipeline.core.batches import BatchOrder, Dataset, Split, normalize
from pipeline.core.models.layers import Conv, Flatten, Linear, ReLU, parameters
from pipeline.core.training import make_engine, vectors
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule, TrainSettings
from pipeline.core.training.sparse import engine as sparse
from pipeline.core.training.sparse.tiles import make_tiles
from pipeline.core.training.sparse.wiring import wire

SETTINGS = TrainSettings(
    steps=50,
    epochs=None,
    batch_size=16,
    optimizer="sgd",
    lr=0.1,
    momentum=0.0,
    weight_decay=0.0,
    schedule=Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0),
    augment="none",
    evaluate_every=10,
    test_cadence="improved",
    common_noise=True,
    engine="auto",
    device="cpu",
)
SHAPES = {  # of images and layers
    "odd": ((1, 5, 7), (19, 11, 3)),
    "three channels": ((3, 4, 5), (33, 17, 9, 4)),
    "tiny": ((1, 1, 2), (1, 2)),
    "one layer": ((2, 3, 3), (5,)),
    "several blocks": ((3, 9, 11), (12, 3)),
}


def network(inputs, widths):
    layers = [Flatten()]
    for number, outputs in enumerate(widths, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    return tuple(layers[:-1])


def dataset(image_shape, num_classes, size=130):
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, *image_shape)).astype(np.uint8)
        return Split(images=images, labels=rng.integers(0, num_classes, size))

    mean, std = (100.0, 30.0, 140.0), (60.0, 50.0, 90.0)
    channels = image_shape[0]
    return Dataset(
        train=split(size),
        validation=split(37),
        test=split(3),
        mean=mean[:channels],
        std=std[:channels],
        num_classes=num_classes,
    )


def make_job(shape="odd", density=0.4, **settings):
    """Random weights and masks; the first layer's third row keeps nothing."""
    image_shape, widths = SHAPES[shape]
    layers = network(int(np.prod(image_shape)), widths)
    rng = seeding.generator(0, "mask_sample")
    start, mask = {}, {}
    for name, tensor in parameters(layers).items():
        weight = rng.standard_normal(tensor.shape).astype(np.float32)
        if tensor.kind is not None:
            mask[name] = rng.random(tensor.shape) < density
            mask[name][2:3] = False
            weight = weight / np.float32(np.sqrt(tensor.fan_in)) * mask[name]
        start[name] = weight
    return Job(
        network=layers,
        start=start,
        mask=mask,
        data=dataset(image_shape, widths[-1]),
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=1,
    )


def only(mask_name, job):
    """The same job with nothing kept in one layer."""
    empty = np.zeros_like(job.mask[mask_name])
    return replace(
        job,
        mask=job.mask | {mask_name: empty},
        start=job.start | {mask_name: empty.astype(np.float32)},
    )


def logits_and_activations(job, weights, images):
    hidden = normalize(images, mean=job.data.mean, std=job.data.std)
    hidden = hidden.reshape(len(images), -1).astype(np.float64)
    activations = [hidden]
    names = [layer.name for layer in job.network if isinstance(layer, Linear)]
    for name in names:
        hidden = hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        if name != names[-1]:
            hidden = np.maximum(hidden, 0)
        activations.append(hidden)
    return names, activations


def one_sgd_step(job):
    """Weights after one step, in float64."""
    order = BatchOrder(len(job.data.train), job.settings.batch_size, seed=0, round=1)
    batch = order.batch(0)
    names, activations = logits_and_activations(
        job, job.start, job.data.train.images[batch]
    )
    exponentials = np.exp(activations[-1] - activations[-1].max(axis=1, keepdims=True))
    gradient = exponentials / exponentials.sum(axis=1, keepdims=True)
    gradient[np.arange(len(batch)), job.data.train.labels[batch]] -= 1
    gradient /= len(batch)
    stepped = {}
    for name, hidden in zip(names[::-1], activations[-2::-1], strict=True):
        weight = job.start[f"{name}.weight"]
        kept = job.mask[f"{name}.weight"]
        stepped[f"{name}.weight"] = weight - 0.1 * (gradient.T @ hidden) * kept
        stepped[f"{name}.bias"] = job.start[f"{name}.bias"] - 0.1 * gradient.sum(axis=0)
        gradient = (gradient @ weight) * (hidden > 0)
    return stepped


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch_size", [1, 5, 16, 17, 40, 64, 100])
@pytest.mark.parametrize("density", [1.0, 0.3, 0.05])
def test_one_step_is_that_of_numpy(shape, batch_size, density):
    job = make_job(shape, density, batch_size=batch_size)
    engine = sparse.make([job])
    engine.advance(1)
    (weights,) = engine.weights()
    for name, expected in one_sgd_step(job).items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fc1.weight", "fc2.weight", "fc3.weight"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_layer_that_keeps_nothing_trains_as_in_the_reference(name, optimizer):
    job = only(name, make_job(optimizer=optimizer, lr=0.01, weight_decay=0.1))
    ours, reference = (make_engine(engine, [job]) for engine in ("sparse", "reference"))
    for engine in (ours, reference):
        engine.advance(20)
    for name, weight in reference.weights()[0].items():
        np.testing.assert_allclose(ours.weights()[0][name], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("density", [1.0, 0.3, 0.1])
@pytest.mark.parametrize("shape", ["odd", "three channels", "one layer"])
def test_50_steps_agree_with_the_reference(shape, density):
    job = make_job(shape, density, optimizer="adam", lr=1e-3, batch_size=40)
    ours, reference = (make_engine(engine, [job]) for engine in ("sparse", "reference"))
    for engine in (ours, reference):
        engine.advance(50)
    for name, weight in reference.weights()[0].items():
        difference = np.linalg.norm(ours.weights()[0][name] - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


@pytest.mark.parametrize("density", [0.4, 0.02])
@pytest.mark.parametrize("shape", ["three channels", "several blocks"])
def test_evaluation_is_that_of_numpy(shape, density):
    job = make_job(shape, density)
    validation = job.data.validation
    _, activations = logits_and_activations(job, job.start, validation.images)
    logits = activations[-1]
    log_sums = np.log(np.exp(logits).sum(axis=1))
    losses = log_sums - logits[np.arange(37), validation.labels]
    (found,) = sparse.make([job]).evaluate("validation")
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert found.accuracy == (logits.argmax(axis=1) == validation.labels).mean()


def narrow_and_wide(job, size):
    """The same job; its validation images show between one column and all of them."""
    rng = seeding.generator(1, "score_batch")
    shape = job.data.image_shape
    images = rng.integers(1, 256, (size, *shape)).astype(np.uint8)
    width = rng.integers(1, 1 + shape[2], (size, 1, 1, 1))
    first = (shape[2] - width) // 2  # in the middle, as digits
    column = np.arange(shape[2])
    images *= (first <= column) & (column < first + width)
    split = Split(images=images, labels=rng.integers(0, job.data.num_classes, size))
    return replace(job, data=replace(job.data, validation=split))


@pytest.mark.parametrize("density", [1.0, 0.4, 0.02])
@pytest.mark.parametrize("shape", ["three channels", "several blocks"])
@pytest.mark.parametrize("size", [1, 1024, 1500])
def test_evaluation_in_groups_is_that_of_numpy(shape, density, size):
    job = narrow_and_wide(make_job(shape, density), size)
    validation = job.data.validation
    engine = sparse.make([job])
    engine.advance(1)
    (weights,) = engine.weights()
    _, activations = logits_and_activations(job, weights, validation.images)
    logits = activations[-1]
    losses = np.log(np.exp(logits).sum(axis=1))
    losses -= logits[np.arange(size), validation.labels]
    (found,) = engine.evaluate("validation")
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert found.accuracy == (logits.argmax(axis=1) == validation.labels).mean()


def test_examples_that_leave_the_same_pixels_0_share_a_group():
    job = narrow_and_wide(make_job("several blocks"), 1500)
    wiring, _ = wire([job.mask["fc1.weight"], job.mask["fc2.weight"]], job.data)
    tiles = make_tiles(job.data.validation, job.data, wiring, (0,) * 4)
    assert tiles.num_tiles.tolist() == [3] * 8
    assert tiles.num_rows[0] < 200 < tiles.num_rows[-1]
    photographs = make_job("several blocks").data.train
    tiles = make_tiles(photographs, job.data, wiring, (0,) * 4)
    assert tiles.num_tiles.tolist() == [3]
    assert np.array_equal(tiles.labels, photographs.labels)


def blank_pixels(job, first):
    """The same job, its validation images 0 from that pixel on, in more than one tile."""
    split = job.data.train
    images = split.images.reshape(len(split), -1).copy()
    images[:, first:] = 0
    blank = replace(split, images=images.reshape(split.images.shape))
    return replace(job, data=replace(job.data, validation=blank))


@pytest.mark.parametrize("nothing_in", ["no layer", "fc1.weight", "fc2.weight"])
@pytest.mark.parametrize("first", [0, 1, 25])
def test_pixels_that_are_0_in_all_images_count_as_in_the_reference(first, nothing_in):
    job = blank_pixels(make_job("three channels"), first)
    job = job if nothing_in == "no layer" else only(nothing_in, job)
    ours, reference = (make_engine(engine, [job]) for engine in ("sparse", "reference"))
    for engine in (ours, reference):
        engine.advance(3)
    (found,), (expected,) = (engine.evaluate("validation") for engine in (ours, reference))
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.accuracy == expected.accuracy


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_a_bad_weight_on_a_pixel_that_is_always_0_shows_in_the_loss(mean):
    job = blank_pixels(make_job("odd", density=1.0), 0)
    broken = job.start["fc1.weight"].copy()
    broken.flat[0] = np.nan
    data = replace(job.data, mean=(mean,))
    job = replace(job, data=data, start=job.start | {"fc1.weight": broken})
    assert np.isnan(sparse.make([job]).evaluate("validation")[0].loss)


def test_of_equal_logits_the_first_is_the_answer():
    job = make_job("one layer", density=0.0)
    job = replace(job, start=job.start | {"fc1.bias": np.float32([0, 2, 1, 2, 2])})
    (found,) = sparse.make([job]).evaluate("validation")
    assert found.accuracy == (job.data.validation.labels == 1).mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["fc1.weight", "fc2.bias", "fc3.weight"])
def test_one_bad_weight_shows_in_the_loss(name, bad):
    job = make_job(density=1.0)
    broken = job.start[name].copy()
    broken.flat[0] = bad
    engine = sparse.make([replace(job, start=job.start | {name: broken})])
    assert not np.isfinite(engine.evaluate("validation")[0].loss)
    engine.advance(1)
    assert np.isnan(engine.evaluate("validation")[0].loss)


def test_only_what_reaches_a_logit_is_computed():
    masks = [
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool),
        np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool),
        np.array([[1, 0], [0, 0]], dtype=bool),
    ]
    wiring, _ = wire(masks, dataset((1, 1, 3), 2))
    # Unit 5 reaches no logit, nor do units 1 and 2; 3 is a constant, and stays.
    assert wiring.visits.tolist() == [3, 0, 4, 7, 6]
    assert wiring.readers[wiring.reader_starts[0] : wiring.reader_starts[1]] == [4]
    assert wiring.reader_starts[1] == wiring.reader_starts[3]


def test_pixels_that_nobody_reads_are_left_out():
    mask = np.zeros((2, 100), dtype=bool)
    mask[0, [20, 35, 36]] = True
    mask[1, 98] = True
    wiring, order = wire([mask], dataset((1, 10, 10), 2))
    assert wiring.chunks.tolist() == [20, 36, 84]
    assert wiring.sources[np.argsort(order)].tolist() == [0, 15, 16, 46]


def test_blocks_of_rows_keep_their_channels_apart():
    wiring, order = wire([np.ones((2, 297), dtype=bool)], dataset((3, 9, 11), 2))
    assert wiring.rows.tolist() == [0, 0, 128, 128, 256]
    assert np.diff(wiring.starts).tolist() == [
        n for n in (99, 29, 70, 58, 41) for _ in "ab"
    ]
    assert wiring.sources.max() < wiring.block_rows == 128
    assert sorted(order) == list(range(2 * 297))


def test_few_weights_are_read_by_channel():
    mask = np.zeros((2, 297), dtype=bool)
    mask[:, ::20] = True
    wiring, _ = wire([mask], dataset((3, 9, 11), 2))
    assert wiring.block_rows == 0
    assert len(wiring.rows) == 3


@pytest.mark.parametrize("density", [1.0, 0.02])
def test_a_state_is_in_the_order_of_the_masks(density):
    job = make_job("several blocks", density)
    values = sparse.make([job]).state()["weights/value"]
    expected = [job.start[name][kept] for name, kept in job.mask.items()]
    assert np.array_equal(values[: sum(map(len, expected))], np.concatenate(expected))


def test_pruned_weights_take_no_memory():
    job = make_job("three channels", density=0.3)
    kept = sum(np.count_nonzero(kept) for kept in job.mask.values())
    state = sparse.make([job]).state()
    assert len(state["weights/moment"]) <= kept + 32


def test_the_exponential_is_exact_to_2_in_10_million():
    @numba.njit
    def exponential(source, target, shape):
        vectors.store(
            target,
            np.uint64(0),
            vectors.exp(vectors.load(source, 0, shape)),
        )

    exponents = np.linspace(-86, 0, 64, dtype=np.float32)
    found = np.empty_like(exponents)
    exponential(exponents, found, (0, 0, 0, 0))
    np.testing.assert_allclose(found, np.exp(exponents.astype(np.float64)), rtol=2e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": (Conv(name="c", inputs=1, outputs=1), ReLU())},
            "not .'Conv', 'ReLU'.;",
        ),
        ({"settings": replace(SETTINGS, device="cuda")}, "on the CPU, not on cuda; give"),
    ],
)
def test_what_it_cannot_train_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sparse.make([replace(make_job(), **changes)])


def test_labels_beyond_the_logits_are_refused():
    job = make_job()
    wrong = replace(job.data.test, labels=np.array([0, 3, 1]))
    with pytest.raises(ValueError, match=r"labels reach from 0 to 3, but .* has 3 logits"):
        sparse.make([replace(job, data=replace(job.data, test=wrong))])
