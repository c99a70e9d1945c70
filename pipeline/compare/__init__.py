"""Published claims beside measured results: ``compare`` a store, render the rows."""

from pipeline.compare.published import published
from pipeline.compare.tables import LAYOUTS, summary
from pipeline.compare.untrained import untrained
from pipeline.compare.verdicts import Compared, Verdict, compare

__all__ = [
    "LAYOUTS",
    "Compared",
    "Verdict",
    "compare",
    "published",
    "summary",
    "untrained",
]
