"""Find out whether the answers of a function depend on its earlier calls.

A stage calls a function for one seed after the other, in one process. If the function keeps
something between calls, such as its first answer, that changes the results of later seeds.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from pipeline.border.user_failures import NOBODYS
from pipeline.core.functions import is_function


def kept(name: str, answer: Callable[[int], object]) -> str:
    """Why answers depend on earlier calls; empty = they do not.

    Args:
        name: of an entry, or of a function of the user's.
        answer: gives the bits that the function answers for a seed, 0 or 1.
    """
    first, second = answer(0), answer(1)
    with _imported_anew(name):
        alone = answer(1)
    if second == alone and answer(0) == first:
        return ""
    return "a seed gets another answer after other seeds; keep nothing between calls"


@contextmanager
def _imported_anew(name: str) -> Iterator[None]:
    """Import a function of the user's anew, as if never called; an entry stays as it is."""
    package = name.partition(":")[0].partition(".")[0]
    if not is_function(name) or package in NOBODYS:
        yield
        return
    before = _without(package)
    try:
        yield
    finally:
        _without(package)
        sys.modules.update(before)


def _without(package: str) -> dict[str, ModuleType]:
    """Take the modules of a package out of the imported ones, and return them."""
    names = [name for name in sys.modules if name.partition(".")[0] == package]
    return {name: sys.modules.pop(name) for name in names}
