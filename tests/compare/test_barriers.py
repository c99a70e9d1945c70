"""Claims of linear mode connectivity beside the barriers of a store."""

from dataclasses import replace

import pytest
from helpers.one_claim import checked
from helpers.tracked_stores import RECIPES, store, with_barriers

STABLE = "{kind: barrier, variant: dense, step: 0, at: [1.0], high: 0.02}"
UNSTABLE = STABLE.replace("high", "low")
TICKET = STABLE.replace("dense", "ticket").replace("1.0", "0.108")
LAST = {"of": "ticket", "round": 10, "density": 0.108}


def around(barrier):
    """A barrier that differs a little from seed to seed and from pair to pair."""
    return lambda seed, pair: barrier + 0.001 * (seed % 3) + 0.002 * pair


def test_without_an_analysis_a_claim_about_stability_is_not_run():
    row = checked(STABLE, store())
    assert row.verdict == "not run"
    assert row.note == ("no instability analysis of dense where copies part at step 0")


def test_barriers_below_the_bound_agree_and_are_the_mean_over_pairs():
    row = checked(STABLE, with_barriers(store(), around(0.004)))
    assert row.verdict == "agrees"
    assert row.measured == pytest.approx(0.004 + 0.000875 + 0.001)
    assert (row.low, row.high) == pytest.approx((0.005, 0.007))
    assert (row.seeds, row.unit, row.accepted) == (8, "percent", "below 2.00 %")
    assert "interval of the test 0." in row.note


def test_barriers_above_the_bound_disagree_with_stable_and_agree_with_unstable():
    tracked = with_barriers(store(), around(0.3))
    assert checked(STABLE, tracked).verdict == "disagrees"
    assert checked(UNSTABLE, tracked).verdict == "agrees"


def test_pairs_do_not_count_as_seeds():
    tracked = with_barriers(store(seeds=range(3)), around(0.004), pairs=4)
    row = checked(STABLE, tracked)
    assert (row.verdict, row.seeds) == ("not enough seeds", 3)
    assert row.note.startswith("the first look is at 8 seeds; about 8 needed")


def test_barriers_of_a_variant_are_taken_at_the_density_of_the_claim():
    tracked = with_barriers(store(), around(0.004), **LAST)
    assert checked(TICKET, tracked).verdict == "agrees"
    assert checked(STABLE, tracked).verdict == "not run"
    denser = with_barriers(store(), around(0.004), **(LAST | {"density": 0.8}))
    assert checked(TICKET, denser).note == (
        "no round at density 10.8%; the nearest is 80.0%"
    )


def test_copies_that_part_at_another_step_do_not_count():
    tracked = with_barriers(store(), around(0.004), step=500)
    assert checked(STABLE, tracked).verdict == "not run"
    row = checked(STABLE.replace("step: 0", "step: 500"), tracked)
    assert row.verdict == "agrees"


def test_a_variant_rewound_to_another_step_does_not_count():
    late = RECIPES["ticket"] | {"rewind.to": "theta0"}
    recipes = {f"late-{step}": late | {"rewind.step": str(step)} for step in (100, 500)}
    tracked = store(variants=("ticket", *recipes), recipes=RECIPES | recipes)
    for step in (100, 500):
        place = LAST | {"of": f"late-{step}", "step": step}
        tracked = with_barriers(tracked, around(step / 10000), **place)
    row = checked(TICKET.replace("step: 0", "step: 500"), tracked)
    assert row.measured == pytest.approx(0.05 + 0.001875)


def test_a_line_of_few_points_does_not_count():
    tracked = with_barriers(store(), around(0.004), points=9)
    assert checked(STABLE, tracked).verdict == "not run"


def test_a_connection_does_not_count_as_instability():
    tracked = with_barriers(store(), around(0.004), kind="connection")
    assert checked(STABLE, tracked).verdict == "not run"


def test_two_analyses_of_the_same_pairs_count_once():
    tracked = with_barriers(store(seeds=range(3)), around(0.004))
    other = replace(tracked, experiment="other")
    both = checked(STABLE, tracked, other)
    assert both.experiment == "toy, other"
    assert replace(both, experiment="toy") == checked(STABLE, tracked)


def test_the_note_gives_the_barrier_with_recalibrated_statistics():
    kinds = ("interpolated", "recalibrated")
    tracked = with_barriers(store(), around(0.004), statistics=kinds)
    assert checked(STABLE, tracked).note.endswith("0.59 % with recalibrated statistics")
    other = STABLE.replace("step: 0", "step: 0, statistics: recalibrated")
    assert checked(other, tracked).note.endswith("0.59 % with interpolated statistics")


def test_a_claim_about_missing_statistics_is_not_run():
    other = STABLE.replace("step: 0", "step: 0, statistics: recalibrated")
    row = checked(other, with_barriers(store(), around(0.004)))
    assert row.verdict == "not run"
    assert row.note == "no error_barrier in common seeds at density 100.0%"


def test_pairs_that_diverged_are_left_out_and_counted():
    def value(seed, pair):
        return None if (seed, pair) == (2, 1) else around(0.004)(seed, pair)

    row = checked(STABLE, with_barriers(store(), value))
    assert row.seeds == 8
    assert "1 pairs of copies diverged and are left out" in row.note


def test_other_settings_are_another_experiment():
    tracked = with_barriers(store(), around(0.004))
    foreign = {"train.lr": "0.1"}
    settings = {k: {**v, **foreign} for k, v in tracked.analyses.items()}
    assert checked(STABLE, replace(tracked, analyses=settings)).verdict == "not run"


def test_a_dense_network_that_did_not_train_gives_no_other_verdict():
    tracked = with_barriers(store(accuracy=lambda *_: 0.1), around(0.004))
    assert checked(STABLE, tracked).verdict == "the dense network did not train"
