"""Let Slurm run pieces of work, through submitit: one job per piece.

Jobs run in the folder of the experiment, which all nodes must share. Partition, account and
limits are those of Slurm's own variables, such as ``SBATCH_PARTITION``. A job that reaches
its time limit, or has to make room, is queued again and goes on from its checkpoint.

Every job has a folder until its result is taken in. The folders tell which jobs may still
run: this process cancels them at its end or, if it is killed, the next one does.
"""

import math
import pickle
import re
import subprocess
import threading
from collections.abc import Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.artifacts import files
from pipeline.border import exits, interrupts
from pipeline.border.redaction import redacted
from pipeline.border.root import make_importable
from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError, processes
from pipeline.run.executors.executor import LONGEST_LINE, Ended, Told, ended_elsewhere
from pipeline.run.executors.mailbox import Mailbox
from pipeline.run.executors.portable import Portable
from pipeline.run.executors.processes import Notice, Report, Work

if TYPE_CHECKING:
    import submitit

FOLDER = Path(".lt/slurm")
"""of the files that submitit exchanges with its jobs; it goes with the end"""
CLUSTER = "slurm"
"""submitit's name of Slurm"""
NAME = "lt-pipeline"
"""what all jobs are called"""
MOST = 500
"""jobs in the queue at a time: sites limit them"""
MINUTES = 24 * 60
"""until a job is queued again, where SBATCH_TIMELIMIT says nothing else"""
REQUEUED = 1_000_000
"""times that a job may reach its time limit"""
POLL_S = 1.0
_STATE = re.compile(r"\(state: (.+)\)")
_RULE = re.compile(r"^-{20,}$", re.M)
"""the line before and after a log in submitit's errors"""


@dataclass(kw_only=True, slots=True)
class Job:
    """A piece of work as submitit runs it on a node."""

    name: str
    work: bytes
    """pickled: modules of the user's in it are found only once their folder is known"""
    said: dict[str, Told] = field(default_factory=dict)
    """each notice once, and the last report"""

    def __call__(self) -> list[Told]:
        """Do it; returns what it told, and how it ended."""
        ended = Ended()
        try:
            make_importable(Path())
            work: Work = pickle.loads(self.work)
            work.run(self._hear, lambda: False)
        except Exception as error:
            ended = ended_elsewhere(error, self._hear)
        return [*self.said.values(), (self.name, ended)]

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """The job that submitit queues again: the same, which finds its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _hear(self, told: Report | Notice) -> None:
        of = told.text if isinstance(told, Notice) else ""
        self.said[of] = (self.name, told)


class SlurmJobs:
    """Jobs of Slurm's; a context."""

    def __init__(self, cluster: str = CLUSTER) -> None:
        """Find Slurm.

        Args:
            cluster: submitit's name of it; ``local`` runs jobs here, for tests.

        Raises:
            ExecutorError: if there is none.
        """
        processes.one_thread()
        self._cluster = cluster
        self._submitters: dict[Resources, submitit.AutoExecutor] = {}
        try:
            self._submitter(Resources())
        except (RuntimeError, ValueError, OSError) as error:
            raise ExecutorError(
                f"--on slurm: Slurm cannot be used here ({_line(error)}); run it on a "
                "machine that submits jobs to Slurm"
            ) from None
        self._jobs: dict[str, submitit.Job[list[Told]]] = {}
        self._mail = Mailbox()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._signals = ExitStack()

    def __enter__(self) -> Self:
        if num := self._cancel():
            said = f"jobs of an earlier run, which was killed, are cancelled: {num}"
            self._mail.put(("", Notice(said)))
        files.remove(FOLDER)
        self._signals.enter_context(interrupts.as_ctrl_c())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._signals:
            self._end.set()
            self._cancel()
            self._thread.join()
        self._mail.close()
        files.remove(FOLDER)

    def _cancel(self) -> int:
        """Cancel all jobs that have a folder; returns their number."""
        numbers = [one.name for one in FOLDER.glob("*") if one.name.isdecimal()]
        if not numbers or self._cluster != CLUSTER:
            return 0
        command = ["scancel", "--quiet", f"--name={NAME}", *numbers]
        with suppress(OSError):  # Slurm may be gone
            # In a session of its own a second Ctrl-C does not reach it.
            subprocess.Popen(command, start_new_session=True).wait()
        return len(numbers)

    def _submitter(self, needs: Resources) -> "submitit.AutoExecutor":
        """The submitter of jobs with these needs; one for all would mix their settings."""
        import submitit

        if needs not in self._submitters:
            made = submitit.AutoExecutor(
                folder=FOLDER / "%j",
                cluster=self._cluster,
                slurm_max_num_timeout=REQUEUED,
            )
            made.update_parameters(name=NAME, **_asked(needs))
            self._submitters[needs] = made
        return self._submitters[needs]

    @property
    def free(self) -> int:
        """How many jobs may be queued now."""
        return MOST - len(self._jobs)

    def begin(self, name: str, work: Portable) -> None:
        """Queue a job.

        Raises:
            ExecutorError: if Slurm refuses it.
        """
        if work.is_done(lambda told: self._mail.put((name, told))):
            self._mail.put((name, Ended()))
            return
        try:
            job = self._submitter(work.needs).submit(
                Job(name=name, work=pickle.dumps(work))
            )
        except Exception as error:  # submitit's own, and the system's
            raise ExecutorError(f"Slurm refuses the job ({_line(error)})") from None
        with self._lock:
            self._jobs[name] = job

    @property
    def channels(self) -> list[Connection]:
        """One for all jobs."""
        return [self._mail.channel]

    def told(self, ready: Collection[object]) -> Iterable[Told]:  # noqa: ARG002
        """The messages that jobs have left at their ends."""
        return self._mail.take()

    def _listen(self) -> None:
        while not self._end.wait(POLL_S):
            with self._lock:
                running = dict(self._jobs)
            for name, job in running.items():
                if job.done():
                    found = _result(name, job)
                    files.remove(FOLDER / job.job_id)
                    with self._lock:
                        del self._jobs[name]
                    self._mail.put(*found)


def _asked(needs: Resources) -> dict[str, Any]:
    """These resources in submitit's words; Slurm shares no GPU among jobs."""
    return {
        "timeout_min": MINUTES,
        "cpus_per_task": needs.cpus,
        "gpus_per_node": math.ceil(needs.gpus or 0),
        "mem_gb": needs.memory_gb,
    }


def _result(name: str, job: "submitit.Job[list[Told]]") -> list[Told]:
    try:
        found: list[Told] = job.result()
        return found
    except Exception as error:  # submitit's own, which hold a log
        why = f"its job ended without a result ({_why(error)})"
        return [(name, Ended(why, vanished=True))]


def _why(error: Exception) -> str:
    r"""Why a job has ended, in a line: the state that Slurm gives, the log's last line.

    >>> _why(Exception("Job 1 with path a\nhas not produced any output (state: TIMEOUT)"))
    'TIMEOUT'
    """
    state = _STATE.search(f"{error}")
    log = (*_RULE.split(f"{error}"), "")[1].strip()
    found = [*([state[1]] if state else []), *log.splitlines()[-1:]]
    return redacted(": ".join(found)[:LONGEST_LINE]) or _line(error)


def _line(error: Exception) -> str:
    """The first line of an error."""
    known = exits.expected(error)
    line = (known or f"{error}".strip() or type(error).__name__).splitlines()[0]
    return line[:LONGEST_LINE]


def opened(address: str, num: int, preload: Iterable[str]) -> SlurmJobs:  # noqa: ARG001
    """Slurm, as the environment describes it.

    Raises:
        ExecutorError: if there is none.
    """
    return SlurmJobs()
