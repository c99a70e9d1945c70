"""Tell failed runs from others: they are counted, and not averaged.

Now and then a training loses a class, which costs ten points, or diverges. One such run
among eight outweighs whatever the others say, and a sample without one understates what can
happen: a test of the mean is then wrong in more than half of the cases
(``benchmarks/verdicts.py``). So a verdict about accuracies is about runs that did not fail,
and the failures stand beside it with an interval of their rate. LOST and RARE were chosen
before any result was looked at. ISOLATED was added on 2026-11-29, when results had been
seen: without it the wider of two samples lost its lower tail (``benchmarks/verdicts.py``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.compare.claims import LOSSES
from pipeline.core.looks import LEAST_OPEN, Looks
from pipeline.core.statistics import share_interval
from pipeline.results.tables import Row

LOST = 0.05
"""a run whose accuracy lies so far below the median of its round may have lost a class"""
RARE = 0.25
"""failures are rare: at each look, at most this share of the runs that are left"""
ISOLATED = 2
"""failed runs lie below the others by more than this many times the range of these"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How failed runs are told from others."""

    looks: Looks
    """numbers of seeds at which runs are judged"""
    apart: bool
    """whether there are failures besides diverged trainings"""

    def sound(self, rows: Sequence[Row], metric: str) -> list[Row]:
        """The runs that did not fail, of one variant at one density.

        A seed is judged once, at the first look that takes it in: seeds that come later
        change nothing.

        Args:
            rows: one per seed and repetition.
            metric: a column of accuracies, as fractions, or of losses, which go with the
                accuracy at the end; None where a training diverged.
        """
        accuracy = "test_accuracy" if metric in LOSSES else metric
        needed = (metric, accuracy) if self.apart else (metric,)
        known = [row for row in rows if all(row.get(n) is not None for n in needed)]
        if not self.apart:
            return known
        seeds = sorted({row["seed"] for row in rows})
        failed: set[int] = set()
        before = 0
        for num in (*self._judged_at(len(seeds)), len(seeds)):
            here = [r for r in known if r["seed"] in seeds[:num] and id(r) not in failed]
            least = _least([row[accuracy] for row in here])
            new = (row for row in here if row["seed"] in seeds[before:num])
            failed |= {id(row) for row in new if row[accuracy] < least}
            before = num
        return [row for row in known if id(row) not in failed]

    def rates(self, rows: Mapping[str, Sequence[Sequence[Row]]], metric: str) -> str:
        """How many seeds failed at any density, per variant, in words; empty if none did.

        Args:
            rows: role -> rows of its rounds, round by round.
            metric: as for ``sound``.
        """
        found = {role: self._failed(rounds, metric) for role, rounds in rows.items()}
        if not any(failed for failed, _ in found.values()):
            return ""
        parts = []
        for role, (failed, num) in found.items():
            low, high = share_interval(failed, num)
            parts.append(
                f"{role} {failed} of {num} ({100 * low:.0f} to {100 * high:.0f} %)"
            )
        return f"seeds with a failed run, left out and counted apart: {', '.join(parts)}"

    def _judged_at(self, num_seeds: int) -> tuple[int, ...]:
        if self.looks.open:
            return tuple(range(LEAST_OPEN, num_seeds))
        return self.looks.reached(num_seeds)

    def _failed(self, rounds: Sequence[Sequence[Row]], metric: str) -> tuple[int, int]:
        """The number of seeds with a failed run, and of all seeds."""
        seeds, failed = set(), set()
        for rows in rounds:
            sound = {id(row) for row in self.sound(rows, metric)}
            seeds |= {row["seed"] for row in rows}
            failed |= {row["seed"] for row in rows if id(row) not in sound}
        return len(failed), len(seeds)


def _least(accuracies: Sequence[float]) -> float:
    """The least accuracy of a run that did not fail.

    Failed runs are few, lie far below the median, and much further below the others than
    these lie from each other.

    >>> _least([0.98, 0.975, 0.88, 0.98]), _least([0.9, 0.7, 0.8, 0.6])
    (0.975, 0.6)
    """
    ordered = sorted(accuracies)
    return next(_above_a_gap(ordered), min(ordered, default=0.0))


def _above_a_gap(ordered: Sequence[float]) -> Iterator[float]:
    for num in range(int(RARE * len(ordered)), 0, -1):
        highest, others = ordered[num - 1], ordered[num:]
        far = highest < median(ordered) - LOST
        if far and others[0] - highest > ISOLATED * (others[-1] - others[0]):
            yield others[0]
