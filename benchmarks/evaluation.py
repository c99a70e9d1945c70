"""Share of evaluation in the time of a training, at the paper's cadence.

    python benchmarks/evaluation.py --out evaluation.json

LeNet-300-100 on MNIST, trained by the real loop: 50,000 steps and the validation set
(5,000 images) every 100, as in the paper; the test set (10,000) not as often, but when the
validation loss has improved, as in our presets. The engine is wrapped in one that times
its calls. Steps and evaluations take turns within a training, so that each training is its
own comparison. In the first 1,000 steps nearly every evaluation improves; the more steps,
the nearer the share comes to that of the validation set alone, which is reported beside
it: ``--steps 15000`` for our preset. About 7 minutes; ``--engines reference batched`` for
the slow ones.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import measuring
import torch
from measuring import DENSITIES, PAPER_CADENCE, Goal, Report

from pipeline.core.arrays import Weights
from pipeline.core.batches import Dataset
from pipeline.core.training.engine import Engine, Evaluation, Job, State
from pipeline.core.training.loop import train
from pipeline.engines import make_engine, resolve

ALLOWED = (0.3, 0.2)
"""share of the training time when dense, and below density .2"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One engine at one density."""

    engine: str
    density: float
    chosen: bool
    """whether ``train.engine: auto`` takes this engine here"""
    steps: int
    steps_per_s: float
    """of the training alone"""
    validations: int
    tests: int
    """evaluations of the test set"""
    share: float
    """of the whole time"""
    validation_share: float
    """the same if the validation loss never improved"""


class Timed:
    """An engine that knows how long it has taken for what."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = {"advance": 0.0, "validation": 0.0, "test": 0.0}
        self.calls = dict.fromkeys(self.seconds, 0)
        self.steps = 0

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        with self._timed("advance"):
            self._engine.advance(num_steps)
        self.steps += num_steps

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on a split."""
        with self._timed(split):
            return self._engine.evaluate(split)

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        return self._engine.weights()

    def state(self) -> State:
        """Everything that continuing needs."""
        return self._engine.state()

    def restore(self, state: State, step: int) -> None:
        """Continue from a state."""
        self._engine.restore(state, step)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - begin
        self.calls[what] += 1


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--steps", type=int, default=50_000)
    options.add_argument("--engines", nargs="+", default=["dense", "sparse"])
    arguments = options.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    data, source = measuring.load(arguments.data_root)
    rows = measure(data, DENSITIES, arguments.engines, steps=arguments.steps)
    report = measuring.save(
        arguments.out,
        begin,
        goals=goals(rows),
        rows=[asdict(row) for row in rows],
        data=source,
        evaluate_every=PAPER_CADENCE,
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def measure(
    data: Dataset, densities: Sequence[float], engines: Sequence[str], *, steps: int
) -> list[Row]:
    """These engines at these densities, and how many evaluations improved."""
    network = measuring.network_for("lenet-300-100", data)
    rows = []
    for density in densities:
        chosen = resolve("auto", network, density, "cpu")
        job = measuring.make_job(network, data, density, measuring.paper(steps))
        for name in engines:
            warm_up(name, job)
            rows.append(_row(name, density, trained(name, job), chosen=name == chosen))
            print(_line(rows[-1]), flush=True)
    return rows


def warm_up(name: str, job: Job) -> None:
    """Compile, and fill caches."""
    engine = make_engine(name, [job])
    engine.advance(10)
    engine.evaluate("validation")


def trained(name: str, job: Job) -> Timed:
    """Train to the end with the real loop."""
    engine = Timed(make_engine(name, [job]))
    train([job], engine)
    return engine


def _row(name: str, density: float, run: Timed, *, chosen: bool) -> Row:
    advance_s, validation_s = run.seconds["advance"], run.seconds["validation"]
    return Row(
        engine=name,
        density=density,
        chosen=chosen,
        steps=run.steps,
        steps_per_s=run.steps / advance_s,
        validations=run.calls["validation"],
        tests=run.calls["test"],
        share=1 - advance_s / sum(run.seconds.values()),
        validation_share=validation_s / (validation_s + advance_s),
    )


def _line(row: Row) -> str:
    return (
        f"density {row.density:5} {row.engine:9} {'*' if row.chosen else ' '} "
        f"{row.steps_per_s:8.0f} steps/s, {row.validations} validations and {row.tests} "
        f"tests take {row.share:.0%} (validation alone {row.validation_share:.0%})"
    )


def goals(rows: Sequence[Row]) -> list[Goal]:
    """The dense engine when dense, the sparse one below density .2: the largest share."""
    wanted = [
        ("dense", ALLOWED[0], [r for r in rows if r.engine == "dense" and r.density == 1]),
        (
            "sparse below .2",
            ALLOWED[1],
            [r for r in rows if r.engine == "sparse" and r.density < 0.2],
        ),
    ]
    return [
        Goal(
            what=f"evaluation, {what}",
            goal=allowed,
            measured=max(row.share for row in shown),
            unit="of the time",
        )
        for what, allowed, shown in wanted
        if shown
    ]


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Share against density, one line per engine."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        for name in dict.fromkeys(row.engine for row in rows):
            shown = [row for row in rows if row.engine == name]
            densities = [row.density for row in shown]
            (line,) = axes.plot(densities, [r.share for r in shown], marker="o", label=name)
            axes.plot(
                densities,
                [row.validation_share for row in shown],
                linestyle=":",
                color=line.get_color(),
            )
        axes.set(
            xscale="log", xlabel="density", ylabel="share of evaluation", ylim=(0, None)
        )
        axes.set_title(
            f"LeNet-300-100, {rows[0].steps:,} steps, evaluated every {PAPER_CADENCE} "
            f"(dotted: validation alone)\n{measuring.machine_line(report)}",
            fontsize="medium",
        )
        axes.invert_xaxis()
        axes.legend()


if __name__ == "__main__":
    main()
