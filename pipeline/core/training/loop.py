"""The training loop: it advances an engine, evaluates, keeps curves, and stops.

The engine does the training itself. The loop advances it from one evaluation to the next
and records the curves. In between it pauses by the clock to report progress; no result
depends on these pauses.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from pipeline.core import masks, seeding
from pipeline.core.arrays import Weights
from pipeline.core.training.engine import (
    Engine,
    Job,
    PruningEngine,
    RegrowingEngine,
    ScoringEngine,
)
from pipeline.core.training.mask_rules import LivingMask, Seen
from pipeline.core.training.measuring import Measuring
from pipeline.core.training.results import (
    Curve,
    Curves,
    Lane,
    Snapshot,
    Trained,
    rank,
    read_off,
    splits_of,
)
from pipeline.core.training.score_rules import Learned
from pipeline.core.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a training is: a watcher gets this about once a second and at the end."""

    step: int
    total_steps: int
    """the step at which this training ends"""
    accuracies: tuple[float, ...]
    """the latest validation accuracy of each lane"""
    snapshot: Callable[[], Snapshot]
    """takes a snapshot of this step, only while the watcher runs; costs nothing unless
    called"""


Watch = Callable[[Progress], None]


def train(
    jobs: Sequence[Job],
    engine: Engine,
    *,
    resume: Snapshot | None = None,
    watch: Watch = lambda _: None,
    interval_s: float = 1.0,
) -> list[Trained]:
    """Train the networks of one engine to the end, or to the last step of their jobs.

    With ``last_step`` k the result is that of the first k steps of the whole training,
    bit for bit, on the whole training's schedule.

    The loop evaluates on the validation set at the first step, at every multiple of
    ``evaluate_every`` (and on a logarithmic grid, where settings ask for one), and at the
    last step; there, too, on the training set, where settings say so. With cadence
    ``improved`` it evaluates on the test set where the network's own validation loss is a
    new minimum, and at the end; with ``every``, at each evaluation. A network whose loss
    is NaN or infinite at an evaluation stops there, with the weights it has; the others
    go on.

    For a job with a mask rule, the mask changes between two updates, before any evaluation
    at that step. Only evaluations of its final mask are candidates for the early stop. A
    network that diverges takes its final mask where it stops.

    Args:
        jobs: the lanes of the engine, in its order; equal settings, first and last step.
        engine: made from exactly these jobs and not advanced yet.
        resume: continue from this snapshot instead of the first step, with the same bits.
        watch: called between slices of work; an exception that it raises ends the
            training.
        interval_s: seconds between two calls of ``watch``; 0 = after every step.

    Returns:
        One result per job; none depends on ``watch``, ``interval_s`` or ``resume``.

    Raises:
        ValueError: if the jobs differ in settings, first step, or number of steps; if
            the steps are not in the order 0, first, last, total; or if masks change while
            the networks train and the engine cannot do that.
    """
    plan = _plan(jobs)
    _check_engine(engine, jobs)
    if resume is None:
        step = plan.first_step
        lanes = [_Lane(job) for job in jobs]
        _change(engine, lanes, plan, step)
        _look(engine, lanes, plan, step)
    else:
        step = resume.step
        lanes = [_Lane(*known) for known in zip(jobs, resume.lanes, strict=True)]
        _restrict(engine, lanes)  # a state fits the mask under which it was taken
        engine.restore(resume.engine, step)
    pace = _Pace(interval_s)
    while not plan.over(step, lanes):
        evaluation = plan.next_evaluation(step)
        step += pace.advance(engine, plan.next_stop(step) - step)
        _change(engine, lanes, plan, step)
        if step == evaluation:
            _look(engine, lanes, plan, step)
        if pace.due() or plan.over(step, lanes):
            watch(_progress(engine, lanes, plan, step))
    final, learned = engine.weights(), _learned(engine, jobs)
    return [
        replace(
            read_off(
                job,
                lane.stopped or weights,
                lane.curves(),
                stopped_early=lane.stopped is not None,
                living=lane.living,
                learned=found,
            ),
            measures=lane.measuring.series(),
        )
        for job, lane, weights, found in zip(jobs, lanes, final, learned, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """The steps and settings that all lanes of an engine share."""

    first_step: int
    end_step: int
    settings: TrainSettings
    changes: tuple[int, ...]
    """steps after which masks change; empty where they stay the same"""
    candidates_since: int
    """the first step whose network may be the early stop's"""

    def next_evaluation(self, step: int) -> int:
        """The first step after this one at which to evaluate."""
        return min(self.settings.next_evaluation(step), self.end_step)

    def next_stop(self, step: int) -> int:
        """The first step after this one at which the engine must pause."""
        change = next((s for s in self.changes if s > step), self.end_step)
        return min(change, self.next_evaluation(step))

    def over(self, step: int, lanes: list["_Lane"]) -> bool:
        """Whether no lane has anything left to train."""
        return step >= self.end_step or all(lane.stopped for lane in lanes)


def _plan(jobs: Sequence[Job]) -> _Plan:
    job = jobs[0]
    settings = job.settings
    plans = {
        (j.settings, j.first_step, j.end_step, j.total_steps, j.rule is None) for j in jobs
    }
    if len(plans) > 1:
        raise ValueError(
            "the jobs of one engine differ in settings, first step, or total steps; "
            "give each kind an engine of its own"
        )
    if not 0 <= job.first_step <= job.end_step <= job.total_steps:
        raise ValueError(
            f"cannot train from step {job.first_step} to step {job.end_step}: the "
            f"training has the steps 0 to {job.total_steps}; begin and end within them"
        )
    return _Plan(
        first_step=job.first_step,
        end_step=job.end_step,
        settings=settings,
        changes=job.changes,
        candidates_since=job.candidates_since,
    )


class _Lane:
    """One network in training: its curves so far, and its mask if a rule changes it."""

    def __init__(self, job: Job, known: Lane | None = None) -> None:
        self.job = job
        self.living: LivingMask | None = None
        if job.rule:
            self.living = job.rule.begin(job.mask, job.first_step, job.total_steps)
            if known:
                self.living.restore(known.living)
        self.stopped: Weights | None = known.stopped if known else None
        self.measuring = Measuring(job, known.measuring if known else {})
        self.rows = {
            split: _rows(known.curves[split] if known else None)
            for split in splits_of(job.settings)
        }

    def stop(self, step: int, weights: Weights) -> None:
        """Keep the weights of a network that diverged, at its final density."""
        if self.living:
            self.living.finish(Seen(step=step, weights=weights))
            weights = masks.apply(weights, self.living.mask)
        self.stopped = weights

    def measure(self, step: int, weights: Weights) -> None:
        """Take the measures of its weights after a step."""
        mask = self.living.mask if self.living else self.job.mask
        self.measuring.take(step, weights, mask)

    def curves(self) -> Curves:
        """The rows as columns."""
        return {split: _curve(rows) for split, rows in self.rows.items()}

    def is_new_minimum(self, since: int) -> bool:
        """Whether the last validation loss is the lowest since a step, or the first."""
        found = [rank(loss) for step, loss, _ in self.rows["validation"] if step >= since]
        return bool(found) and found[-1] < min(found[:-1], default=math.inf)

    def snapshot(self) -> Lane:
        """A copy of the curves and the mask so far."""
        return Lane(
            curves=self.curves(),
            stopped=self.stopped,
            living=self.living.state() if self.living else {},
            measuring=self.measuring.state(),
        )


_Row = tuple[int, float, float]
"""step, loss, accuracy"""


def _rows(curve: Curve | None) -> list[_Row]:
    if curve is None:
        return []
    columns = (curve.step, curve.loss, curve.accuracy)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _curve(rows: list[_Row]) -> Curve:
    return Curve(
        step=np.array([step for step, _, _ in rows], np.int64),
        loss=np.array([loss for _, loss, _ in rows], np.float64),
        accuracy=np.array([accuracy for _, _, accuracy in rows], np.float64),
    )


class _Pace:
    """Sizes slices of work so that the watcher is called every ``interval_s`` seconds."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._called = time.monotonic()
        self._steps_per_s = 0.0

    def advance(self, engine: Engine, limit: int) -> int:
        """Advance the engine by at most ``limit`` steps; returns how many."""
        begin = time.monotonic()
        left_s = self._called + self._interval_s - begin
        num_steps = max(1, min(limit, int(self._steps_per_s * left_s)))
        engine.advance(num_steps)
        self._steps_per_s = num_steps / max(time.monotonic() - begin, 1e-9)
        return num_steps

    def due(self) -> bool:
        """Whether the watcher is to be called now; starts the next interval if so."""
        now = time.monotonic()
        if now - self._called < self._interval_s:
            return False
        self._called = now
        return True


def _look(engine: Engine, lanes: list[_Lane], plan: _Plan, step: int) -> None:
    """Evaluate where due, extend the curves, and stop the networks that diverged."""
    active = [i for i, lane in enumerate(lanes) if lane.stopped is None]
    seen = engine.evaluate("validation")
    for i in active:
        lanes[i].rows["validation"].append((step, seen[i].loss, seen[i].accuracy))
    _look_closer(engine, [(i, lanes[i]) for i in active], plan, step)
    diverged = [i for i in active if not math.isfinite(seen[i].loss)]
    last = step == plan.end_step
    wanted = [
        i
        for i in active
        if plan.settings.test_cadence == "every"
        or last
        or i in diverged
        or lanes[i].is_new_minimum(plan.candidates_since)
    ]
    if wanted:
        tested = engine.evaluate("test")
        for i in wanted:
            lanes[i].rows["test"].append((step, tested[i].loss, tested[i].accuracy))
    if diverged:
        weights = engine.weights()
        for i in diverged:
            lanes[i].stop(step, weights[i])


def _look_closer(
    engine: Engine, active: Sequence[tuple[int, _Lane]], plan: _Plan, step: int
) -> None:
    """Evaluate on the training set and take measures, where settings ask for it."""
    if plan.settings.evaluate_train:
        fitted = engine.evaluate("train")
        for i, lane in active:
            lane.rows["train"].append((step, fitted[i].loss, fitted[i].accuracy))
    if plan.settings.measures:
        weights = engine.weights()
        for i, lane in active:
            lane.measure(step, weights[i])


def _change(engine: Engine, lanes: list[_Lane], plan: _Plan, step: int) -> None:
    """Change the masks of the networks that still train, where that is due."""
    if step not in plan.changes:
        return
    gradients = cache(engine.gradients) if isinstance(engine, RegrowingEngine) else None
    for number, (lane, weights) in enumerate(zip(lanes, engine.weights(), strict=True)):
        if lane.living and lane.stopped is None:
            lane.living.change(
                Seen(
                    step=step,
                    weights=weights,
                    gradients=partial(_gradients_of, gradients, number),
                    draw=partial(_stream, lane.job, step),
                )
            )
    _restrict(engine, lanes)


def _gradients_of(gradients: Callable[[], list[Weights]] | None, lane: int) -> Weights:
    return gradients()[lane] if gradients else {}


def _stream(job: Job, step: int, purpose: str) -> np.random.Generator:
    """The stream of one change of a mask."""
    copy = f"{job.copy}/step={step}/{purpose}"
    return seeding.generator(job.seed, "mask_regrow", round=job.round, copy=copy)


def _check_engine(engine: Engine, jobs: Sequence[Job]) -> None:
    """Raise ValueError unless the engine can do what the jobs' rules ask."""
    if any(job.score_rule for job in jobs) and not isinstance(engine, ScoringEngine):
        raise ValueError("this engine trains no scores; give train.engine: reference")
    rules = [job.rule for job in jobs if job.rule]
    if rules and not isinstance(engine, PruningEngine):
        raise ValueError(
            "this engine cannot change masks while it trains; give train.engine: auto, "
            "or reference"
        )
    asks = any(rule.looks_at_gradients for rule in rules)
    if asks and not isinstance(engine, RegrowingEngine):
        raise ValueError(
            "this engine has no gradients of pruned weights; give train.engine: auto, or "
            "reference"
        )


def _learned(engine: Engine, jobs: Sequence[Job]) -> Sequence[Learned | None]:
    """The scores of each lane; None where weights train."""
    if jobs[0].score_rule is None:
        return [None] * len(jobs)
    assert isinstance(engine, ScoringEngine), "checked before the training"
    return engine.learned()


def _restrict(engine: Engine, lanes: list[_Lane]) -> None:
    """Hand the lanes' present masks to the engine, if a rule changes them."""
    changed = [lane.living.mask for lane in lanes if lane.living]
    if changed and isinstance(engine, PruningEngine):
        engine.restrict(changed)


def _progress(engine: Engine, lanes: list[_Lane], plan: _Plan, step: int) -> Progress:
    def snapshot() -> Snapshot:
        known = tuple(lane.snapshot() for lane in lanes)
        return Snapshot(step=step, engine=engine.state(), lanes=known)

    return Progress(
        step=step,
        total_steps=plan.end_step,
        accuracies=tuple(lane.rows["validation"][-1][2] for lane in lanes),
        snapshot=snapshot,
    )
