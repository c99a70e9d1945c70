"""The training loop, with a fake engine whose losses are given for each step."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.train_settings import PLAIN

from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models.layers import Linear
from pipeline.core.training.engine import Evaluation, Job
from pipeline.core.training.facts import facts
from pipeline.core.training.loop import train
from pipeline.core.training.results import pack, unpack

EMPTY = Split(inputs=np.zeros((4, 1, 1, 1), np.uint8), labels=np.zeros(4, np.int64))
DATA = Dataset(
    train=EMPTY,
    validation=EMPTY,
    test=EMPTY,
    description=of_images((1, 1, 1), classes=2, mean=(0.0,), std=(1.0,)),
)
SETTINGS = replace(PLAIN, steps=6, batch_size=4, lr=0.5, evaluate_every=1)


def job(**settings):
    return Job(
        network=(Linear(name="fc1", inputs=1, outputs=2, kind="output"),),
        start={"fc1.weight": np.zeros((2, 1), np.float32)},
        mask={"fc1.weight": np.array([[True], [False]])},
        data=DATA,
        settings=replace(SETTINGS, **settings),
        seed=0,
        round=0,
    )


class KnownLosses:
    """Its validation loss at step s is losses[s], its weight is s."""

    def __init__(self, *losses, first_step=0):
        self.losses = losses
        self.step = first_step
        self.asked = []

    def advance(self, num_steps):
        self.step += num_steps

    def evaluate(self, split):
        self.asked.append((split, self.step))
        offset = {"train": -1, "validation": 0, "test": 10}[split]
        return [
            Evaluation(loss=lane[self.step] + offset, accuracy=self.step / 100 + offset)
            for lane in self.losses
        ]

    def weights(self):
        weight = np.array([[self.step], [0]], np.float32)
        return [{"fc1.weight": weight.copy()} for _ in self.losses]

    def state(self):
        return {"step": np.array(self.step)}

    def restore(self, state, step):
        assert int(state["step"]) == step
        self.step = step


def train_one(losses, watch=lambda _: None, **settings):
    (trained,) = train([job(**settings)], KnownLosses(losses), watch=watch)
    return trained


FALLING = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_the_early_stop_is_the_step_of_the_lowest_validation_loss():
    trained = train_one([6.0, 3.0, 5.0, 1.0, 4.0, 2.0, 3.0])
    assert trained.early_stop.step == 3
    assert trained.early_stop.validation == Evaluation(loss=1.0, accuracy=0.03)
    assert trained.early_stop.test == Evaluation(loss=11.0, accuracy=10.03)
    assert trained.end.step == 6
    assert trained.end.test == Evaluation(loss=13.0, accuracy=10.06)
    assert trained.weights["fc1.weight"].tolist() == [[6], [0]]
    assert not trained.diverged


def test_the_first_of_equal_losses_is_the_early_stop():
    assert train_one([6.0, 2.0, 3.0, 2.0, 2.0, 4.0, 2.0]).early_stop.step == 1


def test_a_network_that_never_improves_stops_early_at_its_first_step():
    assert train_one([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]).early_stop.step == 0


@pytest.mark.parametrize(("lowest", "censored"), [(94, False), (95, False), (96, True)])
def test_an_early_stop_in_the_last_5_percent_of_the_steps_is_censored(lowest, censored):
    losses = [abs(step - lowest) for step in range(101)]
    trained = train_one(losses, steps=100)
    assert trained.early_stop.step == lowest
    assert trained.censored is censored


def test_the_grid_holds_the_first_step_the_multiples_and_the_end():
    trained = train_one([1.0] * 8, steps=7, evaluate_every=3)
    assert trained.curves["validation"].step.tolist() == [0, 3, 6, 7]


def test_a_logarithmic_grid_stands_beside_the_multiples():
    asked = {"steps": 40, "evaluate_every": 15, "evaluations_per_decade": 2}
    trained = train_one([1.0] * 41, **asked)
    grid = [0, 1, 3, 10, 15, 30, 32, 40]
    assert trained.curves["validation"].step.tolist() == grid
    assert "train" not in trained.curves


def test_where_it_is_asked_for_each_evaluation_is_on_the_training_set_too():
    asked = {"evaluate_every": 3, "evaluate_train": True}
    snapshots = []
    trained = train_one(
        FALLING, lambda progress: snapshots.append(progress.snapshot()), **asked
    )
    assert trained.curves["train"].step.tolist() == [0, 3, 6]
    assert trained.curves["train"].loss.tolist() == [5.0, 2.0, -1.0]
    again = unpack(pack(snapshots[-1])).lanes[0].curves["train"]
    assert again.step.tolist() == [0, 3, 6]


def test_the_delay_is_the_ratio_of_the_first_steps_at_99_percent():
    def trained(fitted, general):
        found = train_one(FALLING, evaluate_every=3, evaluate_train=True)
        known = {"train": np.array(fitted), "validation": np.array(general)}
        known = {n: replace(found.curves[n], accuracy=a) for n, a in known.items()}
        return replace(found, curves=found.curves | known)

    def of(*curves):
        found = facts(job(), trained(*curves), 0.5)
        return [found[name] for name in ("fitted_step", "generalized_step", "delay")]

    assert of([0.5, 0.995, 0.9], [0.1, 0.2, 1.0]) == [3, 6, 2.0]
    assert of([0.5, 0.995, 1.0], [0.1, 0.2, 0.98]) == [3, None, None]
    assert "delay" not in facts(job(), train_one(FALLING), 0.5)


def test_a_late_start_keeps_the_grid_of_the_dense_network():
    late = replace(job(steps=7, evaluate_every=3), first_step=2)
    (trained,) = train([late], KnownLosses([1.0] * 8, first_step=2))
    assert trained.curves["validation"].step.tolist() == [2, 3, 6, 7]


def test_the_cadence_improved_tests_new_minima_and_the_end():
    trained = train_one([6.0, 3.0, 5.0, 3.0, 2.0, 4.0, 3.0])
    assert trained.curves["test"].step.tolist() == [0, 1, 4, 6]
    assert trained.curves["test"].loss.tolist() == [16.0, 13.0, 12.0, 13.0]


def test_the_cadence_improved_spares_the_evaluations_in_between():
    engine = KnownLosses([6.0, 3.0, 5.0, 3.0, 2.0, 4.0, 3.0])
    train([job()], engine)
    assert [step for split, step in engine.asked if split == "test"] == [0, 1, 4, 6]


def test_the_cadence_every_tests_at_each_evaluation():
    trained = train_one([1.0] * 7, evaluate_every=2, test_cadence="every")
    assert trained.curves["test"].step.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_network_that_diverges_is_stopped_where_it_was_seen(bad):
    trained = train_one([6.0, 3.0, bad, 1.0, 1.0, 1.0, 1.0])
    assert trained.diverged
    assert trained.curves["validation"].step.tolist() == [0, 1, 2]
    assert trained.weights["fc1.weight"].tolist() == [[2], [0]]
    assert trained.early_stop.step == 1
    assert trained.end.step == 2


def test_a_network_that_begins_diverged_has_its_early_stop_there():
    trained = train_one([math.nan] * 7)
    assert trained.diverged
    assert trained.early_stop.step == trained.end.step == 0


def test_infinite_weights_behind_a_finite_loss_count_as_diverged():
    engine = KnownLosses(FALLING)
    engine.weights = lambda: [{"fc1.weight": np.array([[np.inf], [0]], np.float32)}]
    (trained,) = train([job()], engine)
    assert trained.diverged
    assert trained.end.step == 6


def test_each_lane_has_the_result_it_would_have_alone():
    lanes = [FALLING, [6.0, 3.0, math.nan, 1.0, 1.0, 1.0, 1.0], [1.0] * 7]
    together = train([job()] * 3, KnownLosses(*lanes))
    for losses, trained in zip(lanes, together, strict=True):
        assert_equal(trained, train_one(losses))


def test_jobs_that_differ_in_their_steps_cannot_share_an_engine():
    with pytest.raises(ValueError, match="the jobs of one engine differ in settings"):
        train([job(), job(steps=5)], KnownLosses(FALLING, FALLING))


def test_a_pruned_weight_that_moved_is_caught():
    engine = KnownLosses(FALLING)
    engine.weights = lambda: [{"fc1.weight": np.array([[1], [1]], np.float32)}]
    with pytest.raises(AssertionError, match=r"fc1\.weight: a pruned weight has moved"):
        train([job()], engine)


def test_a_watcher_is_told_step_total_and_accuracy():
    seen = []
    train(
        [job(evaluate_every=4)],
        KnownLosses(FALLING),
        watch=lambda now: seen.append((now.step, now.total_steps, now.accuracies)),
        interval_s=0,
    )
    assert [step for step, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[2] == (3, 6, (0.0,))
    assert seen[3] == (4, 6, (0.04,))


def test_a_watcher_hears_of_the_end_however_seldom_it_is_called():
    seen = []
    train(
        [job()],
        KnownLosses(FALLING),
        watch=lambda now: seen.append(now.step),
        interval_s=1e6,
    )
    assert seen == [6]


def test_a_snapshot_nobody_takes_costs_nothing():
    engine = KnownLosses(FALLING)
    calls = []

    def state():
        calls.append("state")
        return {}

    engine.state = state
    train([job()], engine, interval_s=0)
    assert calls == []


def test_an_exception_of_a_watcher_ends_the_training():
    def interrupt(now):
        raise KeyboardInterrupt

    engine = KnownLosses(FALLING)
    with pytest.raises(KeyboardInterrupt):
        train([job()], engine, watch=interrupt, interval_s=0)
    assert engine.step == 1


@pytest.mark.parametrize("every", [1, 2, 4])
def test_resuming_from_any_step_gives_the_same_result(every):
    jobs = [job(evaluate_every=every, measures=("weight-norm", "mask-distance"))] * 2
    lanes = [[6.0, 3.0, math.nan, 1.0, math.inf, 1.0, 1.0], [3.0, 1, 2, 0, 4, 0, 5]]
    snapshots = []
    whole = train(
        jobs,
        KnownLosses(*lanes),
        watch=lambda now: snapshots.append(pack(now.snapshot())),
        interval_s=0,
    )
    assert len(snapshots) == 6
    for packed in snapshots:
        again = train(jobs, KnownLosses(*lanes), resume=unpack(packed))
        for before, after in zip(whole, again, strict=True):
            assert_equal(before, after)


def test_a_packed_snapshot_holds_arrays_only():
    packed = []
    train([job()], KnownLosses(FALLING), watch=lambda n: packed.append(n.snapshot()))
    arrays = pack(packed[-1])
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert arrays["lane/0/validation/step"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert sorted(pack(unpack(arrays))) == sorted(arrays)


def test_measures_are_taken_at_evaluations_and_windows_at_multiples():
    asked = {"measures": ("weight-norm", "mask-distance"), "evaluations_per_decade": 4}
    trained = train_one(FALLING, evaluate_every=4, **asked)
    norms = trained.measures["weight-norm"]
    assert norms.step.tolist() == norms.value.tolist() == [0, 1, 2, 3, 4, 6]
    assert trained.measures["mask-distance"].step.tolist() == [4]
    found = facts(job(), trained, 0.5)["measures"]
    assert found["weight-norm"]["value"] == [0, 1, 2, 3, 4, 6]
    assert "measures" not in facts(job(), train_one(FALLING), 0.5)


def assert_equal(one, other):
    assert one.measures.keys() == other.measures.keys()
    for name, series in one.measures.items():
        assert series.step.tolist() == other.measures[name].step.tolist()
        assert series.value.tolist() == other.measures[name].value.tolist()
    assert one.weights["fc1.weight"].tobytes() == other.weights["fc1.weight"].tobytes()
    for split, curve in one.curves.items():
        for column in ("step", "loss", "accuracy"):
            mine, theirs = getattr(curve, column), getattr(other.curves[split], column)
            assert mine.dtype == theirs.dtype
            assert mine.tobytes() == theirs.tobytes()
    assert repr(one.early_stop) == repr(other.early_stop)  # NaN differs from itself
    assert repr(one.end) == repr(other.end)
    assert (one.censored, one.diverged) == (other.censored, other.diverged)
