"""ER and ERK divide an exact total; the counts are those of published layers."""

import pytest

from pipeline.core.cuts.budgets import erdos_renyi

LENET = {"fc1": (300, 784), "fc2": (100, 300), "out": (10, 100)}
NERVA = {"fc1": (1024, 3072), "fc2": (512, 1024), "out": (10, 512)}


@pytest.mark.parametrize(
    ("density", "kept"),
    [
        (0.50, [102_100, 30_000, 1_000]),
        (0.20, [38_159, 14_081, 1_000]),
        (0.10, [18_714, 6_906, 1_000]),
        (0.05, [9_051, 3_340, 919]),
        (0.02, [3_621, 1_336, 367]),
        (0.01, [1_810, 668, 184]),
    ],
)
def test_the_counts_of_lenet(density, kept):
    total = round(density * 266_200)
    assert list(erdos_renyi(LENET, total, areas=True).values()) == kept
    assert erdos_renyi(LENET, total, areas=False) == erdos_renyi(LENET, total, areas=True)


@pytest.mark.parametrize(
    ("density", "densities"),
    [
        (0.50, [0.423651, 0.953214, 1]),
        (0.05, [0.041300, 0.092924, 1]),
        (0.01, [0.007776, 0.017496, 0.608859]),
    ],
)
def test_the_densities_of_nervas_network(density, densities):
    kept = erdos_renyi(NERVA, round(density * 3_675_136), areas=True)
    for (name, shape), expected in zip(NERVA.items(), densities, strict=True):
        assert kept[name] / (shape[0] * shape[1]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("areas", [False, True])
@pytest.mark.parametrize("total", [0, 1, 7, 100, 1_000, 1_336, 1_337])
def test_the_total_is_exact_and_no_tensor_keeps_more_than_it_has(total, areas):
    shapes = {"a": (16, 3, 3, 3), "b": (5, 16, 3, 3), "c": (10, 18), "e": (1, 5)}
    kept = erdos_renyi(shapes, total, areas=areas)
    assert sum(kept.values()) == total
    for name, shape in shapes.items():
        size = 1
        for side in shape:
            size *= side
        assert 0 <= kept[name] <= size


def test_the_area_counts_in_erk_and_not_in_er():
    shapes = {"conv": (64, 64, 3, 3), "fc": (10, 64)}
    er, erk = (erdos_renyi(shapes, 5_000, areas=areas) for areas in (False, True))
    # raw densities: er (64 + 64) / 4096 against 74 / 640; erk 134 / 36864 against the same
    assert er["conv"] > erk["conv"]


def test_more_than_there_is_cannot_be_kept():
    with pytest.raises(ValueError, match="6 weights of 5 cannot be kept"):
        erdos_renyi({"a": (1, 5)}, 6, areas=True)
