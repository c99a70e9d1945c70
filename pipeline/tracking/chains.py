"""Records -> chains, each with the key that finds its run again."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipeline.artifacts.files import load_curves
from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import Record, found_with, multiply_adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One variant with one seed: what becomes a run."""

    name: str
    """of the run: ``ticket-s0``, with the task before it if that is not ``main``"""
    key: str
    """what it is and the digest of the settings behind it"""
    rounds: Sequence[Record]
    """rounds 0, 1, 2 … without a gap, all from the same settings; of a task without
    variants the dense network alone"""
    digests: Mapping[int, str]
    """round -> digest of its results"""

    @property
    def first(self) -> Record:
        """The round whose settings say what the chain is: round 1, if it has one."""
        return self.rounds[1] if len(self.rounds) > 1 else self.rounds[0]


def chains_of(records: Iterable[Record]) -> list[Chain]:
    """Group records into chains; a variant without its round 1 is none yet.

    While `dvc repro` is under way, later rounds may still be those of earlier settings:
    a chain ends before the first gap and before the first round of other settings.

    Args:
        records: ordered by task, variant, seed, round, as ``tables.records`` gives.

    Returns:
        In the order of the records.
    """
    groups = itertools.groupby(records, lambda r: (r.task, r.variant, r.seed))
    found = [_consistent(list(group)) for _, group in groups]
    return [_chain(rounds) for rounds in found if rounds]


def _consistent(records: Sequence[Record]) -> list[Record]:
    rounds = [record for n, record in enumerate(records) if record.round == n]
    if rounds and rounds[0].variant == DENSE:
        return rounds
    if len(rounds) < 2 or not _agree(rounds[0].settings, rounds[1].settings):
        return []
    same = itertools.takewhile(
        lambda record: record.settings == rounds[1].settings, rounds[1:]
    )
    return [rounds[0], *same]


def _agree(dense: Mapping[str, Any], variant: Mapping[str, Any]) -> bool:
    """Whether both come from one task: a dense network has no recipe of a variant."""
    return all(variant.get(n) == v for n, v in dense.items() if v is not None)


def _chain(rounds: Sequence[Record]) -> Chain:
    last = rounds[-1]
    prefix = "" if last.task == "main" else f"{last.task}-"
    return Chain(
        name=f"{prefix}{last.variant}-s{last.seed}",
        key=f"{last.task}/{last.variant}/s{last.seed}@{digest_of(last.settings)}",
        rounds=rounds,
        digests={record.round: _result_digest(record) for record in rounds},
    )


def _result_digest(record: Record) -> str:
    curves = load_curves(record.folder / "curves.parquet").to_pylist()
    mine = [row for row in curves if row["seed"] == record.seed]
    costs = [multiply_adds(record), found_with(record, multiply_adds)]
    return digest_of([dict(record.facts), dict(record.sizes), mine, costs])


def digest_of(value: object) -> str:
    """The first digits of a digest of JSON; NaN is a value like others."""
    text = json.dumps(value, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]
