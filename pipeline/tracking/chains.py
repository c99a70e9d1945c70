"""Group the results of rounds into chains; each chain becomes one MLflow run."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipeline.artifacts.files import load_curves
from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import RoundResult, cost_before, multiply_adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One variant on one task with one seed, over all rounds: it becomes one MLflow run."""

    name: str
    """of the run: ``ticket-s0``, with the task before it if that is not ``main``"""
    key: str
    """task, variant, seed and the digest of the settings"""
    rounds: Sequence[RoundResult]
    """rounds 0, 1, 2 … without a gap, all from the same settings. In a task without
    variants, round 0 (the dense network) is the only one."""
    digests: Mapping[int, str]
    """round -> digest of its results"""

    @property
    def first(self) -> RoundResult:
        """The round whose settings the chain is known by: round 1, if it has one."""
        return self.rounds[1] if len(self.rounds) > 1 else self.rounds[0]


def chains_of(results: Iterable[RoundResult]) -> list[Chain]:
    """Group the results of rounds into chains.

    A variant becomes a chain when its round 1 has a result. While `dvc repro` is under
    way, later rounds may still come from earlier settings. A chain therefore ends before
    the first gap and before the first round of other settings.

    Args:
        results: ordered by task, variant, seed, round, as ``tables.round_results`` gives.

    Returns:
        In the order of the results.
    """
    groups = itertools.groupby(results, lambda r: (r.task, r.variant, r.seed))
    found = [_consistent(list(group)) for _, group in groups]
    return [_chain(rounds) for rounds in found if rounds]


def _consistent(results: Sequence[RoundResult]) -> list[RoundResult]:
    rounds = [result for n, result in enumerate(results) if result.round == n]
    if rounds and rounds[0].variant == DENSE:
        return rounds
    if len(rounds) < 2 or not _agree(rounds[0].settings, rounds[1].settings):
        return []
    same = itertools.takewhile(
        lambda result: result.settings == rounds[1].settings, rounds[1:]
    )
    return [rounds[0], *same]


def _agree(dense: Mapping[str, Any], variant: Mapping[str, Any]) -> bool:
    """Whether both belong to one task. A dense network has no settings of a variant."""
    return all(variant.get(n) == v for n, v in dense.items() if v is not None)


def _chain(rounds: Sequence[RoundResult]) -> Chain:
    last = rounds[-1]
    prefix = "" if last.task == "main" else f"{last.task}-"
    return Chain(
        name=f"{prefix}{last.variant}-s{last.seed}",
        key=f"{last.task}/{last.variant}/s{last.seed}@{digest_of(last.settings)}",
        rounds=rounds,
        digests={result.round: _result_digest(result) for result in rounds},
    )


def _result_digest(result: RoundResult) -> str:
    curves = load_curves(result.folder / "curves.parquet").to_pylist()
    mine = [row for row in curves if row["seed"] == result.seed]
    costs = [multiply_adds(result), cost_before(result, multiply_adds)]
    return digest_of([dict(result.facts), dict(result.sizes), mine, costs])


def digest_of(value: object) -> str:
    """The first 12 digits of the SHA-256 of a value as JSON; NaN is allowed."""
    text = json.dumps(value, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]
