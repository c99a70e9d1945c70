"""Before a run it is known which claims it can judge, and how well."""

import re
from typing import Any

import pytest

from pipeline import presets
from pipeline.compare.claims import load, room
from pipeline.compare.prospects import Prospect, describe, prospects
from pipeline.config import params

LENET = params.parse_yaml(presets.text_of("lenet-paper"))


def found(raw: dict[str, Any]) -> dict[str, Prospect]:
    """Claim -> what a run will say of it."""
    all_of_them = prospects(params.parse(raw), params.completed(raw))
    return {one.claim.id: one for one in all_of_them}


def said(raw: dict[str, Any]) -> str:
    return describe(params.parse(raw), params.completed(raw))


def steps(num: int) -> dict[str, Any]:
    main = LENET["tasks"]["main"]
    train = main["train"] | {"steps": num, "epochs": None}
    return LENET | {"tasks": {"main": main | {"train": train}}}


def test_a_papers_preset_can_judge_the_papers_claims() -> None:
    can = {name for name, one in found(LENET).items() if not one.obstacle}
    lenet = {claim.id for claim in load().claims if claim.protocol == "lenet"}
    assert can == lenet
    first, second, *_ = said(LENET).splitlines()
    assert re.fullmatch(
        rf"verdicts: {len(can)} of the \d+ published claims about this model and data can "
        r"be judged, at \d+ seeds \(declared looks: .*\); after the run, `lt-pipeline "
        "compare` does it",
        first,
    )
    assert re.fullmatch(
        r"  lenet-\S+: (agrees in \d+% of runs if the published number is the true one|an "
        r"effect of \d\.\d standard deviations is seen in 4 of 5 runs)",
        second,
    )


def test_too_few_steps_and_too_few_seeds_are_named() -> None:
    assert found(steps(8000))["lenet-dense"].obstacle == (
        "steps is 8,000 (needed: 10,000 or more)"
    )
    assert re.fullmatch(
        r"verdicts: none of the \d+ published claims about this model and data can be "
        r"judged\n  the nearest obstacle, of \d+ claims: steps is 8,000 "
        r"\(needed: 10,000 or more\)",
        said(steps(8000)),
    )
    few = LENET | {"seeds": [0, 1, 2]}
    assert said(few).endswith(" claims: 3 seeds (the first look is at 8)")


def test_other_data_have_no_claims() -> None:
    digits = params.parse_yaml(presets.text_of("digits"))
    assert said(digits) == "verdicts: none; no published claim is about this model and data"


def test_a_missing_variant_or_density_is_an_obstacle() -> None:
    short = found(LENET | {"rounds": 5})
    assert short["lenet-faster-at-21"].obstacle.startswith("no round at density 21.1%")
    assert short["lenet-faster-at-51"].obstacle == ""
    assert found(LENET)["zhou-small-final"].obstacle == "no variant small-final"


def test_power_grows_with_seeds_and_effects_shrink() -> None:
    few, many = (
        found(LENET | {"seeds": list(range(num)), "looks": [num]}) for num in (8, 24)
    )
    for name in ("lenet-faster-at-21", "lenet-more-accurate-at-13"):
        assert 0 < few[name].power < many[name].power <= 1
        assert few[name].effect > many[name].effect
    assert few["lenet-faster-at-51"].power is None  # "sooner" is no number


def test_barriers_are_judged_where_the_analysis_is_planned() -> None:
    raw = params.parse_yaml(presets.text_of("instability-lenet-paper"))
    can = {name for name, one in found(raw).items() if not one.obstacle}
    assert can == {
        "lenet-stable-at-init",
        "lenet-ticket-stable-at-init",
        "lenet-random-stable-at-init",
    }
    without = found(raw | {"analyses": {}})
    assert without["lenet-stable-at-init"].obstacle.startswith("no instability analysis")


@pytest.mark.parametrize(
    ("name", "distances"),
    [
        ("lenet-more-accurate-at-13", (0.002, 0.003)),
        ("lenet-dense-accuracy-at-3.6", (0.003, 0.003)),
        ("lenet-wins-at-21", None),
        ("lenet-faster-at-51", None),
    ],
)
def test_the_room_of_a_claim_is_the_distance_from_its_bounds(name, distances) -> None:
    (claim,) = (one for one in load().claims if one.id == name)
    assert room(claim) == (distances and pytest.approx(distances))
