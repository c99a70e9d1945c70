"""Count the seconds that compiled code takes to load or compile, and say when it compiles.

Kernels are compiled once per machine, and later loaded. Neither is part of a training's
time. Nothing here imports Numba, so that trainings without kernels need not either.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext


class Account:
    """What this process has spent on compiled code so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """that kernels were loaded, compiled, or awaited from a process that compiles"""
        self._around: Callable[[], AbstractContextManager[object]] = nullcontext
        self._open = ExitStack()
        self._is_open = False
        self._is_counting = False

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the seconds of the block; kernels that call others are counted once."""
        if self._is_counting:
            yield
            return
        begin, self._is_counting = time.monotonic(), True
        try:
            yield
        finally:
            self.seconds += time.monotonic() - begin
            self._is_counting = self._is_open = False
            self._open.close()

    def compiling(self) -> None:
        """Say, within ``counted``, that the kernel is not there and must be compiled."""
        if not self._is_open:
            self._open.enter_context(self._around())
            self._is_open = True

    @contextmanager
    def watched(
        self, around: Callable[[], AbstractContextManager[object]]
    ) -> Iterator[None]:
        """Enter a context from now on whenever kernels are compiled.

        Args:
            around: makes the context; it lasts until the kernels are there.
        """
        before, self._around = self._around, around
        try:
            yield
        finally:
            self._around = before


account = Account()
"""of this process"""
