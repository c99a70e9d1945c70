"""Say what an experiment gave: a line per variant, at the end of a run."""

from collections.abc import Collection, Iterator, Sequence
from statistics import fmean

from pipeline.border import text_tables
from pipeline.core.looks import Looks
from pipeline.results import winning
from pipeline.results.tables import RoundResult, Row, percent, rows
from pipeline.tracking.winning_tags import is_ticket

COLUMNS = (
    "",
    ">weights\nleft (%)",
    ">test accuracy\n(%)",
    ">early stop\n(× dense)",
    "smallest\nwinning ticket",
)
UNKNOWN = "–"


def table(
    results: Sequence[RoundResult], looks: Looks, untrained: Collection[str] = ()
) -> str:
    """A table of the dense networks and of the last round of each variant.

    Args:
        results: of the plan, as ``round_results`` gives them.
        looks: at which numbers of seeds there may be a verdict.
        untrained: tasks whose dense network did not train, so that no ticket can win.

    Returns:
        Means over the seeds that did not diverge, with the range of the accuracy. A step
        has ≥ where a seed stopped in the last 5 % and might have stopped later.
    """
    seeds = len({result.seed for result in results})
    title = f"last rounds, mean and range over {seeds} seed{'s' * (seeds != 1)}"
    lines: list[Sequence[str]] = []
    for task in dict.fromkeys(result.task for result in results):
        mine = [result for result in results if result.task == task]
        lines += _lines_of(task, mine, looks, judged=task not in untrained)
    return text_tables.drawn(COLUMNS, lines, title)


def _lines_of(
    task: str, results: Sequence[RoundResult], looks: Looks, *, judged: bool
) -> Iterator[Sequence[str]]:
    dense = {row["seed"]: row for row in rows(r for r in results if not r.round)}
    whole = list(dense.values())
    if whole:
        text = "" if judged else "the dense network did not train"
        yield (*_numbers(f"{task}: dense", whole, whole), text)
    for variant in dict.fromkeys(result.variant for result in results):
        own = [result for result in results if result.variant == variant]
        last = max(result.round for result in own)
        if last:
            ended = rows(result for result in own if result.round == last)
            text = _winning(own, last, looks) if judged else UNKNOWN
            yield (*_numbers(f"{task}: {variant}", ended, whole), text)


def _numbers(name: str, reached: Sequence[Row], dense: Sequence[Row]) -> tuple[str, ...]:
    known = [row for row in reached if not row["diverged"]]
    left = percent(fmean(row["density"] for row in reached))
    step, against = _mean_step(known), _mean_step(dense)
    failed = len(reached) - len(known)
    accuracy = _accuracy(known) + (f", {failed} diverged" if failed else "")
    early = UNKNOWN if step is None else f"{step:,.0f}"
    if step and any(row["censored"] for row in known):
        early = f"≥ {early}"
    if step and against:
        early += f" ({step / against:.2f})"
    return name, left, accuracy, early


def _accuracy(known: Sequence[Row]) -> str:
    values = [100 * row["test_accuracy"] for row in known]
    if not values:
        return UNKNOWN
    mean = f"{fmean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f}–{max(values):.2f})"


def _mean_step(known: Sequence[Row]) -> float | None:
    steps = [row["early_stop_step"] for row in known if row["early_stop_step"] is not None]
    return fmean(steps) if steps else None


def _winning(results: Sequence[RoundResult], last: int, looks: Looks) -> str:
    settings = next(result.settings for result in results if result.round == last)
    every = settings["train"]["evaluate_every"]
    if not is_ticket(settings) or not every:
        return UNKNOWN
    found = winning.smallest_winning(rows(results), evaluate_every=every, looks=looks)
    if found is None:
        return "none is shown"
    return f"{percent(found.density)} %; {found.confidence}"
