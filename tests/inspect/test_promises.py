"""Verify checks every promise of a recipe on the artifacts, and names a broken one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.command import refused, run
from helpers.experiment import SEEDS, VARIANTS, at, settings

from pipeline.artifacts import files, paths
from pipeline.config.settings import Settings
from pipeline.core.digests import digest
from pipeline.inspect.verification import promises, report
from pipeline.plan import items

Arrays = dict[str, np.ndarray]
COUNTS = "kept counts exact"
CUT = "masks as cut again"
ZERO = "pruned weights exactly zero"
START = "start = source ⊙ mask"
THETA0 = "one θ₀ by hash"
NESTED = "masks nested"
AGAIN = "masks as transformed again"
LAYERS = "counts per layer as in its source"

pytestmark = pytest.mark.usefixtures("experiment_root")


def mask_file(variant: str, round: int) -> Path:
    return paths.seed_file(paths.masks_folder(at(variant, round)), 1)


def start_file(variant: str, round: int) -> Path:
    return paths.seed_file(paths.starts_folder(at(variant, round)), 1)


def trained_file(variant: str, round: int, part: str) -> Path:
    return paths.seed_file(paths.trained_folder(at(variant, round)), 1, part)


def edit(path: Path, change: Callable[[Arrays], None], **facts: object) -> None:
    """Change the arrays of a file of seed 1; its facts stay unless others are given."""
    arrays = files.load_arrays(path)
    change(arrays)
    files.save_arrays(path, arrays, **(files.load_facts(path) | facts))


def broken(asked: Settings | None = None) -> dict[tuple[str, str], str]:
    """(chain, promise) -> what is broken, of the promises that do not hold."""
    found = promises.findings(asked or settings(), [SEEDS])
    return {(f.subject, f.promise): f.broken for f in found if f.broken}


def test_an_experiment_keeps_its_promises(experiment_root: Path) -> None:
    ended = run(experiment_root, "verify")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "kept counts exact                  holds (16 rounds of 8 chains)",
        "masks as cut again                 holds (8 rounds of 4 chains)",
        "pruned weights exactly zero        holds (16 rounds of 8 chains)",
        "start = source ⊙ mask              holds (16 rounds of 8 chains)",
        "one θ₀ by hash                     holds (16 rounds of 8 chains)",
        "masks nested                       holds (12 rounds of 6 chains)",
        "masks as transformed again         holds (4 rounds of 2 chains)",
        "counts per layer as in its source  holds (4 rounds of 2 chains)",
        "files hold what they must          holds (96 files)",
        "bytes as recorded in dvc.lock      holds (45 outputs)",
    ]


def test_every_chain_is_checked_for_what_it_promises() -> None:
    found = list(promises.findings(settings(), [SEEDS]))
    common = [ZERO, START, THETA0]
    for variant in VARIANTS:
        own = [CUT] if variant in ("ticket", "one-shot") else []
        special = [AGAIN, LAYERS] if variant == "random-mask" else [NESTED]
        made = [f.promise for f in found if f.subject == f"main/{variant} seed 0"]
        assert made == [COUNTS, *own, *common, *special]


def test_only_active_seeds_are_checked() -> None:
    found = promises.findings(settings(seeds=[1]), [SEEDS])
    assert {f.subject for f in found} == {f"main/{variant} seed 1" for variant in VARIANTS}


def test_a_weight_too_many_is_found_in_the_chain_and_in_its_controls() -> None:
    def revive(mask: Arrays) -> None:
        pruned = np.flatnonzero(~mask["fc2.weight"])
        mask["fc2.weight"].flat[pruned[0]] = True

    edit(mask_file("ticket", 2), revive)
    found = broken()
    for variant in ("ticket", "reinit"):
        chain = f"main/{variant} seed 1"
        assert found[chain, COUNTS] == "round 2: fc2.weight keeps 59, 58 expected"
        assert found[chain, ZERO] == "round 2: the trained network carries another mask"
    assert found["main/random-mask seed 1", LAYERS] == (
        "round 2: fc2.weight keeps 58, its source 59"
    )
    assert not any("one-shot" in chain or "seed 0" in chain for chain, _ in found)


def test_a_moved_mask_is_not_nested_although_its_counts_are_exact() -> None:
    before = files.load_mask(paths.masks_folder(at("one-shot", 1)), 1)

    def move(mask: Arrays) -> None:
        lost = np.flatnonzero(~before["fc1.weight"])[0]
        kept = np.flatnonzero(mask["fc1.weight"])[0]
        mask["fc1.weight"].flat[[lost, kept]] = True, False

    edit(mask_file("one-shot", 2), move)
    found = broken()
    chain = "main/one-shot seed 1"
    assert found[chain, NESTED] == "round 2: a pruned weight came back"
    assert (chain, COUNTS) not in found


def test_another_choice_of_as_many_weights_is_found() -> None:
    """It is nested, and its counts are exact."""

    def swap(mask: Arrays) -> None:
        places = [np.flatnonzero(mask["fc1.weight"] == kept)[0] for kept in (True, False)]
        mask["fc1.weight"].flat[places] = False, True

    edit(mask_file("ticket", 1), swap)
    found, chain = broken(), "main/ticket seed 1"
    assert (
        found[chain, CUT]
        == "round 1: the mask is not the one that the same cut gives again"
    )
    assert (chain, COUNTS) not in found


def test_a_pruned_weight_that_is_not_zero_is_found() -> None:
    mask = files.load_mask(paths.masks_folder(at("ticket", 1)), 1)

    def revive(weights: Arrays) -> None:
        place = np.flatnonzero(~mask["fc1.weight"])[0]
        weights["fc1.weight"].flat[place] = 1e-30

    edit(trained_file("ticket", 1, "weights"), revive)
    assert broken() == {
        (
            "main/ticket seed 1",
            ZERO,
        ): "round 1: fc1.weight has a pruned weight that is not 0"
    }


def test_a_mask_that_changed_in_training_is_found() -> None:
    def keep_all(mask: Arrays) -> None:
        mask["fc1.weight"][...] = True

    edit(trained_file("reinit", 2, "mask"), keep_all)
    assert broken() == {
        ("main/reinit seed 1", ZERO): "round 2: the trained network carries another mask"
    }


@pytest.mark.parametrize(
    ("variant", "source"), [("ticket", "theta0"), ("reinit", "reinit")]
)
def test_a_start_that_is_not_its_source_is_found(variant: str, source: str) -> None:
    def nudge(weights: Arrays) -> None:
        weights["fc2.bias"][0] = 1e-30

    edit(start_file(variant, 1), nudge)
    assert broken() == {
        (
            f"main/{variant} seed 1",
            START,
        ): f"round 1: the start is not {source} under the mask"
    }


def test_reinit_from_theta0_is_found() -> None:
    ticket, reinit = start_file("ticket", 1), start_file("reinit", 1)
    reinit.write_bytes(ticket.read_bytes())
    assert broken() == {
        ("main/reinit seed 1", START): "round 1: the start is not reinit under the mask"
    }


def test_another_theta0_behind_one_round_is_found() -> None:
    edit(start_file("ticket", 2), lambda _: None, theta0="0" * 64)
    assert broken() == {
        ("main/ticket seed 1", THETA0): "round 2: its start came from another θ₀"
    }


def test_a_changed_theta0_is_found_in_every_chain() -> None:
    def nudge(weights: Arrays) -> None:
        weights["fc1.weight"][0, 0] += 1

    path = paths.seed_file(paths.theta0_folder("main", SEEDS), 1)
    edit(path, nudge)
    theta0 = digest(files.load_arrays(path))
    assert theta0 != files.load_facts(path)["theta0"]
    found = broken()
    for variant in VARIANTS:
        key = f"main/{variant} seed 1", THETA0
        assert found[key] == "round 1: its start came from another θ₀"


def test_the_same_counts_in_all_but_not_per_layer_are_found_for_global_scope() -> None:
    def move(mask: Arrays) -> None:
        mask["fc1.weight"].flat[np.flatnonzero(mask["fc1.weight"])[0]] = False
        mask["fc2.weight"].flat[np.flatnonzero(~mask["fc2.weight"])[0]] = True

    edit(mask_file("random-mask", 1), move)
    chain = "main/random-mask seed 1"
    assert broken()[chain, LAYERS] == "round 1: fc1.weight keeps 357, its source 358"


def test_the_command_names_chain_round_and_promise_and_fails(experiment_root: Path) -> None:
    edit(start_file("ticket", 2), lambda _: None, theta0="0" * 64)
    ended = run(experiment_root, "verify")
    assert ended.code == 1
    lines = ended.output.splitlines()
    assert lines[4:6] == [
        "one θ₀ by hash                     broken in 1 chain (16 rounds of 8 chains)",
        "  main/ticket seed 1: round 2: its start came from another θ₀",
    ]
    assert len([line for line in lines if " holds " in line]) == 7
    assert "  broken in 1 file (96 files)" in ended.output
    assert "  broken in 1 output (45 outputs)" in ended.output
    file = start_file("ticket", 2)
    assert f'  {file}: theta0 is "{"0" * 35} …, ' in ended.output


def test_a_missing_artifact_is_not_passed_over(experiment_root: Path) -> None:
    path = paths.trained_folder(at("one-shot", 2))
    files.remove(path)
    assert refused(experiment_root, "verify") == (
        f"{path} is missing; run `dvc repro` (or `dvc pull`)"
    )


def test_a_missing_file_of_an_artifact_is_found(experiment_root: Path) -> None:
    path = trained_file("one-shot", 2, "weights")
    path.unlink()
    ended = run(experiment_root, "verify")
    assert ended.code == 1
    missing = f"{path} is missing; run `dvc repro` (or `dvc pull`)"
    assert f"  main/one-shot seed 1: round 2: {missing}" in ended.output.splitlines()
    assert f"  {path}: {missing}" in ended.output.splitlines()


def test_a_stale_plan_is_refused(experiment_root: Path) -> None:
    (experiment_root / items.plan_path()).unlink()
    assert "pipeline/plan.json is missing" in refused(experiment_root, "verify")


def test_nothing_to_check_is_an_empty_report() -> None:
    assert report([]) == ""
