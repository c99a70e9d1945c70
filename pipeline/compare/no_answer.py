"""Say why a claim cannot be checked."""

from typing import Literal

NO_DENSE = "no dense network"
"""why a claim about the dense network is not run"""


class NoAnswerError(Exception):
    """A claim cannot be checked: its verdict is ``not run`` or ``not comparable``.

    Args:
        verdict: on the claim.
        why: the first obstacles, in words.
        further: how many other settings differ besides the first one.
    """

    def __init__(
        self, verdict: Literal["not run", "not comparable"], why: str, further: int = 0
    ) -> None:
        super().__init__(why)
        self.verdict: Literal["not run", "not comparable"] = verdict
        self.further = further
