"""Simulate the statistics behind verdicts: errors, coverage, power, stars.

    python benchmarks/verdicts.py [--times 20000]

Prints one table per question, with fixed seeds. The figures stand in docs/results.md.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.compare.failures import Rule
from pipeline.compare.samples import minus
from pipeline.core import sign_flips
from pipeline.core.decisions import Family, Statement, decide
from pipeline.core.e_values import e_value
from pipeline.core.looks import ALPHA, DEFAULT, LEVEL, Looks
from pipeline.core.winning_tickets import Reached, smallest_winning, winning_tests

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]
LOST = 10.0
"""points that a lost class costs"""
SPREAD = 0.3
"""standard deviation of the other runs, in points"""
RATE = 0.05
"""share of runs that lose a class"""


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return rng.standard_normal(shape)


def _lost(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.where(rng.random(shape) < RATE, LOST, 0.0)


def _one_side_mean(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The mean lies on the bound, so that a run that lost none lies above it."""
    return SPREAD * _normal(rng, shape) + LOST * RATE - _lost(rng, shape)


def _one_side_apart(
    rng: np.random.Generator, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Typical runs lie on the bound, failed ones are left out (NaN)."""
    lost = _lost(rng, shape) > 0
    return np.where(lost, np.nan, SPREAD * _normal(rng, shape))


def _both_sides(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return SPREAD * _normal(rng, shape) + _lost(rng, shape) - _lost(rng, shape)


def _tail(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return 1 - rng.exponential(size=shape)


DRAWS: dict[str, Draw] = {
    "normal": _normal,
    "both sides lose a class in 5 % of runs": _both_sides,
    "one side does, the mean on the bound": _one_side_mean,
    "one side does, failed runs apart": _one_side_apart,
    "exponential lower tail, the mean on the bound": _tail,
}


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def errors(times: int) -> Iterator[str]:
    """How often a bound on which the truth lies is said to be passed, at one look."""
    yield "| values | n | t, .05 | sign flips, .05 | sign flips, .0258 |"
    yield "|---|--:|--:|--:|--:|"
    for name, draw in DRAWS.items():
        for num in (6, 8, 12):
            drawn = draw(np.random.default_rng(num), (times, num)).tolist()
            known = [one for one in map(_known, drawn) if len(one) > 1]
            flips = np.array([sign_flips.p_above(one, 0.0) for one in known])
            of_t = [
                stats.ttest_1samp(one, 0, alternative="greater").pvalue
                for one in known[: times // 4]
            ]
            rates = [np.mean(np.array(of_t) <= ALPHA)]
            rates += [np.mean(flips <= level) for level in (ALPHA, LEVEL)]
            yield f"| {name} | {num} | {' | '.join(f'{r:.3f}' for r in rates)} |"


def _decided(drawn: NDArray[np.float64], looks: Looks, low: float = 0.0) -> list[str]:
    found: list[str] = []
    for values in drawn.tolist():
        one = Statement(values=dict(enumerate(values)), low=low)
        family = Family(statements=(one,), seeds=tuple(range(len(values))))
        found.append(decide(family, looks).kind)
    return found


def spreads(times: int) -> Iterator[str]:
    """How often the wider of two samples with equal means is called the better one."""
    yield "| deviation of either side, points | n | failed runs apart | all runs kept |"
    yield "|---|--:|--:|--:|"
    for wide, narrow in ((0.5, 0.5), (3.0, 0.5), (6.0, 1.0), (12.0, 1.0)):
        for num in (8, 12):
            rng = np.random.default_rng(5)
            sides = [80 + std * _normal(rng, (times // 4, num)) for std in (wide, narrow)]
            rates = [
                np.mean([_better(*pair, apart=apart) for pair in zip(*sides, strict=True)])
                for apart in (True, False)
            ]
            shown = " | ".join(f"{rate:.3f}" for rate in rates)
            yield f"| {wide:g} and {narrow:g} | {num} | {shown} |"


def _better(
    first: NDArray[np.float64], second: NDArray[np.float64], *, apart: bool
) -> bool:
    """Whether the first of two samples of accuracies, in percent, is said to be better."""
    sides = (
        [{"seed": n, "test_accuracy": v / 100} for n, v in enumerate(one.tolist())]
        for one in (first, second)
    )
    rule = Rule(looks=DEFAULT, apart=apart)
    groups = minus(*sides, metric="test_accuracy", rule=rule)
    values = {seed: found[0] for seed, found in groups.items()}
    statement = Statement(values=values, low=0.0)
    family = Family(statements=(statement,), seeds=tuple(range(len(first))))
    return decide(family, DEFAULT).kind == "inside"


def looking(times: int) -> Iterator[str]:
    """How often seeds are added until a verdict comes, and comes wrongly."""
    drawn = np.random.default_rng(1).standard_normal((times, 12))
    sums = np.cumsum(drawn, axis=1)
    naive = np.zeros(times, bool)
    for num in range(6, 13):
        part = drawn[:, :num]
        t = sums[:, num - 1] / (part.std(axis=1, ddof=1) * math.sqrt(num))
        naive |= stats.t.sf(t, num - 1) <= ALPHA
    yield "| rule, truth on the bound | wrongly inside |"
    yield "|---|--:|"
    yield f"| t at .05 after each of 6 to 12 seeds | {naive.mean():.3f} |"
    for name, looks in (("looks at 8, 10, 12", DEFAULT), ("one look at 8", Looks(at=(8,)))):
        rate = np.mean([kind == "inside" for kind in _decided(drawn, looks)])
        yield f"| sign flips, {name}, level {looks.level:g} | {rate:.3f} |"
    long = np.random.default_rng(2).standard_normal((times // 10, 50)).tolist()
    ever = [any(e_value(one[:num], 0.0) >= 20 for num in range(5, 51)) for one in long]
    yield f"| e-value of 20 after each of 5 to 50 seeds | {np.mean(ever):.3f} |"


def coverage(times: int) -> Iterator[str]:
    """How often intervals hold the true mean: each bound at the level of a look, and t."""
    yield "| values | n | interval of the test | t, 95 % |"
    yield "|---|--:|--:|--:|"
    for num in (8, 10, 12):
        drawn = np.random.default_rng(num).standard_normal((times // 4, num))
        pairs = [sign_flips.bounds(one, LEVEL) for one in drawn.tolist()]
        inside = np.mean([low <= 0 <= high for low, high in pairs])
        half = stats.t.ppf(0.975, num - 1) * drawn.std(axis=1, ddof=1) / math.sqrt(num)
        of_t = np.mean(np.abs(drawn.mean(axis=1)) <= half)
        yield f"| normal | {num} | {inside:.3f} | {of_t:.3f} |"
    rng = np.random.default_rng(3)
    nested = rng.standard_normal((times, 3, 1)) + 0.5 * rng.standard_normal((times, 3, 3))
    means = nested.mean(axis=2)
    half = stats.t.ppf(0.975, 2) * means.std(axis=1, ddof=1) / math.sqrt(3)
    of_t = np.mean(np.abs(means.mean(axis=1)) <= half)
    yield f"| 3 seeds of 3 repetitions, over means of seeds | 3 | – | {of_t:.3f} |"


def powers(times: int) -> Iterator[str]:
    """How often a true effect is shown by 12 seeds at most."""
    yield "| effect, in deviations | looks at 8, 10, 12 | seeds used | one look at 8 |"
    yield "|--:|--:|--:|--:|"
    for effect in (0.8, 1.0, 1.25, 1.5, 2.0):
        drawn = effect + np.random.default_rng(4).standard_normal((times // 4, 12))
        kinds = _decided(drawn, DEFAULT)
        eight = _decided(drawn[:, :8], DEFAULT)
        ten = _decided(drawn[:, :10], DEFAULT)
        used = [
            8 if a == "inside" else 10 if b == "inside" else 12
            for a, b in zip(eight, ten, strict=True)
        ]
        rates = [np.mean([k == "inside" for k in one]) for one in (kinds, eight)]
        yield f"| {effect} | {rates[0]:.2f} | {np.mean(used):.1f} | {rates[1]:.2f} |"


def stars(times: int) -> Iterator[str]:
    """How often one of 20 densities gets a star although all equal the dense network."""
    yield "| seeds | every seed wins at some density | hollow star | filled star |"
    yield "|--:|--:|--:|--:|"
    for num in (1, 2, 3, 4, 5, 6, 8, 10, 12):
        lucky, hollow, filled = 0, 0, 0
        some = times // 40
        for number in range(some):
            tests = winning_tests(_equal(number, num), step_margin=100)
            found = smallest_winning(tests)
            lucky += any(test.in_every_seed for test in tests)
            hollow += found is not None and not found.wins
            filled += found is not None and found.wins
        yield f"| {num} | {lucky / some:.2f} | {hollow / some:.3f} | {filled / some:.3f} |"


def _equal(number: int, num: int) -> dict[float, dict[int, tuple[Reached, Reached]]]:
    """Networks that differ by chance only: .2 points and some evaluations."""
    rng = np.random.default_rng((number, num))
    accuracy, step = rng.normal(0.98, 0.002, (21, num)), rng.integers(5, 40, (21, num))
    found = [
        [
            Reached(
                accuracy=float(accuracy[row, seed]),
                step=100 * int(step[row, seed]),
                censored=False,
                kept=1000 if row == 0 else 100,
            )
            for seed in range(num)
        ]
        for row in range(21)
    ]
    dense, *tickets = found
    return {
        0.8 ** (n + 1): dict(enumerate(zip(ticket, dense, strict=True)))
        for n, ticket in enumerate(tickets)
    }


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20_000)
    times = parser.parse_args().times
    for table in (errors, spreads, looking, coverage, powers, stars):
        print(f"\n{str(table.__doc__).splitlines()[0]}\n")
        for line in table(times):
            print(line, flush=True)


if __name__ == "__main__":
    main()
