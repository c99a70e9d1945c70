"""Every registered engine fulfills the contract of engines.

Equality with the reference is measured after 50 steps as ‖Δ‖/‖w‖ per tensor: two
correct float32 orders of summation differ in single weights, hardly in norm.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from helpers.covers import covered
from helpers.on_digits import small_resnet
from helpers.registries import LABELED
from helpers.train_settings import PLAIN
from torch import nn

from pipeline.core import masks, seeding
from pipeline.core.batches import BatchOrder, Dataset, Split, prepared
from pipeline.core.description import of_images
from pipeline.core.models import MODELS, build, modules
from pipeline.core.models.forward import forward
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    MaxPool,
    ReLU,
    parameters,
)
from pipeline.core.training.engine import Ability, Job
from pipeline.core.training.loop import train
from pipeline.core.training.results import pack, unpack
from pipeline.core.training.schedules import learning_rate
from pipeline.core.training.settings import Schedule
from pipeline.engines import AUTO, CHOICES, ENGINES, make_engine, resolve

MLP = (
    Flatten(),
    Linear(name="fc1", inputs=64, outputs=12),
    ReLU(),
    Linear(name="fc2", inputs=12, outputs=7),
    ReLU(),
    Linear(name="fc3", inputs=7, outputs=4, kind="output"),
)
CONV = (
    Conv(name="conv1", inputs=1, outputs=3),
    ReLU(),
    Conv(name="conv2", inputs=3, outputs=4),
    ReLU(),
    MaxPool(),
    Flatten(),
    Linear(name="fc1", inputs=64, outputs=6),
    ReLU(),
    Linear(name="fc2", inputs=6, outputs=4, kind="output"),
)
RESNET = small_resnet(4, 6, classes=4)


def small_module():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 4),
    )


MODULE = modules.described(small_module, "small", of_images((1, 8, 8), classes=4))
NETWORKS = {"mlp": MLP, "conv": CONV, "resnet": RESNET, "module": MODULE}

CONSTANT = Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0)
SCHEDULES = {
    "constant": CONSTANT,
    "milestones": Schedule(
        name="milestones", milestones=(10, 25), gamma=0.3, warmup_steps=0
    ),
    "warm-cosine": Schedule(name="cosine", milestones=(), gamma=1.0, warmup_steps=8),
}
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "adam": {"optimizer": "adam", "lr": 2e-3},
    "adam-decay": {"optimizer": "adam", "lr": 2e-3, "weight_decay": 1e-2},
    "adamw": {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 1e-2},
}
DENSITIES = [1.0, 0.4, 0.1]
SETTINGS = replace(PLAIN, batch_size=20, lr=2e-3, schedule=CONSTANT)

FREEZING = {n for n in LABELED if Ability.FREEZE in ENGINES[n].abilities}
SEVERAL = {name for name, record in ENGINES.items() if record.several_jobs}


def networks_of(engine):
    return [n for n, network in NETWORKS.items() if ENGINES[engine].trains(network)]


def every_network_of(engines):
    """For each engine, every network that it trains."""
    cases = [(engine, network) for engine in engines for network in networks_of(engine)]
    return pytest.mark.parametrize(("engine", "network"), cases)


def cover_of(engines, **factors):
    """For each engine every pair of values of the rest; the slow suite has every case."""
    cases = [
        case
        for engine in engines
        for case in covered([engine], networks_of(engine), *factors.values())
    ]
    return pytest.mark.parametrize(("engine", "network", *factors), cases)


every_engine_and_network = every_network_of(LABELED)
every_batched_engine_and_network = every_network_of(sorted(SEVERAL))
every_freezing_engine_and_network = every_network_of(sorted(FREEZING))
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@cache
def data():
    """Four classes of 8 × 8 images, each a pattern of its own under noise."""
    rng = seeding.generator(0, "score_batch")
    patterns = rng.integers(0, 200, (4, 1, 8, 8))

    def split(size):
        labels = rng.integers(0, 4, size)
        images = patterns[labels] + rng.integers(0, 56, (size, 1, 8, 8))
        return Split(inputs=images.astype(np.uint8), labels=labels)

    return Dataset(
        train=split(130),
        validation=split(33),
        test=split(40),
        description=of_images(
            (1, 8, 8),
            classes=4,
            mean=(127.0,),
            std=(60.0,),
        ),
    )


def make_job(network, density=0.4, **settings):
    layers = NETWORKS[network]
    theta0 = initial_weights(layers, "glorot-normal", seeding.generator(0, "init"))
    rng = seeding.generator(0, "mask_sample")
    mask = {
        name: rng.permutation(
            np.arange(np.prod(tensor.shape)) < _keep(tensor, density)
        ).reshape(tensor.shape)
        for name, tensor in parameters(layers).items()
        if tensor.kind is not None
    }
    if network == "resnet":
        mask = {name: _two_in_each_filter(kept) for name, kept in mask.items()}
    return Job(
        network=layers,
        start=masks.apply(theta0, mask),
        mask=mask,
        data=data(),
        settings=replace(SETTINGS, **settings),
        seed=3,
        round=1,
    )


def frozen(job):
    """The job with its pruned weights at the values of another draw, instead of 0."""
    drawn = initial_weights(job.network, "glorot-normal", seeding.generator(1, "init"))
    values = {n: np.where(kept, job.start[n], drawn[n]) for n, kept in job.mask.items()}
    return replace(job, start=job.start | values)


def frozen_by_hand(job, num_steps):
    """The weights after a few steps of torch; every forward pass puts frozen ones back."""
    settings, tensors = job.settings, parameters(job.network)
    start = {name: torch.tensor(weight) for name, weight in job.start.items()}
    masks = {name: torch.tensor(kept) for name, kept in job.mask.items()}
    leaves = {n: w.clone().requires_grad_(tensors[n].trainable) for n, w in start.items()}
    numbers = {"weight_decay": settings.weight_decay, "lr": settings.lr}
    if settings.optimizer == "sgd":
        numbers["momentum"] = settings.momentum
    kind = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[settings.optimizer]
    trained = [leaf for leaf in leaves.values() if leaf.requires_grad]
    optimizer = getattr(torch.optim, kind)(trained, **numbers)
    order = BatchOrder(
        len(job.data.train), settings.batch_size, seed=job.seed, round=job.round
    )

    def weights():
        put = {n: torch.where(kept, leaves[n], start[n]) for n, kept in masks.items()}
        return leaves | put

    for step in range(num_steps):
        at = order.batch(step)
        images = prepared(job.data.train.images[at], job.data.images)
        optimizer.zero_grad()
        logits = forward(job.network, weights(), torch.tensor(images), training=True)
        F.cross_entropy(logits, torch.tensor(job.data.train.labels[at])).backward()
        optimizer.step()
    return {name: weight.detach().numpy() for name, weight in weights().items()}


def farthest(ours, expected):
    """The greatest ‖Δ‖/‖w‖ of a tensor."""
    return max(
        np.linalg.norm(ours[name].astype(np.float64) - weight)
        / max(np.linalg.norm(weight), 1e-30)
        for name, weight in expected.items()
    )


def in_float64(job, num_steps):
    """The weights after a few steps of torch in float64."""
    settings, tensors = job.settings, parameters(job.network)
    weights = {
        name: torch.tensor(weight).double().requires_grad_(tensors[name].trainable)
        for name, weight in job.start.items()
    }
    numbers = {"weight_decay": settings.weight_decay, "lr": settings.lr}
    if settings.optimizer == "sgd":
        numbers["momentum"] = settings.momentum
    kind = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[settings.optimizer]
    optimizer = getattr(torch.optim, kind)(
        [weight for weight in weights.values() if weight.requires_grad], **numbers
    )
    masks = {name: torch.tensor(kept) for name, kept in job.mask.items()}
    order = job.batch_order()
    for step in range(num_steps):
        at = order.batch(step)
        images = torch.tensor(prepared(job.data.train.images[at], job.data.images))
        optimizer.zero_grad()
        logits = forward(job.network, weights, images.double(), training=True)
        F.cross_entropy(logits, torch.tensor(job.data.train.labels[at])).backward()
        optimizer.param_groups[0]["lr"] = learning_rate(settings, step, job.total_steps)
        for name, kept in masks.items():
            weights[name].grad.mul_(kept)
        optimizer.step()
        with torch.no_grad():
            for name, kept in masks.items():
                weights[name].mul_(kept)
    return {name: weight.detach().numpy() for name, weight in weights.items()}


def _keep(tensor, density):
    return max(1, round(density * np.prod(tensor.shape)))


def _two_in_each_filter(kept):
    """At least two weights in each filter, where a norm follows.

    A norm undoes the scale of a filter and takes constants away. The gradient of a
    filter's only weight, or of one that reads a dead filter, is 0 but for rounding, of
    which Adam makes full steps: even the reference, begun half a last bit away, is then
    off by up to 2e-4 after 50 steps.
    """
    rows = kept.reshape(len(kept), -1).copy()
    rows[rows.sum(axis=1) < 2, :2] = True
    return rows.reshape(kept.shape)


def trained(engine, job, *slices):
    """The engine after the given slices of steps."""
    made = make_engine(engine, [job])
    for num_steps in slices:
        made.advance(num_steps)
    return made


def assert_same_bits(one, other):
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        assert array.tobytes() == other[name].tobytes(), name


@cover_of(
    [name for name in LABELED if name in CHOICES and name != "reference"],
    optimizer=OPTIMIZERS,
    density=DENSITIES,
    schedule=SCHEDULES,
)
def test_50_steps_agree_with_the_reference(engine, network, optimizer, density, schedule):
    settings = OPTIMIZERS[optimizer] | {"schedule": SCHEDULES[schedule]}
    job = make_job(network, density, **settings)
    (ours,) = trained(engine, job, 50).weights()
    (reference,) = trained("reference", job, 50).weights()
    assert list(ours) == list(reference)
    if farthest(ours, reference) > 1e-5:
        # Rounding may turn a gate in the reference, too: then float64 decides.
        exact = in_float64(job, 50)
        assert farthest(reference, exact) > 1e-5, "the reference is right"
        assert farthest(ours, exact) <= 1e-5


@cover_of(LABELED, optimizer=OPTIMIZERS, density=DENSITIES)
def test_no_slicing_changes_a_bit(engine, network, optimizer, density):
    job = make_job(network, density, **OPTIMIZERS[optimizer])
    whole = trained(engine, job, 20)
    sliced = trained(engine, job, 1, 1, 5, 2, 11)
    assert_same_bits(whole.weights()[0], sliced.weights()[0])
    assert_same_bits(whole.state(), sliced.state())


@cover_of(LABELED, optimizer=OPTIMIZERS, density=DENSITIES)
def test_pruned_weights_are_0_after_every_step(engine, network, optimizer, density):
    job = make_job(network, density, **OPTIMIZERS[optimizer])
    made = make_engine(engine, [job])
    for _ in range(10):
        made.advance(1)
        (weights,) = made.weights()
        for name, kept in job.mask.items():
            assert not weights[name][~kept].any(), name


@cover_of(sorted(FREEZING), optimizer=OPTIMIZERS, density=DENSITIES)
def test_frozen_weights_keep_their_bits_after_every_step(
    engine, network, optimizer, density
):
    job = frozen(make_job(network, density, **OPTIMIZERS[optimizer]))
    made = make_engine(engine, [job])
    for _ in range(10):
        made.advance(1)
        (weights,) = made.weights()
        for name, kept in job.mask.items():
            assert weights[name][~kept].tobytes() == job.start[name][~kept].tobytes()
    assert all((weights[name] != start).any() for name, start in job.start.items())


@every_freezing_engine_and_network
@every_optimizer
def test_50_steps_with_frozen_weights_agree_with_torch(engine, network, optimizer):
    job = frozen(make_job(network, **OPTIMIZERS[optimizer]))
    (ours,) = trained(engine, job, 50).weights()
    for name, weight in frozen_by_hand(job, 50).items():
        difference = np.linalg.norm(ours[name].astype(np.float64) - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


@every_freezing_engine_and_network
def test_divergence_moves_no_frozen_weight(engine, network):
    job = frozen(make_job(network, optimizer="sgd", lr=1e30))
    (weights,) = trained(engine, job, 12).weights()
    for name, kept in job.mask.items():
        assert weights[name][~kept].tobytes() == job.start[name][~kept].tobytes()


@every_freezing_engine_and_network
def test_a_training_with_frozen_weights_goes_on_bit_for_bit(engine, network):
    job = frozen(make_job(network, **OPTIMIZERS["adam-decay"]))
    whole = trained(engine, job, 9)
    state = whole.state()
    whole.advance(11)
    resumed = make_engine(engine, [job])
    resumed.restore(state, 9)
    resumed.advance(11)
    assert_same_bits(whole.state(), resumed.state())


@pytest.mark.parametrize("engine", sorted(set(LABELED) - FREEZING))
def test_an_engine_that_holds_pruned_weights_at_0_refuses_frozen_ones(engine):
    network = next(n for n in NETWORKS if ENGINES[engine].trains(NETWORKS[n]))
    first = min(n for n, tensor in parameters(NETWORKS[network]).items() if tensor.kind)
    message = rf"the {engine} engine holds pruned weights at 0, and some of {first}"
    with pytest.raises(ValueError, match=message):
        make_engine(engine, [frozen(make_job(network))])
    message = rf"^engine {engine} cannot hold pruned weights at other values than 0; give"
    with pytest.raises(ValueError, match=message):
        resolve(engine, NETWORKS[network], 0.4, "cpu", {Ability.FREEZE})


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("density", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("network", NETWORKS)
def test_auto_freezes_with_an_engine_that_can(network, density, device):
    name = resolve(AUTO, NETWORKS[network], density, device, {Ability.FREEZE})
    assert name in FREEZING
    assert ENGINES[name].trains(NETWORKS[network])
    assert device in ENGINES[name].devices


@every_engine_and_network
def test_everything_trainable_moves_and_only_masks_hold(engine, network):
    job = make_job(network, density=1.0)
    (weights,) = trained(engine, job, 10).weights()
    assert all((weights[name] != start).any() for name, start in job.start.items())


@cover_of(LABELED, optimizer=OPTIMIZERS, density=DENSITIES)
def test_a_restored_engine_goes_on_bit_for_bit(engine, network, optimizer, density):
    settings = OPTIMIZERS[optimizer] | {"schedule": SCHEDULES["warm-cosine"]}
    job = make_job(network, density, **settings)
    whole = trained(engine, job, 9)
    state = whole.state()
    whole.advance(11)
    resumed = make_engine(engine, [job])
    resumed.restore(state, 9)
    resumed.advance(11)
    assert_same_bits(whole.weights()[0], resumed.weights()[0])
    assert_same_bits(whole.state(), resumed.state())
    assert whole.evaluate("validation") == resumed.evaluate("validation")


@every_engine_and_network
def test_a_training_taken_up_from_a_snapshot_has_the_same_result(engine, network):
    job = make_job(network, steps=23, evaluate_every=5)
    kept = []
    (whole,) = train(
        [job],
        make_engine(engine, [job]),
        watch=lambda now: kept.append(pack(now.snapshot())) if now.step == 12 else None,
        interval_s=0,
    )
    fresh = make_engine(engine, [job])
    (resumed,) = train([job], fresh, resume=unpack(kept[0]))
    assert_same_bits(whole.weights, resumed.weights)
    for split, curve in whole.curves.items():
        for column in ("step", "loss", "accuracy"):
            ours, theirs = getattr(curve, column), getattr(resumed.curves[split], column)
            assert ours.tobytes() == theirs.tobytes()
    assert whole.early_stop == resumed.early_stop
    assert whole.end == resumed.end


@every_engine_and_network
def test_an_engine_can_be_taken_back_to_its_start(engine, network):
    job = make_job(network)
    made = make_engine(engine, [job])
    start = made.state()
    made.advance(7)
    made.restore(start, 0)
    made.advance(7)
    assert_same_bits(made.weights()[0], trained(engine, job, 7).weights()[0])


@every_engine_and_network
def test_the_same_job_gives_the_same_bits_twice(engine, network):
    job = make_job(network, augment="flip-crop")
    first, second = trained(engine, job, 20), trained(engine, job, 20)
    assert_same_bits(first.weights()[0], second.weights()[0])
    assert first.evaluate("test") == second.evaluate("test")


@every_engine_and_network
def test_a_late_start_continues_order_and_schedule(engine, network):
    settings = {"optimizer": "sgd", "lr": 0.05, "augment": "flip-crop"}
    job = make_job(network, **settings, schedule=SCHEDULES["warm-cosine"])
    whole = trained(engine, job, 12)
    (early,) = trained(engine, job, 9).weights()
    late = trained(engine, replace(job, start=early, first_step=9), 3)
    assert_same_bits(whole.weights()[0], late.weights()[0])


@every_engine_and_network
def test_evaluation_agrees_with_the_reference_and_changes_nothing(engine, network):
    job = make_job(network)
    made = trained(engine, job, 20)
    (weights,) = made.weights()
    reference = make_engine("reference", [replace(job, start=weights)])
    for split in ("train", "validation", "test"):
        (ours,), (theirs,) = made.evaluate(split), reference.evaluate(split)
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert ours.accuracy == theirs.accuracy
    assert_same_bits(weights, made.weights()[0])


@every_engine_and_network
def test_an_engine_hands_out_copies(engine, network):
    job = make_job(network)
    made = trained(engine, job, 2)
    handed_out = {**made.weights()[0], **made.state()}
    before = {name: array.copy() for name, array in handed_out.items()}
    made.advance(3)
    assert_same_bits(before, handed_out)


@every_engine_and_network
def test_the_job_is_left_unchanged(engine, network):
    job = make_job(network)
    before = {name: array.copy() for name, array in job.start.items()}
    trained(engine, job, 3)
    assert_same_bits(before, job.start)


@every_engine_and_network
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_divergence_revives_no_pruned_weight(engine, network, optimizer):
    job = make_job(network, optimizer=optimizer, lr=1e30)
    made = trained(engine, job, 12)
    (weights,) = made.weights()
    for name, kept in job.mask.items():
        assert not weights[name][~kept].any(), name
    assert not np.isfinite(made.evaluate("validation")[0].loss)


@every_engine_and_network
def test_the_answer_of_a_network_that_diverged_is_its_first_nan(engine, network):
    job = make_job(network, density=1.0)
    *_, bias = (name for name in job.start if name.endswith("bias"))
    for broken in ([2], [1, 3], [0, 1, 2, 3]):
        values = job.start[bias].copy()
        values[broken] = np.nan
        one = replace(job, start=job.start | {bias: values})
        (found,) = trained(engine, one, 0).evaluate("validation")
        assert np.isnan(found.loss)
        share = np.mean(job.data.validation.labels == broken[0])
        assert found.accuracy == pytest.approx(share, abs=1e-9)


def make_lanes(network, **settings):
    """Three jobs that differ in seed, mask, and start."""
    return [
        replace(make_job(network, density, **settings), seed=seed)
        for seed, density in enumerate(DENSITIES)
    ]


def lanes_after(engine, jobs, num_steps):
    made = make_engine(engine, jobs)
    made.advance(num_steps)
    return made


@every_batched_engine_and_network
@pytest.mark.parametrize("augment", ["none", "flip-crop"])
def test_each_lane_trains_as_it_would_alone(engine, network, augment):
    jobs = make_lanes(network, augment=augment)
    together = lanes_after(engine, jobs, 20)
    for lane, job in enumerate(jobs):
        alone = trained(engine, job, 20)
        for name, weight in alone.weights()[0].items():
            difference = np.linalg.norm(together.weights()[lane][name] - weight)
            assert difference <= 1e-5 * np.linalg.norm(weight), name
        (expected,) = alone.evaluate("test")
        assert together.evaluate("test")[lane].loss == pytest.approx(
            expected.loss, rel=1e-4
        )


@every_batched_engine_and_network
@every_optimizer
def test_a_lane_that_diverges_touches_no_other(engine, network, optimizer):
    jobs = make_lanes(network, **OPTIMIZERS[optimizer])
    start, mask = jobs[1].start, jobs[1].mask
    broken = {
        name: np.where(mask.get(name, True), np.float32(np.nan), weight)
        for name, weight in start.items()
    }
    healthy = lanes_after(engine, jobs, 10)
    infected = lanes_after(engine, [jobs[0], replace(jobs[1], start=broken), jobs[2]], 10)
    for lane in (0, 2):
        assert_same_bits(healthy.weights()[lane], infected.weights()[lane])
        assert healthy.evaluate("test")[lane] == infected.evaluate("test")[lane]
    assert not np.isfinite(infected.evaluate("test")[1].loss)


@every_batched_engine_and_network
def test_restored_lanes_go_on_bit_for_bit(engine, network):
    jobs = make_lanes(network)
    whole = lanes_after(engine, jobs, 9)
    state = whole.state()
    whole.advance(11)
    resumed = make_engine(engine, jobs)
    resumed.restore(state, 9)
    resumed.advance(11)
    assert_same_bits(whole.state(), resumed.state())


@pytest.mark.parametrize("engine", sorted(SEVERAL))
@pytest.mark.parametrize("other", [{"network": CONV}, {"first_step": 1}])
def test_a_batched_engine_refuses_jobs_of_different_kinds(engine, other):
    job = make_job("mlp")
    with pytest.raises(ValueError, match="differ in network, settings, data, or first"):
        make_engine(engine, [job, replace(job, **other)])


@pytest.mark.parametrize("engine", sorted(ENGINES.keys() - SEVERAL))
def test_an_engine_for_one_network_refuses_two(engine):
    with pytest.raises(ValueError, match="one network at a time, not 2"):
        make_engine(engine, [make_job("mlp")] * 2)


def test_auto_chooses_an_engine_that_exists():
    assert resolve("auto", MLP, 0.2, "cpu") in ENGINES


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown engine: spars; did you mean sparse\?"):
        make_engine("spars", [])
    with pytest.raises(ValueError, match=r"^unknown engine: fast \(known: reference, "):
        resolve("fast", MLP, 1.0, "cpu")


@pytest.mark.parametrize("density", [1.0, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("model", [n for n, m in MODELS.items() if not m.is_module])
def test_auto_chooses_an_engine_that_can_train_the_network(model, density):
    network = build(
        model,
        widths=(8, 6) if MODELS[model].takes_widths else None,
        data=of_images((3, 32, 32), classes=10),
    )
    name = resolve("auto", network, density, "cpu")
    assert ENGINES[name].trains(network)


@pytest.mark.parametrize(
    ("model", "density", "engine"),
    [
        ("lenet-300-100", 0.71, "dense"),
        ("lenet-300-100", 0.7, "sparse"),
        ("conv-4", 0.41, "dense"),
        ("conv-4", 0.4, "sparse-conv"),
        ("resnet-20", 0.01, "reference"),
    ],
)
def test_auto_computes_only_with_kept_weights_where_that_pays(model, density, engine):
    network = build(model, widths=None, data=of_images((3, 32, 32), classes=10))
    assert resolve("auto", network, density, "cpu") == engine


def test_auto_takes_no_protocol():
    assert [name for name, record in ENGINES.items() if record.program] == ["southampton"]
    assert "southampton" not in CHOICES
    assert resolve("southampton", MLP, 1.0, "cpu") == "southampton"


@pytest.mark.parametrize(
    ("network", "density", "device", "needs", "engine"),
    [
        ("mlp", 1.0, "cuda:1", set(), "batched"),
        ("resnet", 0.1, "cuda", set(), "batched"),
        ("mlp", 0.1, "cuda", {Ability.FREEZE}, "reference"),
        ("mlp", 0.1, "cpu", {Ability.FREEZE}, "dense"),
        ("resnet", 0.1, "cpu", {Ability.FREEZE}, "reference"),
        ("mlp", 1.0, "cpu", {Ability.CHANGE_MASK}, "dense"),
        ("mlp", 1.0, "cuda", {Ability.CHANGE_MASK}, "reference"),
        ("resnet", 1.0, "cpu", set(), "reference"),
    ],
)
def test_auto_takes_the_fastest_that_can(network, density, device, needs, engine):
    assert resolve(AUTO, NETWORKS[network], density, device, needs) == engine


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_reference_can_train_whatever_is_asked(network, device):
    # Those take several processes, and an environment.
    asked = set(Ability) - {Ability.SHARE_BATCHES, Ability.ACT}
    assert resolve("reference", NETWORKS[network], 1.0, device, asked) == "reference"


def test_an_engine_that_cannot_train_a_network_is_refused_with_those_that_can():
    network = build("resnet-20", widths=None, data=of_images((3, 32, 32), classes=10))
    with pytest.raises(ValueError, match="sparse cannot train this network; give auto, or"):
        resolve("sparse", network, 1.0, "cpu")
    with pytest.raises(
        ValueError, match=r"give auto, or one of reference, sparse-norm, batched$"
    ):
        resolve("dense", network, 1.0, "cpu")
    message = "dense works on cpu, not on cuda; give auto, or one of reference, batched$"
    with pytest.raises(ValueError, match=message):
        resolve("dense", network, 1.0, "cuda")
