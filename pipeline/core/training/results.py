"""Results of a training, and the snapshots from which a killed training continues."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers, Mask, Scores, Weights, is_finite
from pipeline.core.digests import digest
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Evaluation, Job, State
from pipeline.core.training.mask_rules import LivingMask
from pipeline.core.training.measuring import Series
from pipeline.core.training.score_rules import Learned, act, held_names
from pipeline.core.training.settings import TrainSettings

SPLITS = ("validation", "test")
"""the splits on which every training is evaluated"""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Evaluations on one split as columns, in order of the step; no step twice."""

    step: Integers
    loss: Doubles
    accuracy: Doubles


Curves = dict[str, Curve]
"""One curve per split: validation at every evaluation, test as ``test_cadence`` says, and
train at every evaluation where settings ask for it."""


def splits_of(settings: TrainSettings) -> tuple[str, ...]:
    """The splits on which a training is evaluated."""
    return ("train", *SPLITS) if settings.evaluate_train else SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The losses and accuracies reported for one step."""

    step: int
    validation: Evaluation
    test: Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """One network after its training."""

    weights: Weights
    mask: Mask
    """the final mask; part of the result, because a policy may change it on the way"""
    curves: Curves
    early_stop: Reading
    """reading at the first minimum of the raw validation loss over all evaluations. If the
    mask changed in training, only evaluations of the final mask count: the networks before
    it had other weights"""
    end: Reading
    """reading at the last step; for a diverged network, at the step where it stopped"""
    censored: bool
    """whether the early stop lies in the last 5 % of the steps, so that the minimum may
    come later"""
    diverged: bool
    """whether a loss or a weight became NaN or infinite"""
    kept_steps: dict[str, int] | None
    """per tensor, the sum over all steps of the number of weights kept; None where the
    mask stayed the same"""
    scores: Scores | None = None
    """what trained in place of weights; None where weights did"""
    measures: dict[str, Series] = field(default_factory=dict)
    """the measures that settings ask for, by name"""


def rank(loss: float) -> float:
    """The loss as a number to compare by: NaN is as bad as infinity."""
    return loss if math.isfinite(loss) else math.inf


def read_off(
    job: Job,
    weights: Weights,
    curves: Curves,
    *,
    stopped_early: bool,
    living: LivingMask | None = None,
    learned: Learned | None = None,
) -> Trained:
    """Read the result of one training off its curves.

    Args:
        job: the training that was asked for.
        weights: weights at the end of the curves; pruned ones are as in the start.
        curves: they need a test evaluation at the early stop and at the end.
        stopped_early: whether the training stopped because the loss was NaN or infinite.
        living: the mask of a job with a rule; None for other jobs.
        learned: the scores of a job whose scores train; None for other jobs.
    """
    mask = living.mask if living else job.mask
    if learned:
        weights, mask = _made(job, weights, learned)
    for name, kept in mask.items():
        # Weights pruned on the way are 0 now, although the start has a value for them.
        held = 0 if living or learned else job.start[name][~kept]
        assert (weights[name][~kept] == held).all(), f"{name}: a pruned weight has moved"
    since = job.candidates_since
    early = _reading(curves, early_stop_step(curves["validation"], since))
    end = _reading(curves, int(curves["validation"].step[-1]))
    left = job.end_step - early.step
    return Trained(
        weights=weights,
        mask=mask,
        curves=curves,
        early_stop=early,
        end=end,
        censored=20 * left < job.end_step - job.first_step,
        diverged=stopped_early or not is_finite(weights, job.start),
        kept_steps=_kept_steps(end.step, living, learned),
        scores=learned.scores if learned else None,
    )


def _made(job: Job, weights: Weights, learned: Learned) -> tuple[Weights, Mask]:
    """The network that scores make at the end, and its mask.

    The weights behind it must be those of the start, bit for bit.
    """
    rule = job.score_rule
    assert rule is not None, "scores of a job that trains none"
    names = held_names(parameters(job.network), rule)
    before, after = ({n: w[n] for n in names} for w in (job.start, learned.held))
    assert digest(before) == digest(after), "a weight has changed where scores train"
    acting, mask = act(rule, job.start, learned.scores, job.moment(job.end_step))
    return weights | acting, mask


def _kept_steps(
    step: int, living: LivingMask | None, learned: Learned | None
) -> dict[str, int] | None:
    if learned:
        return learned.kept_steps
    return living.kept_steps(step) if living else None


def early_stop_step(validation: Curve, since: int) -> int:
    """The step at which the raw validation loss is least; the first one if several tie.

    Args:
        validation: the curve.
        since: evaluations before this step do not count, except the very last one.
    """
    first = min(int(np.searchsorted(validation.step, since)), len(validation.step) - 1)
    ranks = [rank(loss) for loss in validation.loss[first:]]
    return int(validation.step[first + int(np.argmin(ranks))])


FITTED = 0.99
"""the accuracy from which a set counts as solved"""


def first_step_at(curve: Curve, accuracy: float) -> int | None:
    """The first evaluated step with at least this accuracy; None = never, censored.

    >>> steps, losses = np.array([0, 5, 9]), np.zeros(3)
    >>> curve = Curve(step=steps, loss=losses, accuracy=np.array([0.1, 0.995, 0.9]))
    >>> first_step_at(curve, 0.99), first_step_at(curve, 0.999)
    (5, None)
    """
    reached = curve.step[curve.accuracy >= accuracy]
    return int(reached[0]) if len(reached) else None


def _reading(curves: Curves, step: int) -> Reading:
    def at(curve: Curve) -> Evaluation:
        row = int(np.searchsorted(curve.step, step))
        return Evaluation(loss=float(curve.loss[row]), accuracy=float(curve.accuracy[row]))

    return Reading(step=step, validation=at(curves["validation"]), test=at(curves["test"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """The part of a snapshot that belongs to one network."""

    curves: Curves
    stopped: Weights | None
    """weights of a diverged network at the last step of its curves; None for others"""
    living: State = field(default_factory=dict)
    """state of a mask that a rule changes; empty for other networks"""
    measuring: State = field(default_factory=dict)
    """state of the measures; empty where settings ask for none"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything that the loop needs to continue bit for bit after ``step`` steps."""

    step: int
    engine: State
    lanes: tuple[Lane, ...]


def pack(snapshot: Snapshot) -> State:
    """Turn a snapshot into one flat dictionary of arrays, ready for a safetensors file."""
    packed: State = {"step": np.array([snapshot.step], np.int64)}
    packed |= {f"engine/{name}": array for name, array in snapshot.engine.items()}
    for i, lane in enumerate(snapshot.lanes):
        for split, curve in lane.curves.items():
            for column in Curve.__dataclass_fields__:
                packed[f"lane/{i}/{split}/{column}"] = getattr(curve, column)
        if lane.stopped is not None:
            for name, weight in lane.stopped.items():
                packed[f"lane/{i}/stopped/{name}"] = weight
        for part in ("living", "measuring"):
            for name, array in getattr(lane, part).items():
                packed[f"lane/{i}/{part}/{name}"] = array
    return packed


def unpack(packed: State) -> Snapshot:
    """Turn a packed dictionary back into the snapshot."""
    num_lanes = sum(name.endswith("/validation/step") for name in packed)
    return Snapshot(
        step=int(packed["step"][0]),
        engine=_below("engine/", packed),
        lanes=tuple(_lane(_below(f"lane/{i}/", packed)) for i in range(num_lanes)),
    )


def _lane(packed: State) -> Lane:
    known = [split for split in ("train", *SPLITS) if f"{split}/step" in packed]
    columns = {split: _below(f"{split}/", packed) for split in known}
    stopped = _below("stopped/", packed)
    return Lane(
        curves={
            split: Curve(
                step=np.asarray(found["step"], np.int64),
                loss=np.asarray(found["loss"], np.float64),
                accuracy=np.asarray(found["accuracy"], np.float64),
            )
            for split, found in columns.items()
        },
        stopped={n: np.asarray(w, np.float32) for n, w in stopped.items()} or None,
        living=_below("living/", packed),
        measuring=_below("measuring/", packed),
    )


def _below(prefix: str, packed: State) -> State:
    """The entries whose names begin with the prefix; the prefix is removed."""
    return {n.removeprefix(prefix): a for n, a in packed.items() if n.startswith(prefix)}
