"""The contract of criteria."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.contracts import generated, memory
from pipeline.core import criteria, masks, seeding
from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence


def evidence(seed: int = 0) -> Evidence:
    """Everything that a criterion may look at."""
    theta0, mask = generated.theta0(seed), generated.mask(seed)
    return Evidence(
        network=generated.NETWORK,
        data=generated.DATA,
        begun=theta0,
        trained=masks.apply(generated.moved(theta0), mask),
        mask=mask,
        batches=generated.batches,
        rng=seeding.generator(seed, "mask_sample", round=1),
    )


def gives_scores(name: str) -> str:
    """Every weight of the mask has a score, in floats of its tensor's shape."""
    criteria.score(name, evidence())
    return ""


def is_finite(name: str) -> str:
    """Scores are no NaN where the weights are none."""
    bad = [n for n, values in _scores(name).items() if np.isnan(values).any()]
    return f"{bad[0]} has NaN among its scores" if bad else ""


def pruned_score_zero(name: str) -> str:
    """Weights that are pruned score 0."""
    mask = generated.mask()
    bad = [n for n, values in _scores(name).items() if values[~mask[n]].any()]
    return f"{bad[0]} has pruned weights with other scores" if bad else ""


def leaves_evidence(name: str) -> str:
    """Its inputs are as before."""
    given = evidence()
    parts = (given.begun, given.trained, given.mask)
    before = [generated.content(part) for part in parts]
    criteria.score(name, given)
    same = before == [generated.content(part) for part in parts]
    return "" if same else "it writes into its evidence; copy what you change"


def repeats(name: str) -> str:
    """The same evidence gives the same scores."""
    same = generated.content(_scores(name)) == generated.content(_scores(name))
    return "" if same else "they differ; draw from evidence.rng alone"


def keeps_nothing(name: str) -> str:
    """Earlier calls change no scores."""
    return memory.kept(name, lambda seed: generated.content(_scores(name, seed)))


def draws_as_declared(name: str) -> str:
    """It draws from the random stream if its record says so, and only then."""
    given = evidence()
    criteria.score(name, given)
    assert given.rng is not None
    fresh = evidence().rng
    assert fresh is not None
    drew = given.rng.random() != fresh.random()
    declared = criteria.CRITERIA[name].draws
    return "" if drew == declared else f"draws: {declared} declared, and it is {drew}"


def needs_as_declared(name: str) -> str:
    """Without what its record does not ask for, it gives the same scores."""
    record, given = criteria.CRITERIA[name], evidence()
    bare = given
    if not record.needs_trained:
        bare = replace(bare, trained={})
    if not record.needs_batches:
        bare = replace(bare, batches=None)
    if not record.draws:
        bare = replace(bare, rng=None)
    found = criteria.score(name, bare)
    same = generated.content(found) == generated.content(_scores(name))
    return "" if same else "they differ"


def _scores(name: str, seed: int = 0) -> Scores:
    return criteria.score(name, evidence(seed))


PROPERTIES: tuple[Callable[[str], str], ...] = (
    gives_scores,
    is_finite,
    pruned_score_zero,
    leaves_evidence,
    repeats,
    keeps_nothing,
    draws_as_declared,
    needs_as_declared,
)
