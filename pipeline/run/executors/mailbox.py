"""Pass messages of works to the walk, from a thread that listens to other machines."""

from collections.abc import Iterator
from multiprocessing import Pipe
from queue import Empty, SimpleQueue

from pipeline.run.executors.executor import Told


class Mailbox:
    """A queue with a channel that can be read while there is something in it."""

    def __init__(self) -> None:
        """Empty."""
        self._queue: SimpleQueue[Told] = SimpleQueue()
        self.channel, self._theirs = Pipe(duplex=False)

    def put(self, *told: Told) -> None:
        """Leave something; any thread may."""
        for one in told:
            self._queue.put(one)
        if told:
            self.wake()

    def wake(self) -> None:
        """Let the channel be read, though nothing may be there."""
        self._theirs.send_bytes(b".")

    def take(self) -> Iterator[Told]:
        """Everything that is there."""
        while self.channel.poll():
            self.channel.recv_bytes()
        try:
            while True:
                yield self._queue.get_nowait()
        except Empty:
            return

    def close(self) -> None:
        """Close the channel."""
        self._theirs.close()
        self.channel.close()
