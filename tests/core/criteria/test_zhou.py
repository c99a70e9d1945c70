"""The mask criteria of Zhou et al. 2019 on four weights, with answers by hand."""

import numpy as np
import pytest

from pipeline.core import criteria, cuts, pruning, seeding
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images

ALL = [True, True, True, True]
NAN = float("nan")


def scores_of(name, *, before, after, mask, rng=None):
    evidence = Evidence(
        network=(),
        data=of_images((1, 1, 1), classes=2),
        begun=before,
        trained=after,
        mask=mask,
        batches=None,
        rng=rng,
    )
    return criteria.score(name, evidence)


def score(name, *, before, after, kept=ALL, rng=None):
    scores = scores_of(
        name,
        before={"w": np.array(before, np.float32)},
        after={"w": np.array(after, np.float32)},
        mask={"w": np.array(kept)},
        rng=rng,
    )
    return scores["w"].tolist()


# Grew, shrank, flipped and grew, flipped and shrank.
BEFORE = [1.0, -2.0, 3.0, -4.0]
AFTER = [1.5, -0.5, -5.0, 1.0]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("magnitude", [1.5, 0.5, 5, 1]),
        ("small-final", [-1.5, -0.5, -5, -1]),
        ("large-init", [1, 2, 3, 4]),
        ("small-init", [-1, -2, -3, -4]),
        ("magnitude-increase", [0.5, -1.5, 2, -3]),
        ("movement", [0.5, 1.5, 8, 5]),
        ("large-final-same-sign", [1.5, 0.5, 0, 0]),
        ("large-final-diff-sign", [0, 0, 5, 1]),
        ("magnitude-increase-same-sign", [0.5, -1.5, 0, 0]),
        ("magnitude-increase-diff-sign", [0, 0, 2, -3]),
        # Ranks before: 0 1 2 3 quarters; after: 2 0 3 1.
        ("large-init-large-final", [0, 0, 0.5, 0.25]),
        # Ranks of the negatives before: 3 2 1 0 quarters; after: 1 3 0 2.
        ("small-init-small-final", [0.25, 0.5, 0, 0]),
    ],
)
def test_the_score_is_that_of_the_table(name, answer):
    assert score(name, before=BEFORE, after=AFTER) == answer


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("large-final-same-sign", [0, 2, 0, 0]),
        ("large-final-diff-sign", [0, 0, 0, 2]),
        ("magnitude-increase-same-sign", [0, 1, 0, 0]),
        ("magnitude-increase-diff-sign", [-1, 0, -1, 1]),
    ],
)
def test_a_weight_trained_to_exactly_zero_has_lost_its_sign(name, answer):
    after = [0.0, -2.0, -0.0, 2.0]
    assert score(name, before=[1, -1, -1, -1], after=after) == answer


def test_ranks_are_among_the_kept_weights_only():
    found = score(
        "large-init-large-final",
        before=[9, 1, 2, 3],
        after=[9, 5, 6, 7],
        kept=[False, True, True, True],
    )
    assert found == pytest.approx([0, 0, 1 / 3, 2 / 3])


def test_equal_sizes_have_equal_ranks():
    found = score("large-init-large-final", before=[1, 2, 2, 3], after=[4, 5, 5, 6])
    assert found == [0, 0.25, 0.25, 0.75]


def test_a_lost_weight_does_not_change_the_ranks_of_the_others():
    found = score("large-init-large-final", before=[1, 2, 3, 4], after=[5, 6, NAN, 7])
    np.testing.assert_array_equal(found, [0, 0.25, NAN, 0.5])


@pytest.mark.parametrize("name", ["large-init-large-final", "small-init-small-final"])
def test_the_top_ranks_are_what_a_common_percentile_keeps(name):
    rng = np.random.default_rng(0)
    before, after = rng.standard_normal((2, 50)).astype(np.float32)
    sign = 1 if name.startswith("large") else -1
    sizes = sign * np.abs(np.stack([before, after]))
    mask = {"w": np.ones(50, np.bool_)}
    scores = scores_of(name, before={"w": before}, after={"w": after}, mask=mask)
    counts = set()
    for lowest in np.sort(sizes, axis=1).T:
        wanted = np.all(sizes >= lowest[:, None], axis=0)
        num_kept = int(wanted.sum())
        found = pruning.prune_to(scores, mask, {"w": num_kept})["w"]
        assert found.tolist() == wanted.tolist()
        counts.add(num_kept)
    assert len(counts) > 25


@pytest.mark.parametrize("name", [n for n in criteria.CRITERIA if n.endswith("-sign")])
def test_sign_criteria_cut_every_unit_of_a_layer_alike(name):
    """Most weights kept their sign or flipped it, so most of them are tied at 0."""
    rng = np.random.default_rng(0)
    before = rng.standard_normal((50, 200)).astype(np.float32)
    flipped = rng.random((50, 200)) < 0.5
    evidence = Evidence(
        network=(),
        data=of_images((1, 1, 1), classes=2),
        begun={"w": before},
        trained={"w": np.where(flipped, -2 * before, 2 * before)},
        mask={"w": np.ones((50, 200), np.bool_)},
        batches=None,
        rng=seeding.generator(0, "mask_sample"),
    )
    asked = Asked(criterion=name, fractions={"w": 0.2}, scope="layerwise", rounds=1)
    kept = cuts.cut("ranked", evidence, asked)["w"]
    assert np.count_nonzero(kept) == 8_000
    # 160 of a unit's 200 on average, with a standard deviation below 6
    assert np.ptp(kept.sum(axis=1)) < 60


def test_random_scores_are_new_for_every_stream_and_uniform():
    def draw(copy):
        rng = seeding.generator(0, "mask_sample", copy=copy)
        weights = np.zeros(10_000, np.float32)
        return np.array(
            score("random", before=weights, after=weights, kept=ALL * 2_500, rng=rng)
        )

    once, other = draw("ticket"), draw("other")
    assert (once != other).all()
    assert once.min() >= 0
    assert once.max() < 1
    # Standard error of the mean: .003.
    assert once.mean() == pytest.approx(0.5, abs=0.01)


def test_random_masks_cut_one_after_the_other_are_nested_and_have_the_count():
    mask = {"w": np.ones(100, np.bool_)}
    weights = {"w": np.zeros(100, np.float32)}
    for round in range(3):
        rng = seeding.generator(0, "mask_sample", round=round)
        scores = scores_of("random", before=weights, after=weights, mask=mask, rng=rng)
        new = pruning.prune_to(scores, mask, {"w": 80 - 20 * round})
        assert np.count_nonzero(new["w"]) == 80 - 20 * round
        assert not np.any(new["w"] & ~mask["w"])
        mask = new
