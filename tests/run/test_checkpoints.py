"""What a checkpoint's name depends on: everything that decides the result of a training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.train_settings import PLAIN

from pipeline.border.root import CODE
from pipeline.core import masks
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Network, kernels
from pipeline.core.policies.gradual import Gradual
from pipeline.core.training.engine import Job
from pipeline.run import checkpoints

SPLIT = Split(inputs=np.zeros((2, 1, 4, 4), np.uint8), labels=np.zeros(2, np.int64))
DATA = Dataset(
    train=SPLIT,
    validation=SPLIT,
    test=SPLIT,
    description=of_images((1, 4, 4), classes=3, mean=(0.0,), std=(1.0,)),
)


def network(*widths: int) -> Network:
    return build("mlp", widths=widths, data=of_images((1, 4, 4), classes=3))


def job() -> Job:
    layers = network(5)
    start = initial_weights(layers, "glorot-normal", np.random.default_rng(0))
    return Job(
        network=layers,
        start=start,
        mask=masks.dense(kernels(layers), kernels(layers)),
        data=DATA,
        settings=PLAIN,
        seed=1,
        round=2,
        copy=0,
    )


def pruned(one: Job) -> Job:
    mask = {name: kept.copy() for name, kept in one.mask.items()}
    mask["fc1.weight"][0, 0] = False
    return replace(one, mask=mask)


def moved(one: Job) -> Job:
    start = {name: values.copy() for name, values in one.start.items()}
    start["fc1.weight"][0, 0] += 1
    return replace(one, start=start)


def other_pixels(one: Job) -> Job:
    inputs = replace(one.data.description.images, mean=(1.5,))
    description = replace(one.data.description, inputs=inputs)
    return replace(one, data=replace(one.data, description=description))


def name(one: Job, **facts: str) -> str:
    known = {"engine": "reference", "data": "abc", "host": "this"} | facts
    return checkpoints.unit_digest([one], **known)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, network=network(5, 4)),
        other_pixels,
        moved,
        pruned,
        lambda one: replace(one, settings=replace(one.settings, lr=0.5)),
        lambda one: replace(one, settings=replace(one.settings, evaluate_every=2)),
        lambda one: replace(one, seed=7),
        lambda one: replace(one, round=3),
        lambda one: replace(one, copy="reinit"),
        lambda one: replace(one, first_step=1),
        lambda one: replace(one, last_step=1),
        lambda one: replace(
            one, rule=Gradual(counted=tuple(one.mask), target={"fc1.weight": 9})
        ),
    ],
)
def test_every_part_of_a_job_names_its_checkpoint(change: Callable[[Job], Job]) -> None:
    assert name(change(job())) != name(job())


@pytest.mark.parametrize("fact", ["engine", "data", "host"])
def test_engine_data_and_host_name_a_checkpoint(fact: str) -> None:
    assert name(job(), **{fact: "another"}) != name(job())


def test_what_a_rule_was_made_from_names_a_checkpoint_in_place_of_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "own_code", lambda _: [])

    class Rule:
        """Prints its address, as a class without a text of its own does."""

    made = [replace(job(), rule=Rule()) for _ in range(2)]
    assert name(made[0]) != name(made[1])
    assert name(made[0], rule_origin="a") == name(made[1], rule_origin="a")
    assert name(made[0], rule_origin="a") != name(made[0], rule_origin="b")
    learned = [replace(job(), score_rule=Rule()) for _ in range(2)]
    assert name(learned[0], rule_origin="a") == name(learned[1], rule_origin="a")


def test_the_lanes_of_a_group_name_it_in_their_order() -> None:
    one, other = job(), replace(job(), seed=7)
    facts = {"engine": "batched", "data": "abc", "host": "this"}
    names = {
        checkpoints.unit_digest(lanes, **facts)
        for lanes in ([one], [one, other], [other, one])
    }
    assert len(names) == 3


def test_the_same_training_has_the_same_name() -> None:
    assert name(job()) == name(job())


@pytest.mark.parametrize(
    "file",
    ["core/new.py", "core/models/mlp.py", "core/new/method.py", "engines/new.py"],
)
def test_every_file_of_core_and_engines_names_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CODE).parent.mkdir(parents=True)
    (tmp_path / CODE).touch()  # by which a clone is known
    each_time = checkpoints._code_digest.__wrapped__
    monkeypatch.setattr(checkpoints, "_code_digest", each_time)
    before = name(job())
    path = tmp_path / "pipeline" / file
    path.parent.mkdir(parents=True)
    path.write_text("A = 1\n")
    written = name(job())
    path.write_text("A = 2\n")
    assert len({before, written, name(job())}) == 3
