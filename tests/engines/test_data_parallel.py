"""Several processes that share each batch train as one process does, to rounding."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers import experiment
from torch import nn

from pipeline.core import seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import build, modules
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Ability, Job
from pipeline.core.training.settings import TrainSettings
from pipeline.engines import make_engine, resolve

HERE = Path(__file__).parent
IMAGES = of_images((1, 8, 8), classes=4)
ADAM = TrainSettings(
    steps=20, batch_size=13, optimizer="adam", lr=2e-3, evaluate_every=5, processes=2
)
MOMENTUM = replace(ADAM, optimizer="sgd", lr=0.05, momentum=0.9, weight_decay=1e-3)


class _HalfUsed(nn.Module):
    """A module with weights on which its output does not depend."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(64, 4)
        self.idle = nn.Linear(64, 4)

    def forward(self, inputs):
        return self.used(inputs.flatten(1))


NETWORKS = {
    "mlp": build("mlp", widths=(12,), data=IMAGES),
    "module": modules.described(_HalfUsed, "half", IMAGES),
}
WIDE = build("mlp", widths=(300, 100), data=IMAGES)
FIVE = replace(MOMENTUM, processes=5)
"""of two numbers the order of a sum decides nothing, of five its last bits"""
NORMED = build("resnet-8", widths=None, data=IMAGES)


def data():
    rng = seeding.generator(0, "score_batch")

    def split(size):
        images = rng.integers(0, 256, (size, 1, 8, 8)).astype(np.uint8)
        return Split(inputs=images, labels=rng.integers(0, 4, size))

    return Dataset(
        train=split(60), validation=split(520), test=split(30), description=IMAGES
    )


def job(network, settings):
    """Half of the weights are pruned."""
    rng = seeding.generator(3, "mask_sample")
    start = initial_weights(network, "glorot-normal", seeding.generator(3, "init"))
    mask = {
        name: rng.random(tensor.shape) < 0.5
        for name, tensor in parameters(network).items()
        if tensor.kind is not None
    }
    start |= {
        name: np.where(kept, start[name], np.float32(0)) for name, kept in mask.items()
    }
    return Job(
        network=network,
        start=start,
        mask=mask,
        data=data(),
        settings=settings,
        seed=3,
        round=1,
    )


def trained(one, *slices):
    engine = make_engine("data-parallel", [one])
    for num_steps in slices:
        engine.advance(num_steps)
    return engine


def reference(one):
    return make_engine("reference", [replace(one, settings=alone(one.settings))])


def alone(settings):
    return replace(settings, processes=1)


def assert_close(ours, theirs):
    for name, weight in theirs.items():
        difference = np.linalg.norm(ours[name].astype(np.float64) - weight)
        assert difference <= 1e-5 * np.linalg.norm(weight), name


@pytest.mark.parametrize(
    ("network", "settings"), [("mlp", ADAM), ("mlp", MOMENTUM), ("module", MOMENTUM)]
)
def test_two_processes_agree_with_one(network, settings):
    one = job(NETWORKS[network], settings)
    engine, plain = trained(one, 20), reference(one)
    plain.advance(20)
    ((ours,), (theirs,)) = engine.weights(), plain.weights()
    assert_close(ours, theirs)
    for name, kept in one.mask.items():
        assert not ours[name][~kept].any()
    ((found,), (expected,)) = engine.evaluate("validation"), plain.evaluate("validation")
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.accuracy == pytest.approx(expected.accuracy, abs=1 / 500)


def test_one_process_has_the_bits_of_the_reference():
    one = job(NETWORKS["mlp"], alone(ADAM))
    engine, plain = trained(one, 20), reference(one)
    plain.advance(20)
    assert all((w == engine.weights()[0][n]).all() for n, w in plain.weights()[0].items())


@pytest.mark.parametrize(("network", "settings"), [(NETWORKS["mlp"], ADAM), (WIDE, FIVE)])
def test_it_goes_on_from_a_state_bit_for_bit_and_under_another_mask(network, settings):
    one = job(network, settings)
    smaller = {
        name: kept & (np.arange(kept.size).reshape(kept.shape) % 3 > 0)
        for name, kept in one.mask.items()
    }
    whole = trained(one, 8)
    state = whole.state()
    whole.restrict([smaller])
    whole.advance(5)
    (expected,) = whole.weights()
    again = trained(one)
    again.restore(state, 8)
    again.restrict([smaller])
    again.advance(5)
    (found,) = again.weights()
    for name, weight in expected.items():
        assert weight.tobytes() == found[name].tobytes()
    assert not any(found[name][~kept].any() for name, kept in smaller.items())


def test_it_goes_on_from_its_very_first_state_bit_for_bit():
    one = job(WIDE, FIVE)
    whole = trained(one)
    state = whole.state()
    whole.advance(5)
    (expected,) = whole.weights()
    again = trained(one)
    again.restore(state, 0)
    again.advance(5)
    for name, weight in expected.items():
        assert weight.tobytes() == again.weights()[0][name].tobytes()


def test_all_processes_evaluate_with_the_first_ones_statistics():
    one = job(NORMED, replace(MOMENTUM, batch_size=12))
    engine = trained(one, 3)
    plain = reference(one)
    plain.restore(engine.state(), 3)
    ((found,), (expected,)) = engine.evaluate("validation"), plain.evaluate("validation")
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)


def test_the_other_processes_end_with_the_engine():
    engine = trained(job(NETWORKS["mlp"], ADAM), 1)
    children = psutil.Process().children()
    (other,) = engine._others
    assert other.process.pid in {child.pid for child in children}
    del engine
    assert not other.process.is_alive()


@pytest.mark.slow
def test_the_other_processes_end_when_the_first_is_killed():
    code = (
        f"import sys, time; sys.path[:0] = {[str(HERE), str(HERE.parent)]}; "
        "from test_data_parallel import ADAM, NETWORKS, job, trained; "
        "engine = trained(job(NETWORKS['mlp'], ADAM), 1); "
        "print(engine._others[0].process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as running:
        other = psutil.Process(int(running.stdout.readline()))
        running.kill()
    end = time.monotonic() + 10
    while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("engine", ["auto", "data-parallel"])
def test_it_is_taken_where_processes_share_batches(engine):
    needs = {Ability.SHARE_BATCHES}
    assert resolve(engine, NETWORKS["mlp"], 0.1, "cpu", needs) == "data-parallel"
    assert resolve("auto", NORMED, 0.1, "cpu") == "reference"
    with pytest.raises(ValueError, match=r"among processes, and train\.processes is 1"):
        resolve("data-parallel", NORMED, 0.1, "cpu")


def test_another_engine_is_refused_in_one_line():
    with pytest.raises(ValueError, match="engine sparse cannot share each batch"):
        resolve("sparse", NETWORKS["mlp"], 0.1, "cpu", {Ability.SHARE_BATCHES})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processes": 0}, "processes is 0; give 1 to 13"),
        ({"processes": 14}, "processes is 14; give 1 to 13"),
        ({"device": "cuda:1"}, "device is 'cuda:1' but processes is 2; write cuda"),
    ],
)
def test_impossible_numbers_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(ADAM, **changes)


@pytest.mark.slow
def test_a_whole_experiment_shares_its_batches(tmp_path):
    variants = {"ticket": experiment.raw()["variants"]["ticket"]}
    train = experiment.raw()["tasks"]["main"]["train"]
    changed = {"tasks__main__train": train | {"processes": 2, "engine": "auto"}}
    root = experiment.finish(
        tmp_path / "root", rounds=1, seeds=[0], variants=variants, **changed
    )
    results = [json.loads(p.read_text()) for p in root.rglob("result.json")]
    assert len(results) == 2
    assert {one["engine"] for one in results} == {"data-parallel"}
