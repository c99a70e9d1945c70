"""The weights a round starts from are those that the recipe names, bit for bit."""

from pathlib import Path

import pytest
from helpers.experiment import settings

from pipeline.artifacts import files
from pipeline.config.settings import build_network
from pipeline.core import masks, seeding
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.round_starts import source_weights
from pipeline.plan.compiler import compile_plan
from pipeline.run.round_starts import Behind, read

pytestmark = pytest.mark.usefixtures("experiment_root")


def source(variant: str, round: int = 2, **changes: object) -> Weights:
    edited = settings(**{f"variants__{variant}__{key}": v for key, v in changes.items()})
    item = compile_plan(edited, [(0, 1)])["rewind"][f"main-{variant}-r0{round}-s0-1"]
    behind = Behind(
        data=Path(str(item["data"])),
        theta0=Path(str(item["theta0"])),
        mask=Path(str(item["mask"])),
        weights=Path(str(item["behind"])),
        round=round,
    )
    rewind = edited.variants[variant].rewind
    known = read(behind, edited.tasks["main"], edited.variants[variant], 1)
    return source_weights(known, rewind.to, rewind.draw)


def theta0() -> Weights:
    return files.load_weights(Path("artifacts/theta0/main/s0-1"), 1)


def test_theta0_is_what_init_drew() -> None:
    assert digest(source("ticket")) == digest(theta0())


def test_a_reinit_is_a_fresh_draw_of_its_own_stream() -> None:
    network = build_network(settings().tasks["main"])
    rng = seeding.generator(1, "reinit", round=2, copy=0)
    fresh = initial_weights(network, "glorot-normal", rng)
    assert digest(source("reinit")) == digest(fresh)


def test_draws_and_rounds_differ() -> None:
    found = {
        digest(source("reinit", round, rewind__draw=draw))
        for draw in (0, 1)
        for round in (1, 2)
    }
    assert len(found) == 4


def test_continued_training_starts_from_the_own_previous_round() -> None:
    rewind = {"to": "trained", "step": None, "draw": None, "pruned": "zero"}
    for variant, behind in (("ticket", "ticket"), ("reinit", "reinit")):
        previous = Path(f"artifacts/trained/main/{behind}/r01/s0-1")
        found = source(variant, rewind=rewind)
        assert digest(found) == digest(files.load_weights(previous, 1))
    dense = files.load_weights(Path("artifacts/trained/main/dense/r00/s0-1"), 1)
    assert digest(source("ticket", 1, rewind=rewind)) == digest(dense)


def test_signs_of_a_taken_mask_are_those_it_was_cut_from() -> None:
    found = source(
        "reinit",
        rewind={"to": "trained-sign-reinit", "step": None, "draw": 0, "pruned": "zero"},
    )
    ticket = files.load_weights(Path("artifacts/trained/main/ticket/r01/s0-1"), 1)
    mask = files.load_mask(Path("artifacts/masks/main/ticket/r02/s0-1"), 1)
    for name, kept in masks.apply(found, mask).items():
        if name in mask:
            same = (kept > 0) == (ticket[name] > 0)
            assert same[mask[name]].all()


RESHUFFLE = {"to": "reshuffle", "step": None, "draw": 0, "pruned": "zero"}


def test_a_reshuffle_of_a_chain_permutes_what_its_previous_round_began_with() -> None:
    begun = files.load_weights(Path("artifacts/starts/main/ticket/r01/s0-1"), 1)
    for round, before in ((1, theta0()), (2, begun)):
        found = source("ticket", round, rewind=RESHUFFLE)
        mask = files.load_mask(Path(f"artifacts/masks/main/ticket/r0{round}/s0-1"), 1)
        for name, kept in mask.items():
            assert sorted(found[name][kept]) == sorted(before[name][kept])


def test_a_reshuffle_under_another_variants_mask_permutes_theta0() -> None:
    item = compile_plan(settings(variants__reinit__rewind=RESHUFFLE), [(0, 1)])
    behind = item["rewind"]["main-reinit-r02-s0-1"]["behind"]
    assert behind == "artifacts/theta0/main/s0-1"
