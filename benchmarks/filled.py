"""Measure how far ``lt-pipeline run`` fills the processors while trainings last.

    python benchmarks/filled.py --out filled.json

The default experiment and ``lenet-quick`` with 6 seeds are run in fresh clones by
``lt-pipeline run``, which is ended when its last training is done. Between the ends of the
first and of the last training, the processor time of its workers is read from ``/proc``
and compared with that of all processors for as long. What compiles kernels is done before
the first training ends. Other work on the machine takes from the share: run it alone.
About 20 minutes on two cores.
"""

import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

import clone
import measuring
import psutil
from measuring import Goal, Report

from pipeline.run.executors import cores

EXPERIMENTS = {"digits": None, "lenet-quick": 6}
"""preset -> number of seeds; None = those of the preset"""
SHARE = 0.95
LOOK_S = 0.1
LAST_S = 60.0
"""that processes have to end"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One experiment."""

    preset: str
    seeds: int
    trainings: int
    seconds: float
    """from the end of the first training to that of the last"""
    workers_s: float
    """processor time of the workers in these"""
    driver_s: float
    """processor time of the process that gives them work"""
    alone_s: float
    """of the seconds, those at the end in which fewer trainings are left than cores"""

    @property
    def share(self) -> float:
        """Of the time of all processors, what workers had."""
        return self.workers_s / (self.seconds * cores.available_cores())

    def __str__(self) -> str:
        """One line for the terminal."""
        return (
            f"{self.trainings} trainings in {self.seconds:.1f} s: {self.share:.1%} of "
            f"{cores.available_cores()} cores are with workers, {self.driver_s:.1f} s with "
            f"the driver; fewer trainings than cores for {self.alone_s:.1f} s"
        )


@dataclass(kw_only=True)
class Looks:
    """The processor time of a process and of those below it, over time."""

    process: psutil.Process

    def __post_init__(self) -> None:
        """Begin to look."""
        self._below: dict[int, float] = {}
        self._found: list[tuple[float, float, float]] = []
        self._end = Event()
        self._thread = Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """Processor seconds of what is below, and of the process itself."""
        first = min(self._found, key=lambda one: abs(one[0] - begin))
        last = min(self._found, key=lambda one: abs(one[0] - end))
        return last[1] - first[1], last[2] - first[2]

    def _look(self) -> None:
        while not self._end.wait(LOOK_S):
            with suppress(psutil.NoSuchProcess):
                own = sum(self.process.cpu_times()[:2])
                for child in self.process.children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        self._below[child.pid] = sum(child.cpu_times()[:2])
                self._found.append((time.monotonic(), sum(self._below.values()), own))


def measure(root: Path, settings: clone.Params, preset: str) -> Row:
    """Run one experiment until its last training is done."""
    clone.make(root, settings)
    clone.run(root, ["git", "init", "--quiet"])
    process = clone.begun(root)
    looks = Looks(process=psutil.Process(process.pid))
    ended: list[float] = []
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if not line.startswith("training ") or " of " not in line:
            continue
        ended.append(time.monotonic())
        total = int(line.split(":")[0].split()[-1])
        print(f"\r{preset}: {len(ended)} of {total}", end="", flush=True)
        if len(ended) == total:
            break
    looks.end()
    process.send_signal(signal.SIGINT)
    process.communicate()
    print()
    _wait_for_others(root)
    if not ended:
        raise RuntimeError(f"lt-pipeline run has trained nothing:\n{said}")
    workers_s, driver_s = looks.between(ended[0], ended[-1])
    return Row(
        preset=preset,
        seeds=len(settings["seeds"]),
        trainings=len(ended),
        seconds=ended[-1] - ended[0],
        workers_s=workers_s,
        driver_s=driver_s,
        alone_s=ended[-1] - ended[-min(cores.available_cores(), len(ended))],
    )


def _wait_for_others(root: Path) -> None:
    """Wait for what writes into MLflow, which ends after the process that it follows."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(root.resolve()):
                process.wait(LAST_S)


def main() -> None:
    """Measure, print, save."""
    options = measuring.parser(__doc__)
    options.add_argument("--presets", nargs="+", default=list(EXPERIMENTS))
    options.add_argument("--steps", type=int, help="of each training, to try it quickly")
    asked = options.parse_args()
    begin = time.monotonic()
    rows = []
    for preset in asked.presets:
        settings = clone.preset(preset)
        settings["data"]["root"] = str(asked.data_root.resolve())
        if num := EXPERIMENTS.get(preset):
            settings["seeds"] = list(range(num))
        if asked.steps:
            for task in settings["tasks"].values():
                task["train"] |= {"steps": asked.steps, "epochs": None}
                task["train"]["evaluate_every"] = asked.steps
        with tempfile.TemporaryDirectory(prefix="lt-benchmark-") as folder:
            rows.append(measure(Path(folder) / "clone", settings, preset))
        print(rows[-1], flush=True)
    report = measuring.save(
        asked.out, begin, goals=goals(rows), rows=[asdict(row) for row in rows]
    )
    plot(rows, report, asked.out.with_suffix(".png"))


def goals(rows: list[Row]) -> list[Goal]:
    """Nearly all of the processors' time goes into trainings."""
    return [
        Goal(
            what=f"{row.preset}: share of the processors that workers have",
            goal=SHARE,
            measured=row.share,
            unit="of the time",
            at_least=True,
        )
        for row in rows
    ]


def plot(rows: list[Row], report: Report, file: Path) -> None:
    """Who has the processors while trainings last."""
    with measuring.figure(file, height=2.4 + 0.4 * len(rows)) as drawn:
        axes = drawn.subplots()
        names = [f"{row.preset}, {row.seeds} seeds" for row in rows]
        whole = [row.seconds * cores.available_cores() for row in rows]
        workers = [row.workers_s / of for row, of in zip(rows, whole, strict=True)]
        driver = [row.driver_s / of for row, of in zip(rows, whole, strict=True)]
        axes.barh(names, workers, label="workers")
        axes.barh(names, driver, left=workers, label="driver")
        axes.axvline(SHARE, color="grey", linestyle=":")
        axes.set(xlabel="share of the processors' time (dotted: goal)", xlim=(0, 1))
        axes.legend(loc="lower left")
        axes.set_title(measuring.machine_line(report), fontsize="medium")


if __name__ == "__main__":
    main()
