"""Turn errors that the user can solve into one line and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.border.errors import UserError
from pipeline.border.redaction import redacting

WRONG_INPUT = 2
INTERRUPTED = 130


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print a UserError as one line on stderr and exit; let other errors through.

    No password and no token is printed meanwhile, whoever prints.
    """
    with redacting():
        yield from _one_line_errors()


def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        print(f"lt-pipeline: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        sys.exit(WRONG_INPUT)
    except KeyboardInterrupt:
        print(  # noqa: T201
            "lt-pipeline: interrupted; `dvc repro` goes on where it was",
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
