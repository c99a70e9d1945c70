"""Find out whether a function looks at something that its record does not ask for.

A run reads and gives only what a record asks for.
"""

from collections.abc import Callable

from pipeline.border import user_failures

Bits = dict[str, bytes]


def looks(key: str, whole: Bits, without: Callable[[], Bits]) -> str:
    """Why a record must ask for something; empty = it need not.

    Args:
        key: of the record, by which it would ask.
        whole: the answer of the function to everything.
        without: gives its answer when that one thing is missing.
    """
    try:
        return "" if without() == whole else f"declare {key}: it looks there"
    except Exception as error:
        return f"declare {key}: it looks there, and fails: {user_failures.said(error)}"
