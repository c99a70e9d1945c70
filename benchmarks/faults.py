"""Kill, fill and damage a small experiment, and count how often it needs help.

    python benchmarks/faults.py --kills 100 --seed 1 --out faults.json

The experiment has every kind of stage. It runs in throw-away clones, with trainings of a
second that keep a checkpoint at every report. Three kinds of faults happen to it:

- a kill: SIGKILL of a random victim (the whole group, dvc, a stage, a worker, or the
  forkserver) at a random moment; now and then a checkpoint is damaged, too. Then the same
  command starts again at once, and is killed again, until a run may come to its end;
- a full disk: the clone lies on a tmpfs that fills up at a random size, and is then given
  room (where none can be mounted, files cannot grow beyond a random size instead);
- damage: a file of the finished experiment is changed, cut off, deleted, or replaced. The
  command `verify` must find it, and the next run must bring it back.

A fault needs no help if the same command, started again, ends with the artifacts of an
undisturbed run, bit for bit, and leaves no process, checkpoint or temporary file behind.
About 10 s a kill, 40 s a full disk and 20 s a damage on 2 idle cores.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import clone
import measuring
import numpy as np
import psutil
from ruamel.yaml import YAML

from pipeline.artifacts import paths
from pipeline.cli import app
from pipeline.plan import fingerprints
from pipeline.run import checkpoints

SETTINGS = """
experiment: faults
rounds: 1
seeds: [0, 1]
workers: 2
data: {download: false}
tasks:
  main:
    data: digits
    model: {name: mlp, widths: [8], init: glorot-normal}
    train: {steps: 800, batch_size: 32, optimizer: adam, lr: 0.001, evaluate_every: 100,
            engine: reference}
variants:
  ticket:
    prune: {mask: own, criterion: magnitude, scope: layerwise,
            fraction: {fc: 0.3, output: 0.15}}
    rewind: {to: early, step: 200}
analyses:
  stable: {kind: instability, tasks: [main], of: dense, steps: [200], pairs: 1, points: 3}
"""
VICTIMS = ("group", "dvc", "stage", "worker", "forkserver")
SPREAD_S = 8.0
"""a kill comes so long after the start at most, and then once the victim is there"""
DVC_COMMANDS = (["-m", "dvc"], ["-m", "pipeline.launch.dvc"])
"""how dvc is started: by hand, and by ``lt-pipeline run``"""
KILLS_PER_RUN = 12
LIMIT_S = 600.0
"""a run that takes longer hangs"""
TABLES = ("results/rounds.csv", "results/summary.json")
OFTEN = (
    ("pipeline/run/seeds_work.py", "CHECKPOINT_S = 10.0", "CHECKPOINT_S = 0.0"),
    (
        "pipeline/core/training/loop.py",
        "interval_s: float = 1.0",
        "interval_s: float = 0.1",
    ),
)
"""edits with which trainings report, and keep checkpoints, ten times a second"""
Hashes = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that went wrong, and how the experiment came out of it."""

    kind: str
    """kill, full disk, damage"""
    what: str
    help: str = ""
    """what the next run did in place of going on; empty: it needed no help"""
    traceback: bool = False
    """whether the run to which it happened printed one"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """An experiment that is about to begin, and one that has ended undisturbed."""

    fresh: Path
    finished: Path
    hashes: Hashes
    """of what every run must make"""
    command: list[str]
    folder: Path
    """for the clones"""


class Run:
    """The command at work in a clone, in a process group of its own."""

    def __init__(self, root: Path, command: list[str], limit_kb: int | None = None) -> None:
        self.root = root
        self._log = root.with_suffix(".log")
        limit = ["prlimit", f"--fsize={1024 * limit_kb}"] if limit_kb else []
        with self._log.open("wb") as written:
            self._process = subprocess.Popen(
                [*limit, *command],
                cwd=root,
                env=clone.environment(root.parent / "clone"),
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it has come to an end by now."""
        return self._process.poll() is not None

    def end(self) -> int:
        """Wait for its end; one that hangs is killed and has the code of its signal."""
        try:
            return self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()

    def kill(self, victim: str) -> bool:
        """Kill the victim as soon as it is there; False if the run ended before that."""
        while not self.ended:
            with suppress(psutil.Error, ProcessLookupError):
                if victim == "group":
                    os.killpg(self._process.pid, signal.SIGKILL)
                    return True
                if found := self._find(victim):
                    found.kill()
                    return True
            time.sleep(0.005)
        return False

    def _find(self, victim: str) -> psutil.Process | None:
        leader = psutil.Process(self._process.pid)
        below = leader.children(recursive=True)
        servers = [p for p in below if any("forkserver" in w for w in p.cmdline()[-1:])]
        found = {
            "dvc": [
                p for p in (*reversed(below), leader) if p.cmdline()[1:3] in DVC_COMMANDS
            ],
            "stage": [p for p in below if "pipeline.stages." in " ".join(p.cmdline()[1:3])],
            "forkserver": [p for p in servers if p.parent() not in servers],
            "worker": [w for server in servers for w in server.children()],
        }[victim]
        return found[0] if found else None


def main() -> int:
    """Run the campaign, print and save it; 1 if a fault needed help, else 0."""
    options = measuring.parser(__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--fills", type=int, default=3, help="full disks")
    options.add_argument("--damages", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lt-faults-") as folder:
        faults = campaign(prepare(Path(folder)), arguments)
    for line in summary(faults):
        print(line)
    measuring.save(arguments.out, begin, faults=[asdict(fault) for fault in faults])
    return int(any(fault.help or fault.traceback for fault in faults))


def campaign(bench: Bench, wanted: argparse.Namespace) -> list[Fault]:
    """As many faults of each kind as wanted, at moments and places drawn from a seed."""
    rng = np.random.default_rng(wanted.seed)
    faults: list[Fault] = []
    while len(faults) < wanted.kills:
        num = min(KILLS_PER_RUN, wanted.kills - len(faults))
        faults += said(kills(bench, num, rng))
    for _ in range(wanted.fills):
        faults += said([full_disk(bench, rng)])
    for _ in range(wanted.damages):
        faults += said([damage(bench, rng)])
    return faults


def said(faults: list[Fault]) -> list[Fault]:
    """The same faults, printed."""
    for fault in faults:
        traceback = ", with a traceback" if fault.traceback else ""
        print(
            f"{fault.kind}: {fault.what}: {fault.help or 'no help'}{traceback}", flush=True
        )
    return faults


def summary(faults: list[Fault]) -> Iterator[str]:
    """A line per kind of fault."""
    for kind in dict.fromkeys(fault.kind for fault in faults):
        same = [fault for fault in faults if fault.kind == kind]
        alone = sum(not fault.help for fault in same)
        traced = sum(fault.traceback for fault in same)
        yield (
            f"{kind}: {alone} of {len(same)} ended in the same bits without help; "
            f"{traced} printed a traceback"
        )


def prepare(folder: Path) -> Bench:
    """Make the experiment and run it once, undisturbed.

    Raises:
        RuntimeError: if that fails.
    """
    fresh, finished = folder / "clone", folder / "finished"
    clone.make(fresh, YAML(typ="safe", pure=True).load(SETTINGS))
    for name, old, new in OFTEN:
        text = (fresh / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        (fresh / name).write_text(text.replace(old, new), encoding="utf-8")
    clone.run(fresh, ["git", "init", "--quiet"])
    shutil.copytree(fresh, finished)
    known = {one.callback.__name__ for one in app.registered_commands if one.callback}
    of_ours = "run" in known  # it mends what DVC leaves half-written
    module, name = ("pipeline.cli", "run") if of_ours else ("dvc", "repro")
    command = clone.python(module, name)
    bench = Bench(fresh=fresh, finished=finished, hashes={}, command=command, folder=folder)
    one = Run(finished, command)
    if one.end():
        raise RuntimeError(f"an undisturbed run failed:\n{one.output}")
    return replace(bench, hashes=hashes(finished))


def kills(bench: Bench, num: int, rng: np.random.Generator) -> list[Fault]:
    """Kill one experiment so often, start it again each time, and let it end."""
    faults: list[Fault] = []
    with copied(bench.fresh, bench.folder) as root:
        while True:
            run = Run(root, bench.command)
            fault = _kill(run, rng) if len(faults) < num else None
            code = run.end()
            if fault is not None:
                faults.append(replace(fault, traceback="Traceback" in run.output))
            elif code == 0:
                left = _differs(root, bench.hashes) or _verified(root)
                return [
                    fault if fault.help else replace(fault, help=left) for fault in faults
                ]
            elif not faults or faults[-1].help:
                raise RuntimeError(f"it ends without a fault:\n{run.output}")
            else:
                faults[-1] = replace(faults[-1], help=_last_line(run.output))
                _help(root)


def full_disk(bench: Bench, rng: np.random.Generator) -> Fault:
    """Run on a disk that fills up somewhere, then with room for everything."""
    before, needed = _size_kb(bench.fresh), _size_kb(bench.finished)
    free_kb = int(rng.integers(1, 9 * (needed - before) // 10))
    with tmpfs(bench.folder, before + free_kb) as (root, grow):
        limit_kb = None if grow else int(rng.integers(1, 64))
        shutil.copytree(bench.fresh, root, dirs_exist_ok=True)
        what = f"{free_kb} KB free" if grow else f"no file above {limit_kb} KB"
        fault = Fault(kind="full disk", what=what)
        run = Run(root, bench.command, limit_kb)
        if run.end() == 0:
            return fault  # there was room enough
        fault = replace(fault, traceback="Traceback" in run.output)
        if grow:
            grow()
        again = Run(root, bench.command)
        if again.end():
            return replace(fault, help=_last_line(again.output))
        return replace(fault, help=fault.help or _differs(root, bench.hashes))


def damage(bench: Bench, rng: np.random.Generator) -> Fault:
    """Damage one file of the finished experiment; verify finds it, a run mends it."""
    with copied(bench.finished, bench.folder) as root:
        file = root / rng.choice(sorted(bench.hashes))
        how = DAMAGES[rng.choice(sorted(DAMAGES))]
        how(file, rng)
        fault = Fault(kind="damage", what=f"{how.__name__} {file.relative_to(root)}")
        if not _verified(root):
            fault = replace(fault, help="verify did not find it")
        run = Run(root, bench.command)
        if run.end():
            return replace(fault, help=_last_line(run.output))
        return replace(
            fault, help=fault.help or _differs(root, bench.hashes) or _verified(root)
        )


def _flip(file: Path, rng: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    file.write_bytes(content)


def _cut(file: Path, rng: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.integers(len(content))])


def _delete(file: Path, _: np.random.Generator) -> None:
    file.unlink()


def _replace(file: Path, _: np.random.Generator) -> None:
    file.unlink()
    (file / "inside").mkdir(parents=True)


Damage = Callable[[Path, np.random.Generator], None]
DAMAGES: dict[str, Damage] = {
    "flip": _flip,
    "cut": _cut,
    "delete": _delete,
    "replace": _replace,
}


def _kill(run: Run, rng: np.random.Generator) -> Fault | None:
    """One kill, unless the run ends before; sometimes a checkpoint is damaged after it."""
    victim = str(rng.choice(VICTIMS))
    after_s = float(rng.uniform(0, SPREAD_S))
    end = time.monotonic() + after_s
    while time.monotonic() < end and not run.ended:
        time.sleep(0.01)
    if not run.kill(victim):
        return None
    what = f"{victim} after {after_s:.2f} s"
    kept = [p for p in (run.root / checkpoints.FOLDER).rglob("*") if p.is_file()]
    if kept and rng.random() < 0.25:
        how = DAMAGES[str(rng.choice(sorted(DAMAGES)))]
        with suppress(OSError, ValueError):  # its process may just replace it
            file = kept[rng.integers(len(kept))]
            how(file, rng)
            what += f", {how.__name__} {file.name}"
    return Fault(kind="kill", what=what)


def _help(root: Path) -> None:
    """Do what DVC asks for by hand: delete its files that are empty."""
    for name in (".dvc/tmp/rwlock", "dvc.lock"):
        file = root / name
        if file.exists() and not file.read_text(errors="replace").strip():
            file.unlink()


def _differs(root: Path, wanted: Hashes) -> str:
    """How an experiment that has ended differs from the undisturbed one."""
    found = hashes(root)
    other = sorted(name for name in wanted if found.get(name) != wanted[name])
    other += sorted(found.keys() - wanted.keys())
    if other:
        return f"{len(other)} files have other bits, such as {other[0]}"
    kept = list((root / checkpoints.FOLDER).glob("*"))
    if kept:
        return f"{kept[0].name} stayed among the checkpoints"
    _, living = psutil.wait_procs(_working_in(root), timeout=30)
    return f"process {living[0].pid} still works" if living else ""


def _verified(root: Path) -> str:
    """The first line that `verify` finds broken; empty if everything holds."""
    run = Run(root, clone.python("pipeline.cli", "verify"))
    return "" if run.end() == 0 else f"verify: {_last_line(run.output)}"


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


def hashes(root: Path) -> Hashes:
    """Every file that the inputs determine, with the hash of its bytes."""
    left_out = ("timing", fingerprints.FOLDER.name)
    base = root / paths.FOLDER
    made = [p for p in base.rglob("*") if p.relative_to(base).parts[0] not in left_out]
    made += [root / name for name in TABLES]
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made
        if path.is_file()
    }


@contextmanager
def copied(source: Path, folder: Path) -> Iterator[Path]:
    """A copy of a clone, for as long as it is used."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as place:
        root = Path(place)
        shutil.copytree(source, root, symlinks=True, dirs_exist_ok=True)
        try:
            yield root
        finally:
            _end_all(root)


@contextmanager
def tmpfs(folder: Path, size_kb: int) -> Iterator[tuple[Path, Callable[[], None] | None]]:
    """A small file system in memory, and how to give it room.

    There is no such way, and the place is a mere folder, where none can be mounted.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="disk-") as place:
        root = Path(place)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", place]
        failed = subprocess.run(mount, capture_output=True, check=False).returncode

        def grow() -> None:
            subprocess.run(["mount", "-o", "remount,size=1g", place], check=True)

        try:
            yield root, None if failed else grow
        finally:
            _end_all(root)
            if not failed:
                subprocess.run(["umount", place], check=True)


def _working_in(root: Path) -> list[psutil.Process]:
    """The processes that work in a clone of this campaign."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(root):
                found.append(process)
    return found


def _end_all(root: Path) -> None:
    """End what still works in a clone, and wait for it."""
    left = _working_in(root)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def _size_kb(root: Path) -> int:
    """What a folder takes on a disk with pages of 4 KB."""
    return sum(4 * -(-p.lstat().st_size // 4096) for p in root.rglob("*") if p.is_file())


if __name__ == "__main__":
    sys.exit(main())
