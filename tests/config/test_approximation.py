"""Settings of approximations: which are refused, and which stages the others make."""

from typing import Any

import pytest
from helpers.experiment import APPROXIMATION, settings

from pipeline.config.params import ParamsError
from pipeline.plan import compiler


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": []}, "tasks: none given; known tasks: main"),
        ({"tasks": ["man"]}, "tasks: unknown: man; did you mean main? (known: main)"),
        ({"tasks": ["main", "main"]}, "tasks: a task stands there twice"),
        ({"of": "tickt"}, "of: unknown: tickt; did you mean ticket? (known: dense, ticket"),
        ({"rounds": [1]}, "rounds: the dense network has no rounds; write null"),
        ({"of": "ticket"}, "rounds: none given; name rounds of ticket, such as [1]"),
        ({"of": "ticket", "rounds": [1, 1]}, "rounds: 1 stands there twice"),
        ({"of": "ticket", "rounds": [3]}, "rounds: 3 found; ticket is run for the rounds"),
        ({"construction": "dirct"}, "construction: unknown: dirct; did you mean direct?"),
        ({"epsilon": 0.0}, "epsilon: 0.0 found; give a number between 0 and 1"),
    ],
)
def test_an_impossible_approximation_is_refused_in_one_line(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        settings(approximations={"strong": APPROXIMATION | changes})
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(f"params.yaml: approximations.strong.{message}")


def test_too_many_candidates_are_refused_in_one_line() -> None:
    with pytest.raises(ParamsError, match="strong: 40 candidates found; direct takes 1 to"):
        settings(approximations={"strong": APPROXIMATION | {"candidates": 40}})


def test_there_is_one_instance_per_round_and_group() -> None:
    asked = {
        "strong": APPROXIMATION | {"of": "ticket", "rounds": [1, 2]},
        "dense": APPROXIMATION,
    }
    plan = compiler.compile_plan(settings(approximations=asked), [(0, 1), (2,)])
    assert list(plan["approximations"]) == [
        f"main-{where}-{group}"
        for where in ("strong-r01", "strong-r02", "dense-r00")
        for group in ("s0-1", "s2")
    ]
    item = plan["approximations"]["main-strong-r02-s0-1"]
    assert item["target"] == "artifacts/trained/main/ticket/r02/s0-1"
    assert "constructions.direct" in str(item["inputs"])


def test_settings_without_approximations_say_nothing_of_them() -> None:
    assert compiler.compile_plan(settings(), [(0, 1)])["approximations"] == {}
