"""Be ``dvc`` with the arguments of the command line, where Ctrl-C is always one line.

    python -m pipeline.launch.dvc repro --pull

DVC says nothing of a Ctrl-C while it is imported, for a second and more; Python would
print a traceback of some file of DVC's.
"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130


def _stop(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"lt-pipeline: interrupted; `lt-pipeline run` goes on where it was\n")
    os._exit(INTERRUPTED)


def main(arguments: list[str]) -> int:
    """Run dvc in this process."""
    before = signal.signal(signal.SIGINT, _stop)
    from dvc.cli import main as dvc

    signal.signal(signal.SIGINT, before)
    return int(dvc(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
