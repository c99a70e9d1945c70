"""Compare published claims with tracked results: ``compare`` gives each claim a verdict."""

from pipeline.compare.layouts import LAYOUTS, run_here, summary, why_left_out
from pipeline.compare.published import published
from pipeline.compare.untrained import untrained
from pipeline.compare.verdicts import Compared, Verdict, compare

__all__ = [
    "LAYOUTS",
    "Compared",
    "Verdict",
    "compare",
    "published",
    "run_here",
    "summary",
    "untrained",
    "why_left_out",
]
