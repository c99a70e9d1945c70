"""A finished training is found by its name; whatever is wrong with it costs a line."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from helpers.experiment import SEEDS, settings

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.core.training import loop
from pipeline.plan import items
from pipeline.run import checkpoints, kept, trainings
from pipeline.run.executors.processes import Notice, Report
from pipeline.run.kept import bounds, listing, places
from pipeline.run.kept.places import File, Folder, Place, Remote
from pipeline.run.seeds_work import SeedsWork, without_examples
from pipeline.run.sources import Source
from pipeline.stages import train

KEY = "main-dense-r00-s0-1"
SEED = 1


class TrainedError(Exception):
    """A training was done where it was to be found."""


@pytest.fixture(autouse=True)
def place(experiment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place of kept trainings; nothing has failed in it."""
    folder = tmp_path / "kept"
    monkeypatch.setenv(places.VARIABLE, str(folder))
    monkeypatch.setattr(places, "_lost", set())
    return folder


def source() -> Source:
    known = settings()
    return train.source(items.find("train", "main-s0-1", known), known)


def run() -> list[str]:
    """Train one seed as a worker does; the lines that it says."""
    said: list[str] = []

    def tell(told: Report | Notice) -> None:
        if isinstance(told, Notice):
            said.append(told.text)

    work().run(tell, lambda: False)
    return said


def work() -> SeedsWork:
    return SeedsWork(source=source(), copy=0, seeds=(SEED,), kept=kept.asked())


def again(monkeypatch: pytest.MonkeyPatch, *, trains: bool = False) -> list[str]:
    """Run once more, as in another clone."""
    files.remove(checkpoints.FOLDER)
    with monkeypatch.context() as patch:
        if not trains:
            patch.setattr(loop, "train", refuse)
        said = run()
    left = work().left()[0].folder
    made = paths.trained_folder(Instance(task="main", variant=DENSE, round=0, seeds=SEEDS))
    for part in ("weights", "mask"):
        name = paths.seed_file(left, SEED, part)
        assert name.read_bytes() == (made / name.name).read_bytes()
    return said


def refuse(*_: object, **__: object) -> None:
    raise TrainedError


def entry(place: Path) -> Path:
    (found,) = place.rglob("*.zip")
    return found


def test_a_kept_training_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run() == []
    assert again(monkeypatch) == []


def test_what_another_machine_trained_is_kept_under_its_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run()
    files.remove(Path(kept.asked().place))
    folder = work().left()[0].folder
    theirs = folder.rename(folder.with_name(f"{folder.name.rpartition('-')[0]}-theirs"))
    said: list[str] = []
    work().put(said.append)
    assert said == []
    assert entry(Path(kept.asked().place)).name == "theirs.zip"
    assert theirs.exists()
    monkeypatch.setenv(kept.OTHERS, "any")
    assert again(monkeypatch) != []


def test_a_stage_finds_kept_trainings_without_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = trainings.run(source(), at_once=2)
    files.remove(checkpoints.FOLDER)
    monkeypatch.setattr(trainings.processes, "run_all", refuse)
    second = trainings.run(source(), at_once=2)
    assert [one.facts for one in second] == [one.facts for one in first]
    assert [one.timing for one in second] == [one.timing for one in first]


@pytest.mark.parametrize(
    "changes", [{"metric": "early-stop"}, {"engine": "dense"}, {"round": 1}]
)
def test_what_decides_a_result_decides_the_name(changes: dict[str, object]) -> None:
    one = source()
    other = replace(one, **changes)
    data = files.load_dataset(one.data)
    names = {
        of.name([of.job(data, of.network(), SEED, 0)]) for of in (one, other, source())
    }
    assert len(names) == 2


def test_a_name_needs_no_examples() -> None:
    one, description = source(), files.load_description(source().data)
    (whole,) = SeedsWork(source=one, copy=0, seeds=(SEED,), kept=kept.asked())._jobs(
        files.load_dataset(one.data)
    )
    few = replace(whole, data=without_examples(description))
    assert one.name([whole]) == one.name([few])


def cut(content: bytes) -> bytes:
    return content[:-30]


def other_byte(content: bytes) -> bytes:
    place = content.index(b"s1.weights.safetensors") + 600
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [cut, other_byte, lambda _: b"", lambda _: b"PK" * 99])
def test_a_damaged_entry_is_trained_again_and_written_again(
    monkeypatch: pytest.MonkeyPatch, place: Path, damage: Callable[[bytes], bytes]
) -> None:
    run()
    before = entry(place).read_bytes()
    entry(place).write_bytes(damage(before))
    (line,) = again(monkeypatch, trains=True)
    assert line == f"{entry(place)} is damaged; seed 1 is trained again"
    assert again(monkeypatch) == []


def test_an_entry_cannot_write_elsewhere(tmp_path: Path) -> None:
    content = io.BytesIO()
    with ZipFile(content, "w") as opened:
        opened.writestr("s1./../../outside", b"x")
        opened.writestr("s1.json", b"{}")
    with pytest.raises(ValueError, match="another name"):
        kept._unpack(content.getvalue(), tmp_path, SEED)


def full(*of: object) -> None:
    raise OSError(28, "No space left on device", "/".join(str(one) for one in of[:2]))


def test_a_full_place_costs_one_line(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(Folder, "write", full)
    assert run() == [
        f"finished trainings in {place} cannot be written (No space left on device; free "
        "some space and run it again; what is finished stays); the run goes on without"
    ]
    assert again(monkeypatch, trains=True) == []


def test_a_place_that_can_only_be_read_is_read(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    run()
    monkeypatch.setattr(os, "utime", full)
    monkeypatch.setattr(Folder, "write", full)
    assert again(monkeypatch) == []


def test_an_address_of_an_unknown_kind_costs_one_line_per_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(places.VARIABLE, "nowhere://bucket")
    read, written = run()
    assert read.startswith("finished trainings in nowhere://bucket cannot be read (")
    assert written.startswith("finished trainings in nowhere://bucket cannot be written")


def test_an_address_serves_like_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(places.VARIABLE, "memory://trainings/shared")
    assert run() == []
    assert again(monkeypatch) == []
    assert listing.listed().startswith("memory://trainings/shared: 1 training, 0 MB of")
    assert "taken here" in listing.listed()
    assert listing.clear() == "memory://trainings/shared: 1 training, 0 MB deleted"
    assert again(monkeypatch, trains=True) == []


def test_other_bits_are_taken_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    run()
    other = entry(place).with_name("0123456789ab.zip")
    entry(place).rename(other)
    assert again(monkeypatch, trains=True) == []
    next(one for one in place.rglob("*.zip") if one != other).unlink()
    assert "other bits than here: not taken" in listing.listed()
    monkeypatch.setenv(kept.OTHERS, "any")
    (line,) = again(monkeypatch)
    assert line.startswith("seed 1 was trained on a machine that computes other bits")


@pytest.mark.parametrize("kind", [Folder, lambda path: Remote(f"memory://{path}")])
def test_the_least_recently_used_go(tmp_path: Path, kind: Callable[[Path], Place]) -> None:
    place = kind(tmp_path / "bound")
    for name in "abcd":
        place.write(f"{name}/{name}.zip", b"x" * 10)
    if isinstance(place, Folder):
        for age, name in enumerate("dcab"):
            os.utime(tmp_path / f"bound/{name}/{name}.zip", (age, age))
        place.read("d/d.zip")
    assert bounds.make_room(place, 40) == 0
    assert bounds.make_room(place, 35) == 1
    left = {file.path for file in place.listed()}
    assert len(left) == 3
    if isinstance(place, Folder):
        assert left == {"a/a.zip", "b/b.zip", "d/d.zip"}
        assert not (tmp_path / "bound/c").exists()
    assert bounds.make_room(place, 0) == 3
    assert place.listed() == []


def test_a_bound_that_is_no_number_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bounds.VARIABLE, "ten")
    with pytest.raises(bounds.BoundError, match=r"LT_TRAININGS_GB is 'ten'; give a"):
        bounds.bound()


def test_temporary_experiments_share_the_place_of_their_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(places.VARIABLE)
    inside = tmp_path / ".dvc/tmp/exps/tmpabc"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert places.find(places.asked()) == Folder(tmp_path.resolve() / ".lt/trainings")


def test_an_entry_is_listed_with_its_size(tmp_path: Path) -> None:
    place = Folder(tmp_path / "new")
    place.write("a/b.zip", b"xyz")
    (file,) = place.listed()
    assert file == File(path="a/b.zip", num_bytes=3, used=file.used)
    assert place.listed("c") == []
