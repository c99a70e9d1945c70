"""Tell failed runs from others: they are counted, and not averaged.

Now and then a training loses a class, which costs ten points, or diverges. One such run
among eight outweighs whatever the others say, and a sample without one understates what can
happen: a test of the mean is then wrong in more than half of the cases
(``benchmarks/verdicts.py``). So a verdict about accuracies is about runs that did not fail,
and the failures stand beside it with an interval of their rate. What counts as a failure
was chosen before any result was looked at.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from pipeline.compare.claims import LOSSES
from pipeline.core.statistics import share_interval
from pipeline.results.tables import Row

LOST = 0.05
"""a run whose accuracy lies so far below the median of its round has lost a class, or
more"""
RARE = 0.25
"""failures are rare: where more runs than this share lie so low, none counts as failed"""


def sound(rows: Sequence[Row], metric: str) -> list[Row]:
    """The runs that did not fail, of one variant at one density.

    Args:
        rows: one per seed and repetition.
        metric: a column of accuracies, as fractions, or of losses, which go with the
            accuracy at the end; None where a training diverged.
    """
    known = [row for row in rows if row.get(metric) is not None]
    if not known:
        return []
    accuracy = "test_accuracy" if metric in LOSSES else metric
    least = median(row[accuracy] for row in known) - LOST
    kept = [row for row in known if row[accuracy] >= least]
    return kept if len(known) - len(kept) <= RARE * len(known) else known


def rates(rows: Mapping[str, Sequence[Sequence[Row]]], metric: str) -> str:
    """How many seeds failed at any density, per variant, in words; empty if none did.

    Args:
        rows: role -> rows of its rounds, round by round.
        metric: as for ``sound``.
    """
    found = {role: _failed(rounds, metric) for role, rounds in rows.items()}
    if not any(failed for failed, _ in found.values()):
        return ""
    parts = []
    for role, (failed, num) in found.items():
        low, high = share_interval(failed, num)
        parts.append(f"{role} {failed} of {num} ({100 * low:.0f} to {100 * high:.0f} %)")
    return f"seeds with a failed run, left out and counted apart: {', '.join(parts)}"


def _failed(rounds: Sequence[Sequence[Row]], metric: str) -> tuple[int, int]:
    """The number of seeds with a failed run, and of all seeds."""
    seeds, failed = set(), set()
    for rows in rounds:
        sane = {id(row) for row in sound(rows, metric)}
        seeds |= {row["seed"] for row in rows}
        failed |= {row["seed"] for row in rows if id(row) not in sane}
    return len(failed), len(seeds)
