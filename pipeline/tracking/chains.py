"""Group the results of rounds into chains; each chain becomes one MLflow run."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pipeline.artifacts.parquet import load_curves
from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import RoundResult, cost_before, multiply_adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One variant on one task with one seed, over all rounds: it becomes one MLflow run."""

    name: str
    """of the run: ``ticket-s0``, with the task before it if that is not ``main``"""
    key: str
    """task, variant, seed and the digest of the settings"""
    dense: str
    """the key of its dense network's chain, which has the child run of round 0"""
    rounds: Sequence[RoundResult]
    """rounds 0, 1, 2 … without a gap, all from the same settings. The dense network has
    round 0 alone."""
    digests: Mapping[int, str]
    """round -> digest of its results"""

    @property
    def first(self) -> RoundResult:
        """The round whose settings the chain is known by: round 1, if it has one."""
        return self.rounds[1] if len(self.rounds) > 1 else self.rounds[0]


def chains_of(results: Iterable[RoundResult]) -> list[Chain]:
    """Group the results of rounds into chains.

    The dense network of a task and seed is a chain of its own, with round 0 alone. A
    variant becomes a chain when its round 1 has a result. While `dvc repro` is under
    way, later rounds may still come from earlier settings. A chain therefore ends before
    the first gap and before the first round of other settings.

    Args:
        results: ordered by task, variant, seed, round, as ``tables.round_results`` gives.

    Returns:
        By task the dense chains first, then in the order of the results.
    """
    results = list(results)
    found: list[Chain] = []
    for _, of_task in itertools.groupby(results, lambda r: r.task):
        rounds = list(of_task)
        dense = {r.seed: replace(r, variant=DENSE) for r in rounds if r.round == 0}
        found += [_chain([dense[seed]]) for seed in sorted(dense)]
        variants = [result for result in rounds if result.variant != DENSE]
        groups = itertools.groupby(variants, lambda r: (r.variant, r.seed))
        same = [_consistent(list(group)) for _, group in groups]
        found += [_chain(group) for group in same if group]
    return found


def chain_name(task: str, variant: str, seed: int) -> str:
    """The name of a chain's run: ``ticket-s0``, ``wide-ticket-s0``."""
    return f"{'' if task == 'main' else f'{task}-'}{variant}-s{seed}"


def chain_key(task: str, variant: str, seed: int, settings: Mapping[str, Any]) -> str:
    """The key of a chain's run: what it is, and a digest of the settings behind it."""
    return f"{task}/{variant}/s{seed}@{digest_of(settings)}"


def _consistent(results: Sequence[RoundResult]) -> list[RoundResult]:
    rounds = [result for n, result in enumerate(results) if result.round == n]
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
    dense, last = rounds[0], rounds[-1]
    return Chain(
        name=chain_name(last.task, last.variant, last.seed),
        key=chain_key(last.task, last.variant, last.seed, last.settings),
        dense=chain_key(dense.task, DENSE, dense.seed, dense.settings),
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
