"""Stage ``data``: a raw data set becomes one file with its split."""

from pathlib import Path

import pytest
from helpers.experiment import write

from pipeline.artifacts import files, paths
from pipeline.border.errors import UserError
from pipeline.data import raw
from pipeline.stages import data


def test_the_file_holds_what_the_reader_gives(experiment_root: Path) -> None:
    path = experiment_root / "artifacts/data/digits.safetensors"
    found = files.load_dataset(path)
    expected = raw.read("digits", root=Path("unused"), download=False)
    for split in ("train", "validation", "test"):
        assert (
            getattr(found, split).images.tobytes()
            == getattr(expected, split).images.tobytes()
        )
    facts = files.load_facts(path)
    assert (facts["image_shape"], facts["num_classes"]) == ([1, 8, 8], 10)


def test_reading_it_again_gives_the_same_bytes(experiment_root: Path) -> None:
    path = paths.data_file("digits")
    before = path.read_bytes()
    path.unlink()
    data.run("digits")
    assert path.read_bytes() == before


def test_raw_data_that_is_not_there_is_one_line_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, tasks__main__data="mnist")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LT_DATA_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"nowhere") as caught:
        data.run("mnist")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "artifacts").exists()
