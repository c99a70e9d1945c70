"""Take the measures that settings ask for, evaluation by evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core import measures
from pipeline.core.arrays import Integers, Mask, Weights
from pipeline.core.measures import MEASURES, Seen
from pipeline.core.training.engine import Job, State

STEP, VALUE, BEFORE = "step", "value", "before"


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The numbers of one measure as columns, in order of the step."""

    step: Integers
    value: NDArray[np.float64]


class Measuring:
    """The measures of one network in training, so far."""

    def __init__(self, job: Job, known: State) -> None:
        """Begin, or go on from a state.

        Args:
            job: the training.
            known: what ``state`` gave; {} at the beginning.
        """
        self._job = job
        names = job.settings.measures or ()
        self._compares = any(MEASURES[name].compares for name in names)
        self._rows: dict[str, list[tuple[int, float]]] = {
            name: _rows(known, name) for name in names
        }
        self._before: Weights = {
            name.removeprefix(f"{BEFORE}/"): np.asarray(values, np.float32)
            for name, values in known.items()
            if name.startswith(f"{BEFORE}/")
        }

    def take(self, step: int, weights: Weights, mask: Mask) -> None:
        """Take those that are due at an evaluation."""
        in_window = step % self._job.settings.evaluate_every == 0
        for name, rows in self._rows.items():
            compares = MEASURES[name].compares
            if compares and not (in_window and self._before):
                continue
            seen = Seen(
                network=self._job.network,
                weights=weights,
                mask=mask,
                before=self._before if compares else {},
            )
            rows.append((step, measures.take(name, seen)))
        if in_window and self._compares:
            self._before = weights

    def series(self) -> dict[str, Series]:
        """The numbers so far, by measure; none for a measure that was never due."""
        return {
            name: Series(
                step=np.array([step for step, _ in rows], np.int64),
                value=np.array([value for _, value in rows], np.float64),
            )
            for name, rows in self._rows.items()
        }

    def state(self) -> State:
        """What ``known`` takes."""
        found: State = {f"{BEFORE}/{name}": v for name, v in self._before.items()}
        for name, one in self.series().items():
            found |= {f"{name}/{STEP}": one.step, f"{name}/{VALUE}": one.value}
        return found


def _rows(known: Mapping[str, NDArray[np.generic]], name: str) -> list[tuple[int, float]]:
    steps, values = (known.get(f"{name}/{part}") for part in (STEP, VALUE))
    if steps is None or values is None:
        return []
    return [
        (int(s), float(v)) for s, v in zip(steps.tolist(), values.tolist(), strict=True)
    ]
