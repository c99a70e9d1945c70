"""Say something beside the output of a command: a line on stderr."""

import sys


def say(line: str) -> None:
    """Print a line at once; an empty one is nothing to say."""
    if line:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - all others call this


def warn(line: str) -> None:
    """Print a line as a warning; an empty one is nothing to warn of."""
    if line:
        say(f"warning: {line}")
