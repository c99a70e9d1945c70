"""PHEW's draws: fast ones are those that plain ones give, or have their distribution."""

import numpy as np
import pytest
from helpers.initial import theta0

from pipeline.core import cuts, masks
from pipeline.core.criteria import phew
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.criteria.phew.seeking import Seeking
from pipeline.core.criteria.phew.steps import Plain, Steps, Table
from pipeline.core.criteria.phew.walking import At, walk
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Linear,
    ReLU,
    Residual,
    kernels,
    parameters,
)

NETWORK = (
    Conv(name="first", inputs=2, outputs=3, bias=False),
    ReLU(),
    Residual(
        body=(Conv(name="a", inputs=3, outputs=4, bias=False), ReLU()),
        shortcut=(
            Conv(name="s", inputs=3, outputs=4, kernel=1, bias=False, kind="shortcut"),
        ),
    ),
    Flatten(),
    Linear(name="out", inputs=16, outputs=3, kind="output"),
)
WALKS = 40_000


def test_a_draw_is_the_one_of_a_search_through_the_whole_row() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.exponential(size=(40, 30)) ** 8  # very unequal
    sizes[:, ::3] = 0
    sizes[3, 1:] = 0
    sizes[3, 0] = 1
    rows = rng.integers(len(sizes), size=20_000)
    found = Table(sizes).draw(rows, np.random.default_rng(1))
    chance = np.random.default_rng(1).random(len(rows))
    cumulated = np.cumsum(sizes, axis=1)
    moved = (cumulated / cumulated[:, -1:] + np.arange(len(sizes))[:, None]).ravel()
    at = np.searchsorted(moved, rows + chance, side="right")
    np.testing.assert_array_equal(found, np.clip(at - rows * 30, 0, 29))
    assert (sizes[rows, found] > 0).all()


def visited(share):
    """Some weights that walks have visited; the output is none that counts."""
    rng = np.random.default_rng(7)
    shapes = {name: tensor.shape for name, tensor in kernels(NETWORK).items()}
    found = {name: rng.random(shape) < share for name, shape in shapes.items()}
    found.pop("out.weight")
    return found


def rates(draws, turns, num, known):
    """How often walks with news visit each weight, and which walks those are."""
    begin = At(
        walks=np.arange(len(turns)),
        units=turns % num,
        num_units=num,
        seeks=np.ones(len(turns), bool),
    )
    found = []
    walk(NETWORK, begin, draws, found)
    news = np.zeros(len(turns), bool)
    for one in found:
        if one.tensor in known:
            news[one.walks[~known[one.tensor].ravel()[one.places]]] = True
    counts = {name: np.zeros(kernel.shape) for name, kernel in kernels(NETWORK).items()}
    for one in found:
        mine = news[one.walks]
        np.add.at(counts[one.tensor].reshape(-1), one.places[mine], 1)
    return np.concatenate([part.ravel() for part in counts.values()]), news


@pytest.mark.parametrize("ahead", [True, False])
def test_walks_that_seek_news_are_those_of_all_walks_that_find_it(ahead) -> None:
    """How many there are and where they go, against plain walks, within chance."""
    weights, known = theta0(NETWORK, 0.5, seed=3), visited(0.97)
    steps = {name: Steps(weights[name]) for name in kernels(NETWORK)}
    num = 2 if ahead else 3
    turns = np.arange(WALKS)
    plain = Plain(steps=steps, rng=np.random.default_rng(0), ahead=ahead)
    expected, news = rates(plain, turns, num, known)
    seeking = Seeking(NETWORK, steps, known, np.random.default_rng(1), ahead=ahead)
    for start, chance in enumerate(seeking.chances):
        assert news[start::num].mean() == pytest.approx(chance, abs=0.01)
    chosen = seeking.numbers(5, WALKS) - 5
    assert abs(len(chosen) - news.sum()) < 5 * np.sqrt(2 * news.sum())
    assert (np.diff(chosen) > 0).all()
    found, all_new = rates(seeking, chosen + 5, num, known)
    assert all_new.all(), "a walk was drawn that visits nothing new"
    spread = np.sqrt(found + expected + 1)
    assert (np.abs(found - expected) < 5.5 * spread).all()
    assert (found > 0).sum() > 20


@pytest.mark.parametrize("few", [0, 10**9], ids=["all walks", "those with news"])
def test_dense_masks_keep_whole_paths_and_zeros_are_never_walked_on(
    few, monkeypatch
) -> None:
    monkeypatch.setattr(phew, "FEW", few)
    given = Evidence(
        network=NETWORK,
        data=of_images((2, 4, 4), classes=3),
        begun=theta0(NETWORK, 0.5, seed=3),
        trained={},
        mask=masks.dense(parameters(NETWORK), kernels(NETWORK)),
        batches=None,
        rng=np.random.default_rng(2),
    )
    given.begun["first.weight"][:, 0, 0, 0] = 0
    fractions = dict.fromkeys(("conv", "shortcut", "output"), 0.05)
    asked = Asked.of_recipe(NETWORK, "phew", fractions, "global", 1)
    found = cuts.cut("paths", given, asked)
    wanted = sum(asked.counts({n: kept.size for n, kept in found.items()}).values())
    assert wanted <= sum(masks.kept(found).values()) < wanted + 3
    assert not found["first.weight"][:, 0, 0, 0].any()


def test_weights_that_are_zero_are_refused_where_all_others_are_kept() -> None:
    weights = theta0(NETWORK, 0.5, seed=3)
    weights["first.weight"][0, 0, 0, 0] = 0
    known = {name: np.ones(kernel.shape, bool) for name, kernel in kernels(NETWORK).items()}
    known["first.weight"][0, 0, 0, 0] = False
    given = Evidence(
        network=NETWORK,
        data=of_images((2, 4, 4), classes=3),
        begun=weights,
        trained={},
        mask=known,
        batches=None,
        rng=np.random.default_rng(2),
    )
    walks = phew.phew(given)
    walks(known)
    with pytest.raises(ValueError, match=r"^all weights that no walk has visited are 0"):
        walks(known)
