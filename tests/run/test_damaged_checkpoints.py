"""Whatever is wrong with a checkpoint, its training begins anew, with one line."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import SEEDS, settings

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.plan import items
from pipeline.run import checkpoints, kept, seeds_work
from pipeline.run.executors.processes import InterruptedTraining, Notice, Report
from pipeline.run.kept import places
from pipeline.run.seeds_work import SeedsWork
from pipeline.run.sources import Source
from pipeline.stages import train

pytestmark = pytest.mark.usefixtures("experiment_root")
KEY = "main-dense-r00-s0-1"
SEED = 1
Damage = Callable[[Path], None]


def source() -> Source:
    known = settings()
    return train.source(items.find("train", "main-s0-1", known), known)


def work() -> SeedsWork:
    return SeedsWork(source=source(), copy=0, seeds=(SEED,), kept=kept.asked())


class Told:
    """What a worker tells, and whether it is to stop."""

    def __init__(self, *, stop: bool = False) -> None:
        self.notices: list[str] = []
        self.resumed: list[int] = []
        self.stop = stop

    def __call__(self, told: Report | Notice) -> None:
        if isinstance(told, Notice):
            self.notices.append(told.text)
        elif told.resumed:
            self.resumed.append(told.step)


def run(*, stop: bool = False) -> Told:
    told = Told(stop=stop)
    work().run(told, lambda: told.stop)
    return told


def interrupted() -> Path:
    """The snapshot that an interrupted training leaves after its first step."""
    with pytest.raises(InterruptedTraining):
        run(stop=True)
    (snapshot,) = (checkpoints.FOLDER / KEY).glob("*/snapshot.safetensors")
    return snapshot


@pytest.fixture(autouse=True)
def _nothing_is_kept(experiment_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only checkpoints save trainings here."""
    monkeypatch.setattr(places, "_lost", {(places.asked(), places.READ)})


@pytest.fixture(autouse=True)
def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is a chance to stop."""
    from pipeline.core.training import loop

    monkeypatch.setattr(loop, "train", partial(loop.train, interval_s=0.0))


def made() -> dict[str, bytes]:
    """The result of the seed, as it stands in the artifacts."""
    instance = Instance(task="main", variant=DENSE, round=0, seeds=SEEDS)
    folder = paths.trained_folder(instance)
    wanted = [paths.seed_file(folder, SEED, part) for part in ("weights", "mask")]
    return {path.name: path.read_bytes() for path in wanted}


def left(folder: Path) -> dict[str, bytes]:
    names = [f"s{SEED}.{part}.safetensors" for part in ("weights", "mask")]
    return {name: (folder / name).read_bytes() for name in names}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def arrays(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(path: Path) -> None:
        found, facts = files.load_arrays(path), files.load_facts(path)
        change(found)
        files.save_arrays(path, found, **facts)

    damage.__name__ = change.__name__
    return damage


def no_step(found: dict[str, Any]) -> None:
    del found["step"]


def other_step(found: dict[str, Any]) -> None:
    found["step"] = found["step"] + 1


def other_weight(found: dict[str, Any]) -> None:
    next(array for name, array in found.items() if "fc1" in name).flat[0] += 1e-3


def other_shape(found: dict[str, Any]) -> None:
    name = next(name for name in found if "fc1" in name)
    found[name] = found[name][:1]


def other_names(found: dict[str, Any]) -> None:
    found["other"] = found.pop(next(name for name in found if "fc1" in name))


def of_another_network(found: dict[str, Any]) -> None:
    found.clear()
    found["a"] = np.ones(3)


def no_facts(path: Path) -> None:
    files.save_arrays(path, files.load_arrays(path))


def facts_of_other_types(path: Path) -> None:
    facts = files.load_facts(path) | {"seconds": [1]}
    files.save_arrays(path, files.load_arrays(path), **facts)


CHANGES = (no_step, other_step, other_weight, other_shape, other_names, of_another_network)
SNAPSHOTS: tuple[Damage, ...] = (
    truncate,
    empty,
    other_bytes,
    *map(arrays, CHANGES),
    no_facts,
    facts_of_other_types,
)


def test_an_undamaged_snapshot_is_taken_up() -> None:
    snapshot = interrupted()
    told = run()
    assert (told.notices, told.resumed) == ([], [1])
    assert left(snapshot.parent) == made()


@pytest.mark.parametrize("damage", SNAPSHOTS, ids=lambda damage: damage.__name__)
def test_a_damaged_snapshot_means_to_begin_anew(damage: Damage) -> None:
    snapshot = interrupted()
    damage(snapshot)
    told = run()
    assert told.notices == [f"{snapshot} is damaged; the training begins anew"]
    assert told.resumed == []
    assert left(snapshot.parent) == made()


def test_a_folder_in_the_place_of_a_snapshot_goes_when_the_next_is_kept() -> None:
    snapshot = interrupted()
    folder(snapshot)
    with pytest.raises(InterruptedTraining):
        run(stop=True)
    assert run().resumed == [1]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_file_in_a_folders_place_goes(level: int) -> None:
    unit = interrupted().parent
    place = [unit, unit.parent, unit.parent.parent][level]
    files.remove(place)
    place.write_text("no folder")
    assert run().notices == []
    assert left(unit) == made()


def test_workers_that_make_the_same_folders_at_once_do_not_hinder_each_other() -> None:
    """One saw a file, or nothing, where another has just made a folder."""
    before = Path.mkdir

    def late(path: Path, *args: object, **kwargs: object) -> None:
        if not path.is_dir():
            before(path, parents=True, exist_ok=True)  # the other worker's
            raise FileExistsError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", late)
        for unit in ("s0", "s1"):
            assert checkpoints.folder_of(KEY, unit, "0123").is_dir()


def broken_json(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def list_as_json(path: Path) -> None:
    path.write_text("[]")


def json_with(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(path: Path) -> None:
        value = files.load_json(path)
        change(value)
        files.save_json(path, value)

    damage.__name__ = change.__name__
    return damage


def other_accuracy(value: dict[str, Any]) -> None:
    value["facts"]["facts"]["test_accuracy"] = 0.5


def no_facts_in_json(value: dict[str, Any]) -> None:
    del value["facts"]


def no_digest(value: dict[str, Any]) -> None:
    del value["digest"]


def beside(part: str, damage: Damage) -> Damage:
    def of_part(path: Path) -> None:
        damage(path.with_name(f"{path.stem}.{part}"))

    of_part.__name__ = f"{damage.__name__}_of_{part}"
    return of_part


FINISHED: tuple[Damage, ...] = (
    broken_json,
    list_as_json,
    *map(json_with, (other_accuracy, no_facts_in_json, no_digest)),
    *(
        beside(part, damage)
        for part in ("weights.safetensors", "mask.safetensors", "parquet")
        for damage in (truncate, other_bytes, Path.unlink, folder)
    ),
)


@pytest.mark.parametrize("damage", FINISHED, ids=lambda damage: damage.__name__)
def test_a_seed_whose_result_is_damaged_is_trained_again(damage: Damage) -> None:
    assert run().notices == []
    (path,) = (checkpoints.FOLDER / KEY).glob(f"*/s{SEED}.json")
    damage(path)
    told = run()
    assert told.notices == [f"{path} is damaged; seed {SEED} is trained again"]
    assert left(path.parent) == made()
    assert run().notices == []


def test_a_snapshot_that_cannot_be_written_costs_a_line_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seeds_work, "CHECKPOINT_S", 0.0)
    saved = files.save_arrays

    def full(path: Path, arrays: dict[str, Any], **facts: object) -> None:
        if path.name == checkpoints.SNAPSHOT:
            raise OSError(28, "No space left on device")
        saved(path, arrays, **facts)

    monkeypatch.setattr(files, "save_arrays", full)
    told = run()
    assert told.notices
    assert all("No space left on device" in line for line in told.notices)
    (path,) = (checkpoints.FOLDER / KEY).glob(f"*/s{SEED}.json")
    assert left(path.parent) == made()


def test_folders_of_another_question_go() -> None:
    unit = interrupted().parent
    other = unit.with_name("s1-0123456789abcdef0123")
    other.mkdir()
    both = replace(source(), seeds=(SEED,))
    checkpoints.folder_of(both.key, "s1", unit.name.removeprefix("s1-"))
    assert not other.exists()
    assert unit.exists()


def test_a_finished_training_of_other_settings_is_not_taken() -> None:
    run()
    left = work().left()[0].folder
    older = left.with_name(f"s0-1-{'0' * 20}-{'0' * 12}")  # a group, by its folder's name
    shutil.copytree(left, older)
    assert sorted(left.parent.iterdir())[0] == older
    assert work().left()[0].folder == left


def test_a_finished_training_that_somebody_deleted_is_one_line() -> None:
    run()
    files.remove(checkpoints.FOLDER / KEY)
    with pytest.raises(files.ArtifactError, match=r"seed 1 is gone from .*dvc repro"):
        work().left()
