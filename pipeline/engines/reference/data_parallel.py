"""The engine that shares each batch among several processes, or several GPUs.

Every process holds the whole network, its optimizer and its data, and is the reference
engine but for two things: it looks at its own part of a batch, and torch's
DistributedDataParallel adds the gradients up (gloo on CPUs, NCCL on GPUs). So all make the
same update, and the first process, which is the one that trains, tells what came of it.

The results are those of one process to rounding, for networks without batch norm and
dropout. Batch norm sees one part of a batch, as it does in torch and in the sources that
train on several GPUs; its running statistics are those of the first process. Dropout draws
for each part.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch.distributed as dist

from pipeline.core.arrays import Mask, Weights
from pipeline.core.training.engine import Evaluation, Job, State, only_job
from pipeline.engines.reference.replica import Place, Replica

POLL_S = 0.5


def make(jobs: Sequence[Job]) -> "DataParallel":
    """Make the engine, ready to begin one job in ``train.processes`` processes.

    Raises:
        ValueError: if there is more than one job.
    """
    return DataParallel(only_job(jobs, "data-parallel"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    """One of the other processes, and the way to it."""

    process: BaseProcess
    connection: Connection

    def end(self) -> None:
        """It ends by itself when it hears that there is no more to do."""
        self.connection.close()
        self.process.join(POLL_S)
        self.process.kill()
        self.process.join()


class DataParallel:
    """The replica of this process, and those of the others, which do as this one does."""

    def __init__(self, job: Job) -> None:
        folder = Path(tempfile.mkdtemp(prefix="lt-ranks-"))
        _part()
        try:
            places = [
                Place(rank=rank, of=job.settings.processes, meeting=folder / "meeting")
                for rank in range(job.settings.processes)
            ]
            # They are forked before torch uses a device, and so share the data in memory.
            self._others: list[Other] = []
            for place in places[1:]:
                self._others.append(_start(job, place, self._others))
            weakref.finalize(self, _end, self._others)
            self._own = _replica(job, places[0])
        finally:
            shutil.rmtree(folder)

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        self._tell("advance", num_steps)
        self._own.advance(num_steps)

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        self._tell("evaluate", split)
        return self._own.evaluate(split)

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        return self._own.weights()

    def state(self) -> State:
        """Weights and the optimizer's own tensors, which all processes share."""
        return self._own.state()

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._tell("restore", state, step)
        self._own.restore(state, step)

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under another mask."""
        self._tell("restrict", masks)
        self._own.restrict(masks)

    def _tell(self, *command: object) -> None:
        for other in self._others:
            other.connection.send(command)


def _start(job: Job, place: Place, others: Sequence[Other]) -> Other:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    not_its_own = [here, *(other.connection for other in others)]
    process = context.Process(target=_follow, args=(there, not_its_own, job, place))
    process.start()
    there.close()
    return Other(process=process, connection=here)


def _end(others: Sequence[Other]) -> None:
    for other in others:
        other.end()


def _follow(
    connection: Connection, not_its_own: Sequence[Connection], job: Job, place: Place
) -> None:
    """Do what the first process does, until it closes the connection or is gone."""
    for inherited in not_its_own:  # else the first one's end would never be closed
        inherited.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    replica = _replica(job, place)
    while True:
        try:
            name, *arguments = connection.recv()
        except EOFError:
            os._exit(0)
        getattr(replica, name)(*arguments)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)


def _replica(job: Job, place: Place) -> Replica:
    """The replica of this process, once all processes have met."""
    torch.set_num_threads(1)
    device = job.settings.device
    if device == "cuda":
        device = f"cuda:{place.rank}"
        torch.cuda.set_device(place.rank)
    if place.of > 1:
        _meet(place, "gloo" if device == "cpu" else "nccl")
    return Replica(replace(job, settings=replace(job.settings, device=device)), place)


def _part() -> None:
    """Leave the processes of the training before this one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _meet(place: Place, backend: str) -> None:
    # All are on this machine: its name need not have an address.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    dist.init_process_group(
        backend,
        init_method=place.meeting.as_uri(),
        rank=place.rank,
        world_size=place.of,
    )
