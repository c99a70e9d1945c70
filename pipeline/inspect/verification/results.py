"""Check that result files, curves, timings, lines and tables agree with their networks.

The facts of a training follow from its weights, its mask and its learning curves, so they
are read off again. The numbers of a curve are what evaluations gave, so that only the hash
in dvc.lock tells whether one of them has changed; the same holds for seconds, and for what
lines.json says of the ends of a line.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifacts import files, parquet, paths
from pipeline.config.analysis import Analysis
from pipeline.config.settings import Settings
from pipeline.core import data_orders, measures, metrics
from pipeline.core.analysis.interpolation import Line, evenly_spaced
from pipeline.core.analysis.pairs import seeds_between
from pipeline.core.arrays import Mask
from pipeline.core.digests import digest
from pipeline.core.measures import MEASURES, Seen
from pipeline.core.models.layers import has_statistics, parameters
from pipeline.core.models.totals import sizes
from pipeline.core.training import mask_rules
from pipeline.core.training.engine import Job
from pipeline.core.training.facts import cost_facts, facts
from pipeline.core.training.measuring import Series
from pipeline.core.training.results import SPLITS, Curve, Curves, rank, read_off
from pipeline.core.training.score_rules import Learned, held_names
from pipeline.engines import AUTO, ENGINES
from pipeline.inspect.verification import networks
from pipeline.inspect.verification.looking import Looks, Subject, difference
from pipeline.plan import compiler
from pipeline.results import tables
from pipeline.run import rounds, rules, trials

SAME = 1e-9
"""two measures of equal weights differ by less than this share"""
TABLE, SUMMARY = Path("results/rounds.csv"), Path("results/summary.json")


@dataclass(frozen=True, slots=True)
class _Found:
    """The final mask of a training that changed it, and the counts that it recorded."""

    mask: Mask
    recorded: dict[str, int]

    def kept_steps(self, step: int) -> dict[str, int]:  # noqa: ARG002 - as a living mask
        return self.recorded

    def change(self, seen: mask_rules.Seen) -> None:
        raise NotImplementedError

    def finish(self, seen: mask_rules.Seen) -> None:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


def results(subject: Subject) -> Looks:
    """The facts of each seed, read off its weights, mask and curves; and the curves."""
    folder = subject.item.path("results")
    path, curves = folder / "result.json", folder / "curves.parquet"

    def look() -> str:
        found = files.load_json(path)
        head = {key: value for key, value in found.items() if key != "seeds"}
        seeds = {str(seed): _facts(subject, seed) for seed in subject.item.seeds}
        kept = seeds[str(subject.item.seeds[0])]["kept"]
        return difference(
            _head(subject, found["engine"]) | sizes(subject.network, kept), head
        ) or difference({"seeds": seeds}, {"seeds": found["seeds"]})

    yield path, look
    yield curves, lambda: _curves_problem(subject, curves)


def timing(subject: Subject) -> Looks:
    """Seconds and steps/s of each training, when it was, and on which machine."""
    path, item = subject.item.path("timing"), subject.item
    names = [str(seed) for seed in item.seeds]
    if item.kind.name == "copies":
        pairs = subject.settings.analyses[item["analysis"]].pairs or 0
        names = [f"{s} {copy}" for s in names for copy in data_orders.of_copies(pairs)]

    def look() -> str:
        found = files.load_json(path)
        began, ended = (datetime.fromisoformat(found[key]) for key in ("started", "ended"))
        wanted = {
            "seeds": {
                name: {key: _positive(found["seeds"][name][key]) for key in _SPEEDS}
                for name in names
            },
            "started": began.isoformat(),
            "ended": max(began, ended).isoformat(),
            "host": str(found["host"]),
            "cpu": str(found["cpu"]),
            "versions": {name: str(found["versions"][name]) for name in _VERSIONS},
        }
        return difference(wanted, found)

    yield path, look


_SPEEDS = ("seconds", "steps_per_s")
_VERSIONS = ("python", "torch", "numpy", "numba")


def lines(subject: Subject) -> Looks:
    """The points of every line, and what follows from them alone."""
    item = subject.item
    folder, analysis = item.path("lines"), subject.settings.analyses[item["analysis"]]
    table, path = folder / "lines.parquet", folder / "lines.json"

    def look_at_points() -> str:
        return difference(_points(subject, analysis), _columns(table, _PLACE))

    def look_at_facts() -> str:
        found = files.load_json(path)
        wanted = _lines_head(subject) | {"seeds": _with_barriers(found["seeds"], table)}
        keys = {str(seed) for seed, _ in seeds_between(analysis.to, item.seeds)}
        return difference(wanted, found) or difference(sorted(keys), sorted(found["seeds"]))

    yield table, look_at_points
    yield path, look_at_facts


def of_tables(settings: Settings) -> Looks:
    """The tables, made again from the result files."""

    def rows() -> list[tables.Row]:
        return tables.rows(tables.round_results(Path(), compiler.active(settings)))

    def look_at_table() -> str:
        wanted = tables.rounds_csv(rows()).split("\n")
        with files.readable(TABLE):
            found = TABLE.read_text(encoding="utf-8")
        return difference(wanted, found.split("\n"))

    yield TABLE, look_at_table
    yield SUMMARY, lambda: difference(tables.summary(rows()), files.load_json(SUMMARY))


def _head(subject: Subject, engine: str) -> dict[str, Any]:
    """The entries of result.json beside seeds and sizes.

    The engine is that of the plan, or a plainer one where that was set aside.
    """
    wanted, network = subject.item["engine"], subject.network
    if subject.task.train.engine == AUTO and ENGINES[wanted].compiles(network):
        others = trials.plainer(wanted, network, changes_mask=False)
        wanted = engine if engine in others else wanted
    return {
        "task": subject.item["task"],
        "variant": subject.item["variant"],
        "round": subject.item.number("round"),
        "engine": wanted,
        "settings": subject.behind,
    }


def _facts(subject: Subject, seed: int) -> dict[str, Any]:
    """The facts of a seed, by the core's own reading."""
    item = subject.item
    folder = item.path("trained")
    job, curves = _job(subject, seed), _curves(subject, seed)
    living: _Found | None = None
    if job.rule is not None:
        recorded = networks.result_of(item.path("results"), seed)["kept_steps"]
        living = _Found(files.load_mask(folder, seed), _possible(recorded, job, curves))
    trained = read_off(
        job,
        files.load_weights(folder, seed),
        curves,
        stopped_early=not math.isfinite(curves["validation"].loss[-1]),
        living=living,
        learned=_learned(subject, job, seed),
    )
    trained = replace(trained, measures=_measured(subject, job, seed, curves))
    accuracy = metrics.accuracy(subject.task.program.metric, trained, job.end_step)
    theta0 = files.load_weights(paths.theta0_folder(item["task"], item.seeds), seed)
    found = facts(job, trained, accuracy) | {"theta0": digest(theta0)}
    if subject.variant and subject.variant.prune.pool:
        found |= rounds.pooled_from(item.path("mask"), seed)
    return found | (cost_facts(job) if subject.task.is_own else {})


def _measured(subject: Subject, job: Job, seed: int, curves: Curves) -> dict[str, Series]:
    """The measures that the result has, at the steps of evaluations where they are due.

    Numbers of networks that are gone are as recorded; those of the trained one are taken
    again.
    """
    if not job.settings.measures:
        return {}
    item, every = subject.item, job.settings.evaluate_every
    recorded = networks.result_of(item.path("results"), seed)["measures"]
    steps = curves["validation"].step
    windows = [step for step in steps if step % every == 0][1:]
    last = Seen(
        network=job.network,
        weights=files.load_weights(item.path("trained"), seed),
        mask=files.load_mask(item.path("trained"), seed),
        before={},
    )
    found = {}
    for name in job.settings.measures:
        compares = MEASURES[name].compares
        values = [math.nan if v is None else float(v) for v in recorded[name]["value"]]
        due = windows if compares else steps
        if not compares:
            taken = measures.take(name, last)
            # Products of several threads differ in the last bits from those of one.
            if not math.isclose(taken, values[-1], rel_tol=SAME):
                values[-1] = taken
        found[name] = Series(step=np.array(due, np.int64), value=np.array(values))
    return found


def _possible(recorded: dict[str, int], job: Job, curves: Curves) -> dict[str, int]:
    """The kept steps of a changing mask: for the tensors that have some, in bounds."""
    steps = int(curves["validation"].step[-1]) - job.first_step
    rule = job.rule or job.score_rule
    assert rule is not None, "its mask stays the same"
    most = {name: job.mask[name].size * steps for name in rule.counted}
    return {name: min(max(int(recorded[name]), 0), most[name]) for name in most}


def _job(subject: Subject, seed: int) -> Job:
    """The training behind a result, as far as its facts depend on it."""
    item, variant = subject.item, subject.variant
    round = item.number("round")
    start = item.path("theta0" if variant is None else "start")
    return Job(
        network=subject.network,
        start=files.load_weights(start, seed),
        mask=networks.begun_with(subject, seed),
        data=subject.data,
        settings=subject.task.train,
        seed=seed,
        round=round,
        first_step=variant.rewind.first_step if variant else 0,
        last_step=variant.rewind.last_step if variant else None,
        rule=rules.mask_rule(subject.task, variant.prune, round) if variant else None,
        score_rule=rules.score_rule(subject.task, variant.prune, round)
        if variant
        else None,
    )


def _learned(subject: Subject, job: Job, seed: int) -> Learned | None:
    """The scores of a training, as their file has them, and the counts it recorded."""
    if job.score_rule is None:
        return None
    item = subject.item
    recorded = networks.result_of(item.path("results"), seed)["kept_steps"]
    path = paths.seed_file(item.path("trained"), seed, "scores")
    held = held_names(parameters(job.network), job.score_rule)
    return Learned(
        scores=files.load_arrays(path),
        held={name: job.start[name] for name in held},
        kept_steps=_possible(recorded, job, _curves(subject, seed)),
    )


def _curves(subject: Subject, seed: int) -> Curves:
    table = parquet.load_curves(subject.item.path("results") / "curves.parquet")
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    found = {}
    for split in sorted({*SPLITS, *columns["split"].tolist()}):
        rows = (columns["seed"] == seed) & (columns["split"] == split)
        found[split] = Curve(
            step=columns["step"][rows],
            loss=columns["loss"][rows].astype(np.float64),
            accuracy=columns["accuracy"][rows].astype(np.float64),
        )
    return found


def _curves_problem(subject: Subject, path: Path) -> str:
    """Whether evaluations stand where they are due, in order, with possible values."""
    wanted: dict[str, list[Any]] = {"seed": [], "step": [], "split": []}
    for seed in subject.item.seeds:
        job, validation = _job(subject, seed), _curves(subject, seed)["validation"]
        for step, split in _due(job, validation):
            for name, value in (("seed", seed), ("step", step), ("split", split)):
                wanted[name].append(value)
    if problem := difference(wanted, _columns(path, tuple(wanted))):
        return problem
    values = _columns(path, ("loss", "accuracy"))
    if any(not (loss >= 0 or math.isnan(loss)) for loss in values["loss"]):
        return "a loss is negative"
    if any(not (0 <= value <= 1 or math.isnan(value)) for value in values["accuracy"]):
        return "an accuracy is not between 0 and 1"
    return ""


def _due(job: Job, validation: Curve) -> list[tuple[int, str]]:
    """The steps and splits of the evaluations of a training, in the order of its file."""
    since = job.candidates_since
    steps = [job.first_step]
    while steps[-1] < job.end_step and len(steps) < len(validation.step):
        steps.append(min(job.settings.next_evaluation(steps[-1]), job.end_step))
    if math.isfinite(validation.loss[-1]) and steps[-1] != job.end_step:
        raise ValueError(f"the curve of seed {job.seed} ends at step {steps[-1]}")
    found, best = [], math.inf
    for i, step in enumerate(steps):
        loss = rank(float(validation.loss[i]))
        new = step >= since and loss < best
        best = loss if new else best
        found.append((step, "validation"))
        if job.settings.evaluate_train:
            found.append((step, "train"))
        if job.settings.test_cadence == "every" or new or step == steps[-1]:
            found.append((step, "test"))
    return found


def _positive(number: object) -> float:
    """The number, if it is one of seconds or steps.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(number, float | int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"found {number!r} where seconds or steps/s belong")
    return number


_PLACE = ("seed", "pair", "statistics", "alpha")
"""the columns of lines.parquet that say which point a row is about"""
_POINT = (*_PLACE, "loss", "error")


def _columns(path: Path, names: tuple[str, ...]) -> dict[str, list[Any]]:
    load = parquet.load_lines if path.name.startswith("lines") else parquet.load_curves
    table = load(path)
    return {name: table[name].to_pylist() for name in names}


def _points(subject: Subject, analysis: Analysis) -> dict[str, list[Any]]:
    """The points at which an analysis looks, in the order of its file."""
    recalibrated = analysis.recalibration_batches is not None
    both = recalibrated and has_statistics(subject.network)
    rows = [
        (seed, pair, statistics, float(alpha))
        for seed, _ in seeds_between(analysis.to, subject.item.seeds)
        for pair in range(analysis.pairs or 1)
        for statistics in ("interpolated", *(("recalibrated",) if both else ()))
        for alpha in evenly_spaced(analysis.points)
    ]
    return {name: [row[i] for row in rows] for i, name in enumerate(_PLACE)}


def _with_barriers(found: dict[str, Any], path: Path) -> dict[str, Any]:
    """The facts of all lines, with the barriers that follow from their points."""
    from pipeline.core.analysis.lines import barriers

    columns = {name: np.array(values) for name, values in _columns(path, _POINT).items()}

    def line(seed: str, pair: str, statistics: str) -> Line:
        rows = (columns["seed"] == int(seed)) & (columns["pair"] == int(pair))
        rows &= columns["statistics"] == statistics
        alpha, loss, error = (columns[n][rows].astype(float) for n in _POINT[3:])
        return Line(alpha=alpha, loss=loss, error=error)

    ways = sorted(set(columns["statistics"].tolist()))

    def facts(seed: str, pair: str, known: dict[str, Any]) -> dict[str, Any]:
        return known | {"statistics": {n: barriers(line(seed, pair, n)) for n in ways}}

    return {
        seed: {pair: facts(seed, pair, known) for pair, known in pairs.items()}
        for seed, pairs in found.items()
    }


def _lines_head(subject: Subject) -> dict[str, Any]:
    item = subject.item
    return {
        "task": item["task"],
        "analysis": item["analysis"],
        "round": item.number("round"),
        "step": item.number("step"),
        "settings": subject.raw["analyses"][item["analysis"]],
    }
