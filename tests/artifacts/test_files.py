"""Files are written atomically and read back as they were written."""

import errno
import hashlib
import json
import math
import os
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import Instance
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images

WEIGHTS = {
    "fc.weight": np.array([[0.5, -0.0], [1e-45, np.inf]], np.float32),
    "fc.bias": np.array([1.0], np.float32),
    "scale": np.array(2.0, np.float32),
    "mask.fc.weight": np.array([[True, False], [False, True]]),
    "order": np.arange(3, dtype=np.int64),
}


class BrokenError(Exception):
    """Ends a block in the middle."""


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def half_a_file(path: Path) -> None:
    with files.atomic(path) as temporary:
        temporary.write_text("half")
        raise BrokenError


def half_a_folder(path: Path) -> None:
    with files.atomic_folder(path) as temporary:
        (temporary / "new").touch()
        raise BrokenError


# Names


def test_an_instance_names_its_folder_and_its_stage() -> None:
    instance = Instance(task="main", variant="one-shot", round=3, seeds=(0, 1, 2, 7))
    assert instance.path == "main/one-shot/r03/s0-2_7"
    assert instance.key == "main-one-shot-r03-s0-2_7"
    results = paths.results_folder(instance)
    assert results == Path("artifacts/results/main/one-shot/r03/s0-2_7")
    timing = paths.timing_file(instance)
    assert timing == Path("artifacts/timing/main/one-shot/r03/s0-2_7.json")


@pytest.mark.parametrize(
    ("seeds", "name"),
    [
        ((4,), "s4"),
        ((0, 1), "s0-1"),
        ((3, 0, 1), "s0-1_3"),
        ((0, 2, 4), "s0_2_4"),
        ((8, 9, 10, 12, 13), "s8-10_12-13"),
    ],
)
def test_a_group_is_named_by_its_runs_of_seeds(seeds: tuple[int, ...], name: str) -> None:
    assert paths.group_name(seeds) == name


@pytest.mark.parametrize("text", ["", "0,", "a", "0 1", "-1", "0,,1", "1.5"])
def test_seeds_that_are_no_list_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"seeds are numbers with commas between them"):
        paths.parse_seeds(text)


# Whole or not at all


def test_a_file_is_there_only_when_its_block_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with files.atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert listed(tmp_path) == {"new", "new/file"}


def test_a_failed_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(BrokenError):
        half_a_file(path)
    assert path.read_text() == "old"
    assert listed(tmp_path) == {"file"}


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "s0-1"
    path.mkdir()
    (path / "old").touch()
    with files.atomic_folder(path) as temporary:
        (temporary / "new").touch()
        assert listed(path) == {"old"}
    assert listed(tmp_path) == {"s0-1", "s0-1/new"}


def test_a_failed_block_leaves_the_old_folder_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s0-1"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(BrokenError):
        half_a_folder(path)
    assert listed(tmp_path) == {"s0-1", "s0-1/old"}


NOBODY = 2**22 + 1
"""larger than any process's number"""


@pytest.mark.parametrize("writing", [files.atomic, files.atomic_folder])
def test_files_of_dead_processes_are_removed_and_those_of_living_ones_are_not(
    tmp_path: Path, writing: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    for owner in (NOBODY, os.getpid(), os.getppid()):
        (tmp_path / f".s0-1.{owner}.tmp").mkdir()
        (tmp_path / f".s0-1.{owner}.tmp/half").touch()
    (tmp_path / f".s2.{NOBODY}.tmp").touch()
    with writing(tmp_path / "s0-1") as temporary:
        if writing is files.atomic:
            temporary.touch()
    living = f".s0-1.{os.getppid()}.tmp"
    assert listed(tmp_path) == {"s0-1", living, f"{living}/half", f".s2.{NOBODY}.tmp"}


def test_a_file_of_another_machine_is_removed_only_when_it_is_old(tmp_path: Path) -> None:
    other = tmp_path / f".f.elsewhere-{os.getpid()}.tmp"
    other.touch()
    with files.atomic(tmp_path / "f") as temporary:
        temporary.touch()
    assert other.exists()
    os.utime(other, (0, 0))
    with files.atomic(tmp_path / "f") as temporary:
        temporary.touch()
    assert not other.exists()


@pytest.mark.parametrize("writing", [files.atomic, files.atomic_folder])
def test_content_and_name_are_synced_in_this_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writing: Callable[[Path], AbstractContextManager[Path]],
) -> None:
    synced: list[str] = []
    inodes = {}

    def fsync(opened: int) -> None:
        synced.append(inodes[os.fstat(opened).st_ino])

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "new"
    with writing(path) as temporary:
        inner = temporary if writing is files.atomic else temporary / "inner"
        inner.touch()
        for name, found in (("content", inner), ("folder", temporary), ("names", tmp_path)):
            inodes.setdefault(found.stat().st_ino, name)
    folder = ["folder"] if writing is files.atomic_folder else []
    assert synced == ["content", *folder, "names"]


# JSON


def test_nan_and_infinity_become_null(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    value = {
        "nan": math.nan,
        "list": [math.inf, np.float32(np.nan), np.float64(0.5)],
        "count": np.int64(3),
        "flag": np.bool_(True),
        0: (1, None),
    }
    files.save_json(path, value)
    assert files.load_json(path) == {
        "nan": None,
        "list": [None, None, 0.5],
        "count": 3,
        "flag": True,
        "0": [1, None],
    }


def test_json_is_sorted_so_that_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    files.save_json(tmp_path / "1.json", {"b": 1, "a": {"d": 2, "c": 3}})
    files.save_json(tmp_path / "2.json", {"a": {"c": 3, "d": 2}, "b": 1})
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


# Arrays


def test_arrays_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    files.save_arrays(path, WEIGHTS, density=0.5)
    found = files.load_arrays(path)
    assert set(found) == set(WEIGHTS)
    for name, expected in WEIGHTS.items():
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert found[name].tobytes() == expected.tobytes()
    assert files.load_facts(path) == {"density": 0.5}


def test_a_transposed_array_is_written_in_the_order_of_its_elements(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    files.save_arrays(tmp_path / "file", {"a": array})
    np.testing.assert_array_equal(files.load_arrays(tmp_path / "file")["a"], array)


def test_equal_arrays_and_facts_are_equal_bytes_with_one_metadata_key(
    tmp_path: Path,
) -> None:
    facts = {name: digit for digit, name in enumerate("zyxwvu")}
    hashes = set()
    for number in range(6):
        path = tmp_path / f"{number}.safetensors"
        order = sorted(WEIGHTS, reverse=number % 2 == 0)
        files.save_arrays(path, {name: WEIGHTS[name] for name in order}, **facts)
        hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(hashes) == 1
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"] == {"facts": json.dumps(facts, sort_keys=True)}


def test_a_data_set_comes_back_with_its_split(tmp_path: Path) -> None:
    splits = {
        name: Split(
            inputs=np.full((count, 1, 2, 2), count, np.uint8),
            labels=np.arange(count, dtype=np.int64),
        )
        for name, count in (("train", 4), ("validation", 2), ("test", 3))
    }
    data = Dataset(
        **splits, description=of_images((1, 2, 2), classes=10, mean=(1.5,), std=(2.0,))
    )
    path = tmp_path / "data.safetensors"
    files.save_dataset(path, data)
    found = files.load_dataset(path)
    for name, split in splits.items():
        loaded = getattr(found, name)
        np.testing.assert_array_equal(loaded.images, split.images)
        np.testing.assert_array_equal(loaded.labels, split.labels)
        assert loaded.images.dtype == np.uint8
    assert found.description == data.description
    assert files.load_facts(path)["image_shape"] == [1, 2, 2]


def test_a_trained_folder_holds_weights_and_mask_of_a_seed(tmp_path: Path) -> None:
    folder = tmp_path / "trained/main/ticket/r01/s3"
    weights, mask = {"w": np.ones(2, np.float32)}, {"w": np.array([True, False])}
    files.save_arrays(folder / "s3.weights.safetensors", weights)
    files.save_arrays(folder / "s3.mask.safetensors", mask)
    assert files.load_weights(folder, 3)["w"].tolist() == [1, 1]
    assert files.load_mask(folder, 3)["w"].tolist() == [True, False]
    assert files.mask_file(folder, 3) == folder / "s3.mask.safetensors"
    assert (
        files.mask_file(tmp_path / "masks/main/ticket/r01/s3", 3).name == "s3.safetensors"
    )


# Curves


def test_curves_have_five_typed_columns(tmp_path: Path) -> None:
    columns = {
        "seed": [0, 0],
        "step": [1, 1],
        "split": ["validation", "test"],
        "loss": [0.5, math.nan],
        "accuracy": [0.25, 0.5],
    }
    parquet.save_curves(tmp_path / "one", columns)
    one = parquet.load_curves(tmp_path / "one")
    assert [(field.name, str(field.type)) for field in one.schema] == [
        ("seed", "int64"),
        ("step", "int64"),
        ("split", "string"),
        ("loss", "double"),
        ("accuracy", "double"),
    ]
    parquet.save_curve_table(tmp_path / "two", [one, one])
    two = parquet.load_curves(tmp_path / "two")
    assert two.num_rows == 4
    assert two.column("split").to_pylist() == ["validation", "test"] * 2
    assert math.isnan(two.column("loss").to_pylist()[3])


def test_curves_of_other_types_are_refused(tmp_path: Path) -> None:
    columns = {name: [["a"]] for name in ("seed", "step", "split", "loss", "accuracy")}
    with pytest.raises(TypeError, match="Cannot cast"):
        parquet.save_curves(tmp_path / "file", columns)
    assert listed(tmp_path) == set()


# Missing and damaged files

READERS = {
    "json": files.load_json,
    "arrays": files.load_arrays,
    "facts": files.load_facts,
    "curves": parquet.load_curves,
}


def saved(kind: str, path: Path) -> None:
    if kind == "json":
        files.save_json(path, {"a": list(range(100))})
    elif kind == "curves":
        numbers = list(range(500))
        columns = dict.fromkeys(("seed", "step", "loss", "accuracy"), numbers)
        parquet.save_curves(path, columns | {"split": ["test"] * 500})
    else:
        files.save_arrays(path, WEIGHTS, density=0.5)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_one_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        READERS[kind](tmp_path / "file")
    assert str(caught.value) == (
        f"{tmp_path / 'file'} is missing; run `dvc repro` (or `dvc pull`)"
    )


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize("kind", READERS)
def test_a_cut_off_file_is_one_line(kind: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / "file"
    saved(kind, path)
    os.truncate(path, int(kept * path.stat().st_size))
    assert_not_readable(kind, path)


@pytest.mark.parametrize("content", [b"junk", b"\x00" * 100, b"\xff" * 100, b"PAR1" * 9])
@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_something_else_is_one_line(
    kind: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert_not_readable(kind, path)


@pytest.mark.parametrize("kind", READERS)
def test_a_folder_instead_of_a_file_is_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file/inside").touch()
    assert_not_readable(kind, tmp_path / "file")


def test_arrays_without_facts_are_one_line(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(1)}, tmp_path / "file")
    assert_not_readable("facts", tmp_path / "file")


def assert_not_readable(kind: str, path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        READERS[kind](path)
    message = str(caught.value)
    assert message.startswith(f"{path}: not readable (")
    assert message.endswith("); delete it and run `dvc repro`, which restores it")
    assert len(message.splitlines()) == 1


def write_masks(path: Path) -> None:
    with files.atomic_folder(path) as folder:
        for seed in range(9):
            files.save_arrays(folder / f"s{seed}", {"a": np.zeros(3)})


class Disk:
    """A disk that is full from the n-th file on."""

    def __init__(self, free: int) -> None:
        self.free = free

    def sync(self, path: Path) -> None:
        if self.free == 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        self.free -= 1


@pytest.mark.parametrize("free", range(6))
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, monkeypatch, free):
    monkeypatch.setattr(files, "sync", Disk(free).sync)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/old").touch()
    refused = r"cannot be written: No space left on device; free some space and run it"
    with pytest.raises(ArtifactError, match=refused):
        write_masks(tmp_path / "masks")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    assert (tmp_path / "masks/old").exists()


def test_what_safetensors_says_of_a_full_disk_is_one_line(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with pytest.raises(ArtifactError, match=r"big cannot be written: File too large; "):
            files.save_arrays(tmp_path / "big", {"a": np.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("num", [60, 200, 5000])
def test_a_group_of_any_seeds_has_a_name_that_a_file_can_have(tmp_path, num):
    seeds = tuple(range(0, 2 * num, 2))
    name = paths.group_name(seeds)
    spelled = "s" + "_".join(map(str, seeds))
    assert (name == spelled) == (len(spelled) <= paths.LONGEST_GROUP)
    assert name != paths.group_name((*seeds[:-1], 2 * num))
    files.save_json(tmp_path / f"{name}.json", {})
    key = f"retrain@{'t' * 60}-{'v' * 60}-r01-{name}"
    (tmp_path / f"{paths.short(key)}.lock").touch()
