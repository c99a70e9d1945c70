"""The Southampton script's departures, each checked by hand and against its own loop."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.on_digits import dense_job
from torch import nn

from pipeline.core import cuts, masks, metrics, seeding
from pipeline.core.batches import BatchOrder, prepared
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Linear, parameters
from pipeline.core.programs import southampton
from pipeline.core.starts import start_source
from pipeline.core.starts.given import Given
from pipeline.core.training.engine import Job
from pipeline.core.training.loop import train
from pipeline.core.training.results import Curve
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine

CONSTANT = Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0)
SCRIPT = {"optimizer": "adam", "lr": 0.01, "weight_decay": 1e-4, "schedule": CONSTANT}


def floats(*values):
    return np.array(values, np.float32)


def bools(*values):
    return np.array(values, np.bool_)


def cut(weights, kept=None, fraction=0.1):
    weights = np.asarray(weights, np.float32)
    mask = np.ones(weights.shape, np.bool_) if kept is None else kept
    return cut_all({"w": weights}, {"w": mask}, {"w": fraction})["w"]


def cut_all(trained, mask, fractions):
    asked = Asked(criterion="magnitude", fractions=fractions, scope="layerwise", rounds=1)
    evidence = Evidence(
        network=(),
        data=of_images((1, 1, 1), classes=2),
        begun={},
        trained=trained,
        mask=mask,
        batches=None,
        rng=None,
    )
    return cuts.cut("southampton", evidence, asked)


def start(theta0, trained, round):
    given = Given(
        theta0=theta0,
        trained=trained,
        early={},
        begun={},
        mask={},
        round=round,
        network=(),
        init="southampton",
        rng=seeding.generator(0, "reinit"),
    )
    return start_source("theta0-trained-biases", given)


def best_accuracy(steps, accuracies, end_step):
    """By the metric, which looks at the curve of the test set alone."""
    curve = Curve(step=steps, loss=np.zeros(len(steps)), accuracy=accuracies)
    trained = SimpleNamespace(curves={"test": curve})
    return metrics.accuracy("best-before-end", trained, end_step)


def job(*, round=1, seed=0, **settings):
    """The MLP on digits, with the script's optimizer and initial weights."""
    asked = dense_job("mlp", seed=seed, **(SCRIPT | {"test_cadence": "every"} | settings))
    theta0 = initial_weights(asked.network, "southampton", seeding.generator(seed, "init"))
    return replace(asked, start=theta0, round=round)


def after(asked, num_steps, engine="southampton"):
    made = make_engine(engine, [asked])
    made.advance(num_steps)
    return made.weights()[0]


# Pruning


def test_weights_below_the_percentile_go_and_the_one_on_it_stays():
    # Of 0.1 … 1.1 the tenth percentile is 0.2, one of them.
    weights = floats(*(0.1 * n for n in range(1, 12)))
    assert cut(weights).tolist() == [False] + [True] * 10


def test_the_threshold_is_interpolated_so_a_tenth_of_ten_is_one():
    assert cut(np.arange(1, 11)).tolist() == [False] + [True] * 9


def test_the_only_weight_left_always_stays():
    assert cut([0, 0, 3], bools(0, 0, 1), fraction=0.9).tolist() == [False, False, True]


def test_signs_do_not_matter():
    assert cut([-1, 2, -3], fraction=0.5).tolist() == [False, True, True]


def test_pruned_weights_do_not_count_for_the_percentile():
    # Counting them, the threshold would be 0, and nothing would go.
    found = cut([0, 0, 0, 0, 0, 1, 2, 3], bools(0, 0, 0, 0, 0, 1, 1, 1))
    assert found.tolist() == [False] * 6 + [True, True]


def test_a_weight_trained_to_exactly_0_goes_without_being_counted():
    found = cut([0, 1, 2, 3], bools(1, 1, 1, 1))
    assert found.tolist() == [False, False, True, True]


def test_every_tensor_has_its_own_percentile_the_output_layer_too():
    weights = {"fc1.weight": floats(1, 2, 3), "fc2.weight": floats(10, 20, 30)}
    kept = {name: np.ones(3, np.bool_) for name in weights}
    found = cut_all(weights, kept, {"fc1.weight": 0.5, "fc2.weight": 0.1})
    assert {n: m.tolist() for n, m in found.items()} == {
        "fc1.weight": [False, True, True],
        "fc2.weight": [False, True, True],
    }


def test_a_tenth_of_lenets_first_layer_is_what_exact_counts_remove():
    weights = np.random.default_rng(0).standard_normal((300, 784))
    assert cut(weights).sum() == 235_200 - 23_520


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_tensor_that_diverged_loses_nothing(value):
    assert cut([1, 2, value]).all()


def test_a_tensor_without_a_weight_left_stays_empty():
    assert not cut([0, 0], bools(0, 0)).any()


def test_pruning_leaves_its_arguments_alone():
    weights, kept = floats(1, 2, 3), bools(1, 1, 1)
    cut(weights, kept)
    assert weights.tolist() == [1, 2, 3]
    assert kept.all()


# Where a round starts


def test_only_biases_start_as_trained():
    source = {"fc1.weight": floats(1, 2), "fc1.bias": floats(3)}
    trained = {"fc1.weight": floats(10, 20), "fc1.bias": floats(30)}
    assert start(source, trained, round=1) == source
    found = start(source, trained, round=2)
    assert {n: w.tolist() for n, w in found.items()} == {
        "fc1.weight": [1, 2],
        "fc1.bias": [30],
    }


# Accuracy


def test_the_best_accuracy_counts_the_untrained_network_and_never_the_end():
    steps = np.array([0, 4, 8, 12])
    assert best_accuracy(steps, np.array([0.1, 0.4, 0.3, 0.9]), 12) == 0.4
    assert best_accuracy(steps, np.array([0.8, 0.4, 0.3, 0.9]), 12) == 0.8


def test_a_training_that_diverged_counts_the_test_at_which_it_was_stopped():
    assert best_accuracy(np.array([0, 4]), np.array([0.1, 0.2]), 12) == 0.2


def test_correct_answers_in_full_batches_are_divided_by_all_test_images():
    asked = job(batch_size=60)
    made = make_engine("southampton", [asked])
    test = asked.data.test
    assert len(test) == 697
    first = replace(test, inputs=test.images[:660], labels=test.labels[:660])
    cut_short = replace(asked, data=replace(asked.data, test=first))
    (expected,) = make_engine("dense", [cut_short]).evaluate("test")
    (found,) = made.evaluate("test")
    assert found.accuracy == pytest.approx(expected.accuracy * 660 / 697, abs=1e-12)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    (found,) = made.evaluate("validation")
    (expected,) = make_engine("dense", [asked]).evaluate("validation")
    assert found.accuracy == expected.accuracy
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)


# Training


def test_a_negative_weight_is_pushed_up_by_the_rate_and_by_nothing_else():
    asked = job()
    start = {name: np.full_like(w, -0.5) for name, w in asked.start.items()}
    weights = after(replace(asked, start=start), 3)
    for name, weight in weights.items():
        if name.endswith("weight"):
            np.testing.assert_allclose(weight, -0.5 + 3 * 0.01, rtol=1e-3)


def test_a_weight_of_exactly_the_bound_is_trained_and_one_just_below_is_not():
    network = (Linear(name="fc1", inputs=64, outputs=10, kind="output"),)
    asked = job(weight_decay=0.0)
    flat = asked.data.train.images.reshape(-1, 64, 1, 1)[:, :, 0, 0]
    bound = southampton.FROZEN_BELOW
    for value, moves in ((bound, True), (np.nextafter(bound, np.float32(0)), False)):
        one = Job(
            network=(asked.network[0], *network),
            start={
                "fc1.weight": np.full((10, 64), value, np.float32),
                "fc1.bias": np.zeros(10, np.float32),
            },
            mask=masks.dense(parameters(network), ["fc1.weight"]),
            data=asked.data,
            settings=asked.settings,
            seed=0,
            round=1,
        )
        weight = after(one, 1)["fc1.weight"][:, flat.any(axis=0)]
        assert (weight != value).any() == moves


def test_biases_learn_whatever_their_sign():
    asked = job()
    start = asked.start | {n: -np.abs(w) for n, w in asked.start.items() if "bias" in n}
    for name, bias in after(replace(asked, start=start), 1).items():
        if "bias" in name:
            assert (bias < start[name]).any(), "one was pushed down"


def test_after_one_epoch_no_weight_lies_far_below_0():
    """The script's fingerprint, about ten times the rate; a correct training has it not."""
    rate = 0.01
    asked = job(batch_size=10, lr=rate, steps=100)
    trained = after(asked, 100)
    correct = after(asked, 100, engine="dense")
    for name in (n for n in trained if n.endswith("weight")):
        assert trained[name].min() > -12 * rate
        assert min(asked.start[name].min(), correct[name].min()) < -20 * rate


@pytest.mark.parametrize("density", [1.0, 0.5])
def test_30_steps_agree_with_the_scripts_own_loop(density):
    asked = job()
    if density < 1:
        rng = np.random.default_rng(0)
        mask = {n: rng.random(m.shape) < density for n, m in asked.mask.items()}
        asked = replace(asked, mask=mask, start=masks.apply(asked.start, mask))
    ours = after(asked, 30)
    theirs = script_after(asked, 30)
    assert list(ours) == list(theirs)
    for name, weight in theirs.items():
        difference = np.linalg.norm(ours[name].astype(np.float64) - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


def script_after(asked, num_steps):
    """The training loop of main.py, on our batches."""
    model = nn.Sequential(
        nn.Flatten(),
        *(
            nn.Linear(layer.inputs, layer.outputs)
            if isinstance(layer, Linear)
            else nn.ReLU()
            for layer in asked.network[1:]
        ),
    )
    for p, value in zip(model.parameters(), asked.start.values(), strict=True):
        p.data = torch.tensor(value)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=asked.settings.lr, weight_decay=1e-4
    )
    criterion = nn.CrossEntropyLoss()
    train_split = asked.data.train
    batch_size = asked.settings.batch_size
    order = BatchOrder(len(train_split), batch_size, seed=asked.seed, round=asked.round)
    for examples in order.indices(0, num_steps):
        images = prepared(train_split.images[examples], asked.data.images)
        optimizer.zero_grad()
        loss = criterion(
            model(torch.tensor(images)), torch.tensor(train_split.labels[examples])
        )
        loss.backward()
        for name, p in model.named_parameters():
            if "weight" in name:
                tensor = p.data.numpy()
                p.grad.data = torch.from_numpy(np.where(tensor < 1e-6, 0, p.grad.numpy()))
        optimizer.step()
    trained = [p.detach().numpy() for p in model.parameters()]
    return dict(zip(asked.start, trained, strict=True))


def test_round_0_trains_at_adams_default_rate_whatever_the_setting():
    low, high = (after(job(round=0, lr=lr), 5) for lr in (0.01, 0.2))
    default = script_after(job(round=0, lr=1e-3), 5)
    for name, weight in default.items():
        assert (low[name] == high[name]).all()
        np.testing.assert_allclose(low[name], weight, rtol=1e-4, atol=1e-6)
    assert (after(job(lr=0.01), 5)["fc1.bias"] != after(job(lr=0.2), 5)["fc1.bias"]).any()


def test_a_whole_training_reports_the_scripts_accuracy_in_its_curve():
    asked = job(steps=20, evaluate_every=5)
    (found,) = train([asked], make_engine("southampton", [asked]))
    assert found.curves["test"].step.tolist() == [0, 5, 10, 15, 20]
    limit = southampton.num_scored(len(asked.data.test), asked.settings.batch_size)
    correct = found.curves["test"].accuracy * len(asked.data.test)
    assert correct.max() <= limit
    np.testing.assert_allclose(correct, np.rint(correct), atol=1e-9)
