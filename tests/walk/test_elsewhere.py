"""A training that another machine has done is left as if it had been done here."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.experiment import settings, write

from pipeline.artifacts import contents, files, parquet
from pipeline.artifacts.paths import SHADOW
from pipeline.config import params
from pipeline.plan import items, plan_file
from pipeline.plan.current import standing
from pipeline.run import checkpoints, kept, trainings
from pipeline.run.executors import parcels
from pipeline.run.executors.processes import Notice, Report
from pipeline.run.kept import places
from pipeline.run.seeds_work import OtherBitsError
from pipeline.stages import retrain
from pipeline.walk import works

KEY = "main-ticket-r01-s0-1"


def ignore(_: Report | Notice) -> None:
    pass


@pytest.fixture
def work(experiment_root: Path, monkeypatch: pytest.MonkeyPatch) -> works.Trains:
    """A training of the finished experiment, which nobody has kept."""
    monkeypatch.setattr(places, "_lost", set())
    files.remove(places.DEFAULT)
    files.remove(checkpoints.FOLDER)
    known = settings()
    item = items.find("retrain", KEY, known)
    source = retrain.source(item, known)
    return works.Trains(item=item, source=source, seed=1, kept=kept.asked())


def done(work: works.Trains) -> dict[Path, bytes]:
    """What the work leaves on a machine that has nothing but the parcel."""
    parcel = work.parcel()
    shared = {path: path.absolute() for path in parcel.shared}
    return parcels.do(parcel, shared, ignore)


def test_bits_are_those_of_a_training_here(
    work: works.Trains, experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = done(work)
    assert not checkpoints.FOLDER.exists()
    assert not work.is_done(ignore)
    work.take_in(left, ignore)
    for part in ("weights", "mask"):
        name = f"s1.{part}.safetensors"
        made = (work.item.path("trained") / name).read_bytes()
        assert (SHADOW / work.item["trained"] / name).read_bytes() == made
    files.remove(checkpoints.FOLDER)
    monkeypatch.setattr(trainings.engines, "make_engine", None)
    assert work.is_done(ignore), "it is kept"


def test_a_result_is_shown_at_once_as_its_stage_writes_it(work: works.Trains) -> None:
    replace(work, behind=params.behind("main", "ticket")).run(ignore, lambda: False)
    ((folder, shown),) = contents.results(SHADOW)
    made = work.item.path("results")
    wanted = contents.load_result(made)
    assert shown == wanted | {"seeds": {"1": wanted["seeds"]["1"]}}
    rows = parquet.load_curves(made / "curves.parquet").to_pylist()
    found = parquet.load_curves(folder / "curves.parquet").to_pylist()
    assert found == [row for row in rows if row["seed"] == 1]
    timing = files.load_json(SHADOW / work.item.path("timing").parent / "s1.json")
    assert timing["seeds"]["1"]["seconds"] > 0


def test_what_is_damaged_on_the_way_is_not_taken(work: works.Trains) -> None:
    left = done(work)
    cut = {
        p: c[:-1] if p.name.endswith("weights.safetensors") else c for p, c in left.items()
    }
    with pytest.raises(
        files.ArtifactError, match="the finished training of seed 1 is gone"
    ):
        work.take_in(cut, ignore)
    with pytest.raises(files.ArtifactError, match="no file of a training"):
        work.take_in({Path("params.yaml"): b""}, ignore)


def test_a_machine_of_another_class_trains_nothing(work: works.Trains) -> None:
    with pytest.raises(OtherBitsError, match="computes other bits than this machine"):
        done(replace(work, numerics="0123456789ab"))
    here = works.numerics_here(work.source, 1, ignore)
    assert done(replace(work, numerics=here))


def test_resources_make_nothing_stale(experiment_root: Path) -> None:
    write(experiment_root, tasks__main__resources={"cpus": 2, "gpus": 0.5})
    known = params.load()
    assert known.tasks["main"].takes.gpus == 0.5
    found = standing(plan_file.asked(known))
    assert not found.stale
