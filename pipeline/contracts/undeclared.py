"""Find out whether a function looks at something that its record does not ask for.

A run reads and gives only what a record asks for.
"""

from collections.abc import Callable

from pipeline.border import user_failures

Bits = dict[str, bytes]


def looks(key: str, whole: Bits, without: Callable[[], Bits]) -> str:
    """Why something must be declared; empty = it need not be.

    Args:
        key: of the record, which would ask for it.
        whole: the answer where it is given.
        without: gives the answer where it is not.
    """
    try:
        return "" if without() == whole else f"declare {key}: it looks there"
    except Exception as error:
        return f"declare {key}: it looks there, and fails: {user_failures.said(error)}"
