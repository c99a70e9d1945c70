"""Learning rates follow their schedules."""

import math
from dataclasses import replace

import pytest
from helpers.train_settings import PLAIN

from pipeline.core.training.schedules import at_last_rate, is_constant, learning_rate
from pipeline.core.training.settings import Schedule

CONSTANT = Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0)
MILESTONES = Schedule(name="milestones", milestones=(3, 5), gamma=0.5, warmup_steps=0)
COSINE = Schedule(name="cosine", milestones=(), gamma=1.0, warmup_steps=0)
SETTINGS = replace(
    PLAIN, steps=8, batch_size=4, lr=0.5, schedule=CONSTANT, evaluate_every=2
)


def rates(schedule, steps=8):
    settings = replace(SETTINGS, schedule=schedule)
    return [learning_rate(settings, step, steps) for step in range(steps)]


def test_a_constant_rate_is_lr_at_every_step():
    assert rates(CONSTANT) == [0.5] * 8


def test_the_rate_drops_at_each_milestone_and_from_it_on():
    assert rates(MILESTONES) == [0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125]


def test_a_cosine_begins_at_lr_and_would_reach_0_at_the_end():
    assert rates(COSINE)[0] == 0.5
    assert rates(COSINE)[4] == pytest.approx(0.25, abs=1e-16)
    assert learning_rate(replace(SETTINGS, schedule=COSINE), 8, 8) == 0.0


def test_a_warm_up_rises_linearly_from_0_and_ends_at_lr():
    warm = replace(CONSTANT, warmup_steps=4)
    assert rates(warm) == [0.0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5]


def test_a_cosine_falls_over_the_steps_after_the_warm_up():
    warm = replace(COSINE, warmup_steps=4)
    assert rates(warm)[:5] == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert rates(warm)[6] == pytest.approx(0.25, abs=1e-16)


def test_milestones_count_from_step_0_also_behind_a_warm_up():
    warm = replace(MILESTONES, warmup_steps=4)
    assert rates(warm) == [0.0, 0.125, 0.25, 0.375, 0.25, 0.125, 0.125, 0.125]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"milestones": (3,)}, r"milestones is \[3\] but schedule.name is 'constant'"),
        ({"name": "milestones"}, "schedule.milestones is empty; list the steps"),
        (
            {"name": "milestones", "milestones": (5, 3)},
            r"schedule.milestones is \[5, 3\]; give positive steps in increasing order",
        ),
        ({"name": "milestones", "milestones": (0, 3)}, r"is \[0, 3\]; give positive"),
        ({"name": "milestones", "milestones": (3, 3)}, r"is \[3, 3\]; give positive"),
        ({"gamma": 0.0}, r"schedule.gamma is 0.0; give a factor in \(0, 1\]"),
        ({"gamma": math.nan}, r"schedule.gamma is nan; give a factor in \(0, 1\]"),
        ({"gamma": 0.1}, "schedule.gamma is 0.1 but schedule.name is 'constant'; write 1"),
        ({"warmup_steps": -1}, "schedule.warmup_steps is -1; give 0 or more"),
    ],
)
def test_an_impossible_schedule_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONSTANT, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 2}, "steps is 8 and epochs is 2; give exactly one of them"),
        ({"steps": None}, "steps is null and epochs is null; give exactly one"),
        ({"steps": 0}, "^steps is 0; give 1 or more$"),
        ({"steps": None, "epochs": -1}, "^epochs is -1; give 1 or more$"),
        ({"batch_size": 0}, "^batch_size is 0; give 1 or more$"),
        ({"evaluate_every": 0}, "^evaluate_every is 0; give 1 or more$"),
        ({"lr": 0.0}, "^lr is 0.0; give a finite number above 0$"),
        ({"lr": math.inf}, "^lr is inf; give a finite number above 0$"),
        ({"lr": math.nan}, "^lr is nan; give a finite number above 0$"),
        ({"momentum": 0.9}, "momentum is 0.9 but optimizer is 'adam'; write 0 or use"),
        ({"optimizer": "sgd", "momentum": 1.0}, r"momentum is 1.0; give a .* \[0, 1\)"),
        ({"weight_decay": -1e-4}, "weight_decay is -0.0001; give a finite number"),
        ({"device": "gpu"}, "device is 'gpu'; write cpu, cuda, or cuda:N"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:3"])
def test_the_devices_are_written_as_torch_writes_them(device):
    assert replace(SETTINGS, device=device).device == device


def test_epochs_drop_the_incomplete_batch():
    settings = replace(SETTINGS, steps=None, epochs=3)
    assert settings.total_steps(num_train=11) == 3 * 2


def test_a_training_set_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"batch_size is 4 but .* only 3 examples"):
        SETTINGS.total_steps(num_train=3)


def test_fine_tuning_has_the_rate_of_the_last_step_throughout():
    settings = replace(SETTINGS, schedule=replace(MILESTONES, warmup_steps=2))
    tuning = at_last_rate(settings, 8)
    assert [learning_rate(tuning, step, 8) for step in range(8)] == [0.125] * 8
    assert tuning == replace(settings, lr=0.125, schedule=CONSTANT)


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (CONSTANT, 0),
        (replace(CONSTANT, warmup_steps=4), 4),
        (MILESTONES, 5),
        (replace(MILESTONES, gamma=1.0), 0),
        (COSINE, 8),
    ],
)
def test_from_where_on_a_rate_stays_the_same(schedule, first):
    settings = replace(SETTINGS, schedule=schedule)
    found = [is_constant(settings, step, 8) for step in range(8)]
    assert found == [step >= first for step in range(8)]
