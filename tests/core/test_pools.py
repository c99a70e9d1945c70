"""Pools: the networks of several rounds mixed into one that is not worse."""

import numpy as np
import pytest

from pipeline.core import masks, pools
from pipeline.core.pools import Joined

TICKET = {"a": np.float32([4, 0, 2, 0]), "b": np.float32([0, 1]), "bias": np.float32([1])}
MASK = {name: TICKET[name] != 0 for name in ("a", "b")}
OTHER = {"a": np.float32([0, 8, 2, 4]), "b": np.float32([2, 0]), "bias": np.float32([3])}
TOGETHER = pools.counts_of(MASK, ["a", "b"])


def test_a_step_by_hand() -> None:
    """Half of each: a = 2, 4, 2, 2 and b = 1, .5; three weights stay, ties by position."""
    weights, mask = pools.mixed(TICKET, OTHER, 0.5, MASK, TOGETHER)
    assert weights["a"].tolist() == [2, 4, 2, 0]
    assert weights["b"].tolist() == [0, 0]
    assert weights["bias"].tolist() == [2]
    assert mask["a"].tolist() == [True, True, True, False]
    layers = pools.counts_of(MASK, [])
    weights, _ = pools.mixed(TICKET, OTHER, 0.75, MASK, layers)
    assert (weights["a"].tolist(), weights["b"].tolist()) == ([3, 2, 0, 0], [0, 0.75])


def test_an_equally_good_network_joins_at_the_first_of_the_best_shares() -> None:
    found = pools.pooled(
        (TICKET, MASK), [(3, OTHER)], (0.25, 0.5), TOGETHER, accuracy=lambda _: 0.5
    )
    assert found.joined == (Joined(round=3, share=0.25, accuracy=0.5),)
    assert found.facts == [{"round": 3, "share": 0.25, "validation_accuracy": 0.5}]
    worse = pools.pooled(
        (TICKET, MASK),
        [(3, OTHER)],
        (0.25, 0.5),
        TOGETHER,
        accuracy=lambda weights: float(weights is TICKET),
    )
    assert worse.joined == ()


def test_a_network_alone_is_its_pool() -> None:
    found = pools.pooled((TICKET, MASK), [], pools.SHARES, TOGETHER, accuracy=lambda _: 0.5)
    assert found.weights is TICKET
    assert found.mask is MASK


def test_a_tensor_that_was_not_pruned_stays_whole() -> None:
    begun = {"a": MASK["a"], "b": np.ones(2, np.bool_)}
    small = TICKET | {"b": np.float32([0.1, 0.2])}
    counts = pools.counts_of(begun, ["a"])
    _, mask = pools.mixed(small, OTHER, 0.5, begun, counts)
    assert masks.kept(mask) == {"a": 2, "b": 2}


@pytest.mark.parametrize("together", [["a", "b"], ["a"], []])
@pytest.mark.parametrize("seed", range(3))
def test_a_pool_never_becomes_worse_and_keeps_its_counts(
    seed: int, together: list[str]
) -> None:
    rng = np.random.default_rng(seed)
    shapes = {"a": (6, 5), "b": (5, 4)}

    def network(density: float) -> tuple[dict, dict]:
        kept = {name: rng.random(shape) < density for name, shape in shapes.items()}
        drawn = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
        return masks.apply(drawn, kept), kept

    begun = network(0.3)
    counts = pools.counts_of(begun[1], together)
    seen: list[dict] = []

    def accuracy(weights: dict) -> float:
        seen.append(weights)
        return round(float(weights["a"].sum() + weights["b"].sum()), 1)

    others = [(round, network(density)[0]) for round, density in ((0, 1), (1, 0.6))]
    found = pools.pooled(begun, others, pools.SHARES, counts, accuracy=accuracy)
    assert len(seen) == 1 + 2 * len(pools.SHARES)
    wanted = masks.kept(begun[1])
    for weights in seen:
        kept = {name: np.count_nonzero(values) for name, values in weights.items()}
        assert sum(kept.values()) == sum(wanted.values())
        assert together or kept == wanted
    values = [accuracy(begun[0]), *(one.accuracy for one in found.joined)]
    assert values == sorted(values)
    assert values[-1] == accuracy(found.weights)
    assert not masks.revived(found.weights, found.mask)


def test_a_diverged_network_joins_no_pool() -> None:
    lost = TICKET | {"bias": np.float32([np.nan])}
    for begun, other in ((TICKET, lost), (lost, TICKET)):
        found = pools.pooled(
            (begun, MASK), [(0, other)], (0.5,), TOGETHER, accuracy=lambda _: 1.0
        )
        assert found.weights is begun


def test_minus_infinity_in_both_keeps_no_network_from_a_pool() -> None:
    mask = {"mask": np.float32([0, -np.inf])}
    found = pools.pooled(
        (TICKET | mask, MASK),
        [(0, OTHER | mask)],
        (0.5,),
        TOGETHER,
        accuracy=lambda _: 1.0,
    )
    assert len(found.joined) == 1
    assert found.weights["mask"].tolist() == [0, -np.inf]


def test_the_nearest_round_is_first() -> None:
    assert pools.nearest_first(0, range(3)) == [1, 2]
    assert pools.nearest_first(3, range(6)) == [2, 4, 1, 5, 0]
