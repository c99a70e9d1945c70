"""Pruning removes the lowest scores in exact numbers, with one rule for ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import masks
from pipeline.core.counts import kept_counts, pool_counts
from pipeline.core.pruning import prune, prune_to

NAN = float("nan")


def arrays(**values):
    return {name: np.array(value, np.float32) for name, value in values.items()}


def all_true(scores):
    return {name: np.ones(values.shape, np.bool_) for name, values in scores.items()}


def listed(mask):
    return {name: kept.astype(int).tolist() for name, kept in mask.items()}


def test_layerwise_removes_the_lowest_of_every_tensor():
    scores = arrays(a=[4, 1, 3, 2], b=[[10, 30], [20, 40]])
    new = prune(scores, all_true(scores), {"a": 0.5, "b": 0.25}, "layerwise")
    assert listed(new) == {"a": [1, 0, 1, 0], "b": [[0, 1], [1, 1]]}


def test_global_removes_the_lowest_of_all():
    scores = arrays(a=[4, 1, 3, 2], b=[[10, 30], [20, 40]])
    new = prune(scores, all_true(scores), {"a": 0.5, "b": 0.5}, "global")
    assert listed(new) == {"a": [0, 0, 0, 0], "b": [[1, 1], [1, 1]]}
    assert masks.collapsed(new) == ["a"]


def test_tensors_counted_but_not_pruned_stay_for_all_scores():
    scores = arrays(a=[4, 1, 3, 2], b=[0, NAN])
    for scope in ("layerwise", "global"):
        new = prune(scores, all_true(scores), {"a": 0.5, "b": 0.0}, scope)
        assert listed(new) == {"a": [1, 0, 1, 0], "b": [1, 1]}


def test_the_fraction_is_of_what_is_left_and_nothing_is_revived():
    scores = arrays(a=[9, 1, 8, 2])
    mask = {"a": np.array([False, True, False, True])}
    new = prune(scores, mask, {"a": 0.5}, "layerwise")
    assert listed(new) == {"a": [0, 0, 0, 1]}


def test_a_weight_trained_to_exactly_zero_is_alive_until_it_is_pruned():
    scores = arrays(a=[0, 0, 5, 5])
    mask = {"a": np.array([False, True, True, True])}
    assert listed(prune(scores, mask, {"a": 0.0}, "layerwise")) == {"a": [0, 1, 1, 1]}


def test_of_equal_scores_the_earlier_positions_survive():
    scores = arrays(a=[1, 1, 1, 1])
    new = prune(scores, all_true(scores), {"a": 0.5}, "layerwise")
    assert listed(new) == {"a": [1, 1, 0, 0]}
    scores = arrays(a=[-0.0, 0, 7, -0.0])
    new = prune(scores, all_true(scores), {"a": 0.5}, "layerwise")
    assert listed(new) == {"a": [1, 0, 1, 0]}


def test_equal_scores_of_a_pool_survive_in_the_order_of_sorted_names():
    scores = arrays(b=[1, 1], a=[1, 1])
    new = prune(scores, all_true(scores), {"a": 0.25, "b": 0.25}, "global")
    assert listed(new) == {"b": [1, 0], "a": [1, 1]}


def test_chance_decides_between_equal_scores_where_a_stream_is_given():
    scores = {"a": np.zeros(1000, np.float32)}
    scores["a"][::10] = 1
    cut = [
        prune_to(scores, all_true(scores), {"a": kept}, np.random.default_rng(0))["a"]
        for kept in (800, 550, 100)
    ]
    assert [np.count_nonzero(mask) for mask in cut] == [800, 550, 100]
    # 450 of the 900 tied weights stay, a third of them in each third of the positions.
    for part in np.split(cut[1][:999], 3):
        assert 150 < np.count_nonzero(part) < 217
    assert not np.any(cut[1] & ~cut[0])
    assert not np.any(cut[2] & ~cut[1])
    assert np.all(cut[2] == (scores["a"] == 1))


def test_chance_has_no_say_where_no_scores_are_equal():
    scores = {"a": np.random.default_rng(0).permutation(100).astype(np.float32)}
    dense = all_true(scores)
    drawn = prune_to(scores, dense, {"a": 30}, np.random.default_rng(1))
    assert listed(drawn) == listed(prune_to(scores, dense, {"a": 30}))


def test_nan_ranks_below_minus_infinity():
    scores = arrays(a=[NAN, -np.inf, NAN, 3])
    for num_kept, expected in [
        (1, [0, 0, 0, 1]),
        (2, [0, 1, 0, 1]),
        (3, [1, 1, 0, 1]),
        (4, [1, 1, 1, 1]),
        (0, [0, 0, 0, 0]),
    ]:
        assert listed(prune_to(scores, all_true(scores), {"a": num_kept})) == {
            "a": expected
        }


def test_a_diverged_network_is_pruned_by_position():
    scores = arrays(a=[NAN] * 4)
    new = prune(scores, all_true(scores), {"a": 0.5}, "layerwise")
    assert listed(new) == {"a": [1, 1, 0, 0]}


def test_negative_scores_rank_like_any_others():
    scores = arrays(a=[-1, -3, -2, -4])
    new = prune(scores, all_true(scores), {"a": 0.5}, "layerwise")
    assert listed(new) == {"a": [1, 0, 1, 0]}


def test_one_shot_takes_the_counts_of_its_round():
    scores = arrays(a=[5, 1, 4, 2, 3], b=[1, 2])
    fractions = {"a": 0.2, "b": 0.0}
    for scope in ("layerwise", "global"):
        counts = kept_counts({"a": 5, "b": 2}, fractions, scope, 3)[3]
        new = prune_to(scores, all_true(scores), counts)
        assert listed(new) == {"a": [1, 0, 1, 0, 0], "b": [1, 1]}


def test_pruning_changes_no_argument():
    scores = arrays(a=[4, 1, 3, 2])
    mask = all_true(scores)
    new = prune(scores, mask, {"a": 0.0}, "layerwise")
    new["a"][:] = False
    assert listed(mask) == {"a": [1, 1, 1, 1]}
    assert scores["a"].tolist() == [4, 1, 3, 2]


def test_memory_layout_does_not_matter():
    scores = {"a": np.asfortranarray([[1.0, 1.0], [1.0, 1.0]])}
    mask = {"a": np.asfortranarray([[True, True], [True, True]])}
    assert listed(prune_to(scores, mask, {"a": 2})) == {"a": [[1, 1], [0, 0]]}


def test_arguments_that_do_not_fit_are_refused():
    scores = arrays(a=[1, 2])
    mask = all_true(scores)
    with pytest.raises(ValueError, match=r"scores are given for \['b'\], the masked"):
        prune(arrays(b=[1, 2]), mask, {"a": 0.5}, "layerwise")
    with pytest.raises(ValueError, match=r"'a' is \(1, 2\) in the scores and \(2,\) in"):
        prune(arrays(a=[[1, 2]]), mask, {"a": 0.5}, "layerwise")
    with pytest.raises(ValueError, match=r"cannot keep 3 weights of \['a'\]: .* only 2"):
        prune_to(scores, mask, {"a": 3})
    for counts in ({}, {"a": 1, "b": 1}, {"a": 1, "global": 1}):
        with pytest.raises(ValueError, match="counts are given for"):
            prune_to(scores, mask, counts)


few_values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, NAN, np.inf, -np.inf])
weight = st.tuples(few_values | st.floats(width=32), st.booleans())
tensor = st.lists(weight, min_size=1, max_size=30)
networks = st.dictionaries(st.sampled_from("abcd"), tensor, min_size=1)
fraction = st.integers(0, 99).map(lambda percent: percent / 100)
scopes = st.sampled_from(["layerwise", "global"])


def split(network):
    scores = {
        name: np.array([score for score, _ in entries], np.float32)
        for name, entries in network.items()
    }
    mask = {name: np.array([k for _, k in entries]) for name, entries in network.items()}
    return scores, mask


def plainly(scores, mask, num_kept):
    """The definition: a stable sort, best first, of (not NaN, score) over the alive."""
    alive = [
        (name, i) for name in sorted(mask) for i in range(mask[name].size) if mask[name][i]
    ]

    def rank(place):
        value = float(scores[place[0]][place[1]])
        return (1, 0.0) if np.isnan(value) else (0, -value)

    best = set(sorted(alive, key=rank)[:num_kept])
    return {
        name: np.array([(name, i) in best for i in range(mask[name].size)]) for name in mask
    }


@given(networks, fraction, scopes)
def test_the_new_mask_is_a_subset_of_exactly_the_promised_size(network, part, scope):
    scores, mask = split(network)
    fractions = dict.fromkeys(mask, part)
    new = prune(scores, mask, fractions, scope)
    assert masks.is_nested(new, mask)
    expected = kept_counts(masks.kept(mask), fractions, scope, 1)[1]
    assert pool_counts(masks.kept(new), fractions, scope) == expected


@given(networks, st.data())
def test_the_partition_keeps_what_a_stable_sort_keeps(network, data):
    scores, mask = split(network)
    num_kept = data.draw(st.integers(0, sum(masks.kept(mask).values())))
    new = prune_to(scores, mask, {"global": num_kept})
    assert listed(new) == listed(plainly(scores, mask, num_kept))


@given(networks, fraction, scopes, st.randoms(use_true_random=False))
def test_the_order_of_dictionaries_does_not_matter(network, part, scope, random):
    scores, mask = split(network)
    fractions = dict.fromkeys(mask, part)
    names = list(mask)
    random.shuffle(names)
    shuffled = prune(
        {name: scores[name] for name in names},
        {name: mask[name] for name in reversed(names)},
        fractions,
        scope,
    )
    new = prune(scores, mask, fractions, scope)
    assert listed(new) == {name: listed(shuffled)[name] for name in mask}


@given(st.integers(1, 3), fraction, scopes)
def test_rounds_of_pruning_follow_the_integer_recursion(rounds, part, scope):
    rng = np.random.default_rng(rounds)
    scores = {"a": rng.normal(size=(7, 11)), "b": rng.integers(0, 3, size=40) * 1.0}
    fractions = dict.fromkeys(scores, part)
    dense = mask = all_true(scores)
    for _ in range(rounds):
        mask = prune(scores, mask, fractions, scope)
    counts = kept_counts({"a": 77, "b": 40}, fractions, scope, rounds)[-1]
    assert pool_counts(masks.kept(mask), fractions, scope) == counts
    # With scores that stay the same, many rounds and one shot keep the same weights.
    assert listed(prune_to(scores, dense, counts)) == listed(mask)
