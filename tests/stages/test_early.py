"""Stage ``early``, and rounds that are rewound to a later step than the first."""

from pathlib import Path
from typing import Any

import pytest
from helpers.experiment import SEEDS, at, finish, raw, settings

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.paths import Instance
from pipeline.core import rewinding
from pipeline.core.digests import digest
from pipeline.inspect.verification import promises
from pipeline.run import trainings
from pipeline.run.sources import Source

EARLY = {"to": "early", "step": 2, "draw": None, "pruned": "zero"}
CHANGES: dict[str, object] = {
    "tasks__main__train__steps": 4,
    "tasks__main__train__momentum": 0.0,  # nothing that step 2 would remember
    "tasks__main__train__schedule": {
        "name": "milestones",
        "milestones": [3],
        "gamma": 0.1,
        "warmup_steps": 0,
    },
}
FOLDER = Path("artifacts/early/main/k000002/s0-1")
DENSE = Instance(task="main", variant="dense", round=0, seeds=SEEDS)


def variants() -> dict[str, Any]:
    """A late-rewound ticket, a learning-rate-rewound one, and a control of the first."""
    known = raw()["variants"]
    ticket, reinit = known["ticket"], known["reinit"]
    return {
        "ticket": ticket | {"rewind": EARLY},
        "one-shot": ticket | {"rewind": EARLY | {"to": "trained"}},
        "reinit": reinit | {"rewind": EARLY},
    }


@pytest.fixture(scope="module")
def rewound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("early") / "root"
    return finish(root, **CHANGES, variants=variants())


@pytest.fixture(autouse=True)
def _in_the_experiment(rewound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rewound)


def test_the_first_steps_and_the_rest_are_the_dense_training() -> None:
    asked = settings(**CHANGES, variants=variants())
    source = Source(
        label="the/rest",
        seeds=SEEDS,
        task=asked.tasks["main"],
        data=paths.data_file("digits"),
        engine="reference",
        metric="at-end",
        starts=FOLDER,
        masks=None,
        round=0,
        first_step=2,
    )
    for one in trainings.run(source, at_once=1):
        dense = files.load_weights(paths.trained_folder(DENSE), one.seed)
        assert one.facts["trained"] == digest(dense)
        early = files.load_weights(FOLDER, one.seed)
        assert digest(early) != digest(dense)
    trainings.forget(source)


def test_early_weights_say_which_theta0_they_come_from() -> None:
    for seed in SEEDS:
        theta0 = files.load_weights(paths.theta0_folder("main", SEEDS), seed)
        facts = files.load_facts(paths.seed_file(FOLDER, seed))
        weights = digest(files.load_weights(FOLDER, seed))
        assert facts == {"theta0": digest(theta0), "weights": weights}


@pytest.mark.parametrize("variant", ["ticket", "reinit"])
def test_a_late_rewound_start_is_the_early_weights_under_the_mask(variant: str) -> None:
    mask = files.load_mask(paths.masks_folder(at("ticket", 2)), 1)
    start = files.load_weights(paths.starts_folder(at(variant, 2)), 1)
    early = files.load_weights(FOLDER, 1)
    assert digest(start) == digest(rewinding.start(early, mask))


@pytest.mark.parametrize("variant", ["ticket", "one-shot", "reinit"])
def test_a_rewound_round_trains_from_its_step_to_the_end(variant: str) -> None:
    curves = parquet.load_curves(paths.results_folder(at(variant, 1)) / "curves.parquet")
    rows = [r for r in curves.to_pylist() if (r["seed"], r["split"]) == (0, "validation")]
    assert [row["step"] for row in rows] == [2, 3, 4]
    result = files.load_json(paths.results_folder(at(variant, 1)) / "result.json")
    assert result["seeds"]["0"]["steps"] == 4
    assert result["settings"]["rewind"]["step"] == 2


def test_learning_rate_rewinding_keeps_the_trained_weights() -> None:
    mask = files.load_mask(paths.masks_folder(at("one-shot", 2)), 0)
    previous = files.load_weights(paths.trained_folder(at("one-shot", 1)), 0)
    start = files.load_weights(paths.starts_folder(at("one-shot", 2)), 0)
    assert digest(start) == digest(rewinding.start(previous, mask))


def test_seconds_stand_beside_those_of_the_rounds() -> None:
    timing = files.load_json(Path("artifacts/timing/main/early/k000002/s0-1.json"))
    assert timing["seeds"]["1"]["seconds"] > 0


def test_no_checkpoint_is_left() -> None:
    assert [path for path in Path(".lt/checkpoints").rglob("*") if path.is_file()] == []


def test_verify_looks_up_the_early_weights() -> None:
    asked = settings(**CHANGES, variants=variants())
    assert not any(finding.broken for finding in promises.findings(asked, [SEEDS]))
    path = paths.seed_file(FOLDER, 1)
    before, facts = files.load_arrays(path), files.load_facts(path)
    files.save_arrays(path, before | {"fc1.bias": before["fc1.bias"] + 1}, **facts)
    broken = {f.subject: f.broken for f in promises.findings(asked, [SEEDS]) if f.broken}
    files.save_arrays(path, before, **(facts | {"theta0": "another"}))
    other = {f.broken for f in promises.findings(asked, [SEEDS]) if f.broken}
    files.save_arrays(path, before, **facts)
    message = "round 1: the start is not early under the mask"
    assert broken == dict.fromkeys(("main/ticket seed 1", "main/reinit seed 1"), message)
    assert other == {"round 1: its start came from another θ₀"}
