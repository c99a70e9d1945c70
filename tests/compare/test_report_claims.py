"""The reproducibility report's claims, under its description and under its script."""

import pytest
from helpers.tracked_stores import OWN, SETTINGS, TAKEN, store

from pipeline.compare import compare
from pipeline.compare.claims import load

DENSITIES = tuple(0.9**round for round in range(1, 35))
TENTH = {"fraction.fc": "0.1", "fraction.output": "0.1", "fraction.conv": "0.1"}
OWN_TENTH = OWN | {f"prune.{name}": value for name, value in TENTH.items()}
TAKEN_TENTH = TAKEN | {f"mask_source.{name}": value for name, value in TENTH.items()}
SCRIPT = {
    "compat": "southampton",
    "model.init": "southampton",
    "train.weight_decay": "0.0001",
    "train.evaluate_every": "916",
}
CLAIMS = [claim for claim in load().claims if claim.id.startswith("report-")]
DESCRIBED = {
    "ticket": OWN_TENTH | {"rewind.to": "theta0"},
    "reinit": TAKEN_TENTH | {"rewind.to": "reinit", "rewind.draw": "0"},
}
DONE = DESCRIBED | {
    "reinit": OWN_TENTH | {"rewind.to": "reinit", "rewind.draw": "0"},
}
FC1 = ("c1-fc1", "c2-fc1", "c3-fc1")


def as_published(variant, density, seed):
    """Tickets as good as the dense network; reinitialized 10 points below at 10 %."""
    wave = 0.0004 * ((seed * 7 + round(1000 * density)) % 5)
    lost = max(0.0, 0.4 - density) / 3 if variant == "reinit" else 0.0
    return 0.97 - lost + wave


def without_gap(variant, density, seed):
    return 0.97 + 0.0002 * (seed % 3)


def untrained(variant, density, seed):
    return 0.1 + 0.001 * seed


def verdicts(*, script, accuracy=as_published, seeds=range(8), **settings):
    """Claim without its prefix -> verdict and note, of runs of one protocol."""
    tracked = store(
        settings=SETTINGS | (SCRIPT if script else {}) | settings,
        seeds=seeds,
        recipes=DONE if script else DESCRIBED,
        densities=DENSITIES,
        accuracy=accuracy,
    )
    return {
        row.id.removeprefix("report-"): (row.verdict, row.note)
        for row in compare([tracked])
        if row.id.startswith("report-")
    }


def test_every_claim_exists_under_both_protocols():
    described = {claim.id for claim in CLAIMS if not claim.id.endswith("-script")}
    assert {claim.id for claim in CLAIMS} == described | {f"{c}-script" for c in described}
    assert {claim.rpartition("report-")[2][:2] for claim in described} == {
        "c1",
        "c2",
        "c3",
        "c4",
    }


@pytest.mark.parametrize("script", [False, True])
def test_runs_of_a_protocol_answer_its_claims_and_no_others(script):
    found = verdicts(script=script)
    for claim in FC1:
        described, done = found[claim], found[f"{claim}-script"]
        answered, other = (done, described) if script else (described, done)
        assert answered[0] == "agrees", answered[1]
        assert other[0] in ("not comparable", "not run")


def test_the_scripts_protocol_is_told_from_the_described_one_by_its_name():
    assert "compat is southampton (needed: not set)" in verdicts(script=True)["c1-fc1"][1]
    note = verdicts(script=False)["c1-fc1-script"][1]
    assert note.startswith("model.init is glorot-normal (needed: southampton)")
    note = verdicts(script=False, **{n: SCRIPT[n] for n in SCRIPT if n != "compat"})
    assert note["c1-fc1-script"][1] == "compat is not set (needed: southampton)"


@pytest.mark.parametrize("script", [False, True])
def test_without_a_gap_the_reports_gap_is_refuted(script):
    found = verdicts(script=script, accuracy=without_gap)
    end = "-script" if script else ""
    assert found[f"c3-fc1{end}"][0] == "disagrees"


@pytest.mark.parametrize("script", [False, True])
@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({}, FC1),
        ({"train.lr": "0.1"}, ("c4-fc1-high-rate",)),
        ({"model.name": "conv-2"}, ("c1-lenet5", "c2-lenet5", "c3-lenet5")),
    ],
)
def test_a_dense_network_that_did_not_train_is_the_verdict(script, settings, claims):
    found = verdicts(script=script, accuracy=untrained, **settings)
    for claim in claims:
        verdict, note = found[f"{claim}-script" if script else claim]
        assert verdict == "the dense network did not train"
        needed = "90%" if script else "95%"
        assert note.startswith(f"its test accuracy is 10.4%, {needed} are expected")


def failed_rounds(variant, density, seed):
    return 0.92 if variant == "dense" else 0.2 + 0.01 * seed


def failed_reinit(variant, density, seed):
    return 0.2 + 0.01 * seed if variant == "reinit" else 0.92


def test_two_sides_that_failed_in_their_first_round_are_the_verdict():
    found = verdicts(script=True, accuracy=failed_rounds, **{"train.lr": "0.1"})
    verdict, note = found["c4-fc1-high-rate-script"]
    assert verdict == "the pruned networks did not train"
    assert note.startswith(
        "ticket at density 90.0%: its test accuracy is 23.5%, 90% are expected; "
        "own-mask-reinit at density 90.0%: its"
    )


def test_one_side_that_failed_still_gets_a_measured_verdict():
    found = verdicts(
        script=True, accuracy=failed_reinit, seeds=range(12), **{"train.lr": "0.1"}
    )
    assert found["c4-fc1-high-rate-script"][0] == "disagrees"
