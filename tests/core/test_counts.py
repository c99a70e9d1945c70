"""Counts of kept weights agree with golden numbers of Frankle & Carbin 2019."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.counts import fractions_per_tensor, kept_counts, pool_counts
from pipeline.core.models.layers import BatchNorm, Conv, Linear, Residual, parameters

LENET = {"fc1": 235200, "fc2": 30000, "output": 1000}
LENET_RATES = {"fc1": 0.2, "fc2": 0.2, "output": 0.1}
CONVOLUTIONS = [1728, 36864, 73728, 147456, 294912, 589824]


def conv_net(num_convolutions, flat):
    sizes = {f"conv{i}": CONVOLUTIONS[i] for i in range(num_convolutions)}
    return sizes | {"fc1": flat * 256, "fc2": 65536, "output": 2560}


def rates(sizes, conv):
    dense_layers = {"fc1": 0.2, "fc2": 0.2, "output": 0.1}
    return {name: dense_layers.get(name, conv) for name in sizes}


def percentages(sizes, fractions, scope, rounds):
    history = kept_counts(sizes, fractions, scope, rounds)
    return [100 * sum(counts.values()) / sum(sizes.values()) for counts in history]


def as_printed(sizes, fractions, scope, rounds):
    return " ".join(f"{p:.1f}" for p in percentages(sizes, fractions, scope, rounds))


@pytest.mark.parametrize(
    ("round", "kept"),
    [
        (0, (235200, 30000, 1000)),
        (1, (188160, 24000, 900)),
        (3, (120422, 15360, 729)),
        (7, (49325, 6291, 478)),
        (12, (16162, 2062, 282)),
        (15, (8275, 1056, 206)),
        (18, (4237, 541, 150)),
        (20, (2712, 346, 121)),
    ],
)
def test_kept_counts_of_lenet(round, kept):
    history = kept_counts(LENET, LENET_RATES, "layerwise", 20)
    assert len(history) == 21
    assert tuple(history[round].values()) == kept


def test_densities_of_lenet():
    assert sum(LENET.values()) == 266_200
    assert as_printed(LENET, LENET_RATES, "layerwise", 20) == (
        "100.0 80.0 64.1 51.3 41.1 32.9 26.3 21.1 16.9 13.5 10.8 8.7 7.0 5.6 4.5 3.6 "
        "2.9 2.3 1.9 1.5 1.2"
    )


def test_lenet_with_its_output_at_full_rate_is_another_ladder():
    assert as_printed(LENET, dict.fromkeys(LENET, 0.2), "layerwise", 18) == (
        "100.0 80.0 64.0 51.2 41.0 32.8 26.2 21.0 16.8 13.4 10.7 8.6 6.9 5.5 4.4 3.5 "
        "2.8 2.3 1.8"
    )


def test_densities_of_conv_2():
    sizes = conv_net(2, flat=16384)
    assert sum(sizes.values()) == 4_300_992
    assert as_printed(sizes, rates(sizes, conv=0.1), "layerwise", 18) == (
        "100.0 80.1 64.2 51.4 41.2 33.0 26.5 21.2 17.0 13.7 11.0 8.8 7.1 5.7 4.6 3.7 "
        "3.0 2.4 1.9"
    )


def test_densities_of_conv_4():
    sizes = conv_net(4, flat=8192)
    assert sum(sizes.values()) == 2_425_024
    assert as_printed(sizes, rates(sizes, conv=0.1), "layerwise", 20) == (
        "100.0 81.1 65.8 53.5 43.6 35.6 29.1 23.9 19.6 16.2 13.3 11.1 9.2 7.7 6.4 5.4 "
        "4.5 3.8 3.2 2.7 2.3"
    )


def test_densities_of_conv_6():
    sizes = conv_net(6, flat=4096)
    assert sum(sizes.values()) == 2_261_184
    assert as_printed(sizes, rates(sizes, conv=0.15), "layerwise", 14) == (
        "100.0 82.5 68.2 56.4 46.7 38.7 32.1 26.6 22.1 18.4 15.3 12.7 10.6 8.9 7.4"
    )


def resnet_20():
    def block(name, inputs, outputs):
        body = (
            Conv(name=f"{name}.conv1", inputs=inputs, outputs=outputs, bias=False),
            Conv(name=f"{name}.conv2", inputs=outputs, outputs=outputs, bias=False),
        )
        projection = Conv(
            name=f"{name}.shortcut",
            inputs=inputs,
            outputs=outputs,
            kernel=1,
            bias=False,
            kind="shortcut",
        )
        return Residual(body=body, shortcut=(projection,) if inputs != outputs else ())

    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    return (
        Conv(name="conv", inputs=3, outputs=16, bias=False),
        *(block(f"block{i}", *widths[i : i + 2]) for i in range(9)),
        Linear(name="fc", inputs=64, outputs=10, kind="output"),
    )


def resnet_case(by_kind):
    tensors = parameters(resnet_20())
    fractions = fractions_per_tensor(tensors, by_kind)
    return {name: math.prod(tensors[name].shape) for name in fractions}, fractions


def test_densities_of_a_resnet_whose_shortcuts_and_output_are_counted_but_not_pruned():
    sizes, fractions = resnet_case({"conv": 0.2, "shortcut": 0.0, "output": 0.0})
    assert sum(sizes.values()) == 270_256 + 640
    assert as_printed(sizes, fractions, "global", 10) == (
        "100.0 80.2 64.4 51.8 41.7 33.6 27.1 21.9 17.8 14.4 11.8"
    )
    assert kept_counts(sizes, fractions, "global", 1)[1] == {
        "global": 214_157,
        "block3.shortcut.weight": 512,
        "block6.shortcut.weight": 2_048,
        "fc.weight": 640,
    }


def test_densities_of_global_pruning_are_powers_of_the_kept_fraction():
    sizes, fractions = resnet_case({"conv": 0.2, "shortcut": 0.2, "output": 0.2})
    assert as_printed(sizes, fractions, "global", 20) == (
        "100.0 80.0 64.0 51.2 41.0 32.8 26.2 21.0 16.8 13.4 10.7 8.6 6.9 5.5 4.4 3.5 "
        "2.8 2.3 1.8 1.4 1.2"
    )


def test_densities_of_the_seed_report():
    found = percentages(LENET, dict.fromkeys(LENET, 0.1), "layerwise", 34)
    assert all(abs(p - 100 * 0.9**r) < 0.005 for r, p in enumerate(found))
    assert f"{found[9]:.1f} {found[34]:.1f}" == "38.7 2.8"
    # The report prints 38.8 %: it counts the 410 biases, none of which is ever zero.
    assert round(100 * (266_200 * found[9] / 100 + 410) / 266_610, 2) == 38.84


@pytest.mark.parametrize(
    ("fraction", "alive", "removed"),
    [
        (0.1, 5, 0),  # 0.5
        (0.1, 15, 2),  # 1.5
        (0.1, 25, 2),  # 2.5
        (0.5, 1, 0),
        (0.5, 3, 2),
        (0.9, 1, 1),
        (0.2, 2, 0),
        (0.0, 7, 0),
        (0.575, 100, 58),  # 57.5; the binary product is 57.49999999999999
        (0.2, 0, 0),
    ],
)
def test_halves_are_rounded_to_even(fraction, alive, removed):
    after = kept_counts({"a": alive}, {"a": fraction}, "layerwise", 1)[1]
    assert after == {"a": alive - removed}


@given(st.integers(0, 10**7), st.decimals(0, "0.99", places=2), st.integers(0, 30))
def test_counts_stay_within_the_rounding_of_the_power_law(size, fraction, rounds):
    kept = kept_counts({"a": size}, {"a": float(fraction)}, "layerwise", rounds)[-1]
    # Every round is off by at most a half, and later rounds shrink earlier errors.
    assert abs(kept["a"] - size * (1 - float(fraction)) ** rounds) <= 0.5 * rounds + 1e-6


def test_counts_per_pool_are_sums_over_its_tensors():
    kept = {"a": 3, "b": 4, "c": 5}
    fractions = {"c": 0.2, "b": 0.0, "a": 0.2}
    assert pool_counts(kept, fractions, "global") == {"global": 8, "b": 4}
    assert pool_counts(kept, fractions, "layerwise") == kept


def test_without_a_fraction_above_zero_there_is_no_pool():
    assert kept_counts({"a": 3}, {"a": 0.0}, "global", 2) == [{"a": 3}] * 3


def test_fractions_of_a_global_pool_must_agree():
    with pytest.raises(ValueError, match=r"'b' has pruning fraction 0.1 and others .*0.2"):
        kept_counts({"a": 3, "b": 4}, {"a": 0.2, "b": 0.1}, "global", 1)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_fractions_lie_below_one(fraction, scope):
    with pytest.raises(ValueError, match=r"pruning fraction of 'a' is .* in \[0, 1\)"):
        kept_counts({"a": 3}, {"a": fraction}, scope, 1)


def test_every_tensor_needs_a_fraction():
    with pytest.raises(ValueError, match=r"fractions are given for \['a'\]"):
        kept_counts({"a": 3, "b": 3}, {"a": 0.2}, "layerwise", 1)


NETWORK = (
    Conv(name="conv", inputs=3, outputs=4),
    BatchNorm(name="norm", channels=4),
    Conv(name="pass", inputs=4, outputs=4, kernel=1, bias=False, kind="shortcut"),
    Linear(name="fc", inputs=4, outputs=2, kind="output"),
)


def test_fractions_by_kind_become_fractions_by_tensor():
    by_kind = {"conv": 0.2, "shortcut": 0.0, "fc": 0.3, "output": None}
    assert fractions_per_tensor(parameters(NETWORK), by_kind) == {
        "conv.weight": 0.2,
        "pass.weight": 0.0,
    }


def test_a_kind_without_a_fraction_is_refused():
    with pytest.raises(ValueError, match=r"no pruning fraction for \['output'\]; the"):
        fractions_per_tensor(parameters(NETWORK), {"conv": 0.2, "shortcut": 0.2})


def test_a_network_of_which_nothing_counts_is_refused():
    by_kind = dict.fromkeys(("conv", "shortcut", "output"))
    with pytest.raises(ValueError, match="no prunable weights"):
        fractions_per_tensor(parameters(NETWORK), by_kind)
