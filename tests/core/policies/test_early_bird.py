"""Early-bird tickets: channels go as a whole, once it no longer changes which ones."""

import numpy as np
import pytest
from helpers.on_digits import RESNET

from pipeline.core import masks
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    kernels,
    parameters,
)
from pipeline.core.policies import rule as rule_of
from pipeline.core.policies.early_bird import Channels, channels_of, looks
from pipeline.core.training.mask_rules import Seen

NORMED = (
    Conv(name="a", inputs=3, outputs=20, bias=False),
    BatchNorm(name="na", channels=20),
    ReLU(),
    MaxPool(),
    Conv(name="b", inputs=20, outputs=30, bias=False),
    BatchNorm(name="nb", channels=30),
    ReLU(),
    Flatten(),
    Linear(name="out", inputs=120, outputs=5, kind="output"),
)
PLAIN = (
    Conv(name="c", inputs=1, outputs=4),
    ReLU(),
    Flatten(),
    Linear(name="fc", inputs=16, outputs=6),
    ReLU(),
    Linear(name="out", inputs=6, outputs=3, kind="output"),
)
END = 100_000


def searching(network, density):
    sizes = dict.fromkeys(kernels(network), 1 - density)
    asked = Asked(criterion="", fractions=sizes, scope="global", rounds=1)
    dense = masks.dense(parameters(network), kernels(network))
    return rule_of("early-bird", asked, network).begin(dense, 0, END)


def seen(network, step, seed=0):
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.standard_normal(tensor.shape).astype(np.float32)
        for name, tensor in parameters(network).items()
    }
    return Seen(step=step, weights=weights)


def test_channels_lead_out_of_their_layer_where_nothing_else_adds_to_them():
    assert channels_of(NORMED) == [
        Channels(into="a.weight", number=20, scale="na.weight", out_of="b.weight"),
        Channels(into="b.weight", number=30, scale="nb.weight", out_of="out.weight"),
    ]
    assert [(one.into, one.scale, one.out_of) for one in channels_of(PLAIN)] == [
        ("c.weight", None, "fc.weight"),
        ("fc.weight", None, "out.weight"),
    ]
    inside = Conv(name="i", inputs=4, outputs=4, bias=False)
    body = (inside, BatchNorm(name="ni", channels=4))
    found = channels_of((Residual(body=body), GlobalAveragePool()))
    assert [(one.into, one.out_of) for one in found] == [("i.weight", None)]
    assert all(one.scale for one in channels_of(RESNET))


@pytest.mark.parametrize("density", [0.7, 0.3, 0.05])
def test_the_smallest_channels_go_until_few_enough_weights_are_left(density):
    living, look = searching(NORMED, density), seen(NORMED, looks(0, END)[-1])
    living.change(look)
    mask = living.mask
    wanted = round(density * sum(kept.size for kept in mask.values()))
    kept = sum(masks.kept(mask).values())
    largest = 20 * 9 + 30 * 9 + 30 * 5  # of a channel: what leads into it and out of it
    assert wanted - largest < kept <= wanted
    stays = {n: mask[f"{n}.weight"].any(axis=(1, 2, 3)) for n in ("a", "b")}
    sizes = {n: np.abs(look.weights[f"n{n}.weight"]) for n in ("a", "b")}
    out = np.concatenate([sizes[n][~stays[n]] for n in ("a", "b")])
    left = np.concatenate([np.sort(sizes[n][stays[n]])[:-1] for n in ("a", "b")])
    assert out.max() < left.min(initial=np.inf)
    assert min(one.sum() for one in stays.values()) >= 1
    np.testing.assert_array_equal(mask["b.weight"].any(axis=(0, 2, 3)), stays["a"])
    columns = mask["out.weight"].all(axis=0).reshape(30, 4)
    np.testing.assert_array_equal(columns, np.repeat(stays["b"][:, None], 4, axis=1))


def test_a_ticket_is_drawn_when_five_masks_in_turn_are_alike():
    living = searching(NORMED, 0.5)
    for number, step in enumerate(looks(0, END)[:8]):
        living.change(seen(NORMED, step, seed=0 if number > 2 else number + 7))
        cut = not all(kept.all() for kept in living.mask.values())
        assert cut == (number == 7), "the first of five alike is number 3"
    before = {name: kept.copy() for name, kept in living.mask.items()}
    living.change(seen(NORMED, looks(0, END)[8], seed=9))
    assert all((living.mask[name] == kept).all() for name, kept in before.items())
    spent = living.kept_steps(10_000)
    drawn = looks(0, END)[7]
    for name, kept in before.items():
        assert spent[name] == drawn * kept.size + (10_000 - drawn) * kept.sum()


@pytest.mark.parametrize("density", [0.97, 0.5, 0.02])
def test_masks_that_chance_draws_are_never_alike(density):
    """At 2 and 97 % two of them differ in less than a tenth of the channels."""
    living, steps = searching(NORMED, density), looks(0, END)
    for number, step in enumerate(steps[:60]):
        living.change(seen(NORMED, step, seed=number))
        assert all(kept.all() for kept in living.mask.values())
    living.finish(seen(NORMED, steps[60]))
    assert not all(kept.all() for kept in living.mask.values())


def test_a_layer_without_norm_is_ranked_by_its_weights():
    living, look = searching(PLAIN, 0.88), seen(PLAIN, looks(0, END)[-1])
    look.weights["fc.weight"][2] = 0
    living.change(look)
    assert not living.mask["fc.weight"][2].any()
    assert not living.mask["out.weight"][:, 2].any()
    assert living.mask["c.weight"].all()
