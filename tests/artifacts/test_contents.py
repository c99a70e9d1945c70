"""A result file that lacks what its readers need is one line, not a traceback."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import synthetic

from pipeline.artifacts import contents, files
from pipeline.artifacts.files import ArtifactError
from pipeline.results import tables
from pipeline.tracking.timing import timing_at

FOLDER = Path("artifacts/results/main/ticket/r01/s0-1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    synthetic.fabricate(tmp_path)
    return tmp_path


def test_files_of_a_killed_process_are_no_results(root: Path) -> None:
    before = contents.results(root)
    shutil.copytree(root / FOLDER, root / FOLDER.with_name(".s0-1.77.tmp"))
    assert contents.results(root) == before
    assert len(before) == 5


def leaves(value: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a result file, but those inside its settings."""
    for key, item in value.items():
        yield (*place, key)
        if isinstance(item, dict) and key != "settings":
            yield from leaves(item, (*place, key))


DAMAGE: dict[str, Callable[[dict[str, Any], str], object]] = {
    "gone": lambda parent, key: parent.pop(key),
    "text": lambda parent, key: parent.update({key: "text"}),
    "list": lambda parent, key: parent.update({key: [1]}),
}


def refusal(root: Path) -> str | None:
    try:
        rows = tables.rows(tables.round_results(root, synthetic.active()))
        tables.rounds_csv(rows)
        tables.summary(rows)
    except ArtifactError as error:
        return str(error)
    return None


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_field_may_be_damaged(root: Path, damage: str) -> None:
    path = root / FOLDER / "result.json"
    whole = files.load_json(path)
    for *parents, last in leaves(whole):
        value = files.load_json(path)
        place = value
        for parent in parents:
            place = place[parent]
        DAMAGE[damage](place, last)
        files.save_json(path, value)
        said = refusal(root)
        assert said is None or (str(path) in said and "\n" not in said)
        files.save_json(path, whole)


@pytest.mark.parametrize(
    "content", ["[]", "{}", "7", '{"seeds": 1}', '{"seeds": {"x": {}}}']
)
def test_another_file_is_refused(root: Path, content: str) -> None:
    (root / FOLDER / "result.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"result\.json: not readable \("):
        contents.load_result(root / FOLDER)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"started": 1}', '{"started": "x", "ended": "y", "seeds": {}}'],
)
def test_a_damaged_timing_file_is_refused(root: Path, content: str) -> None:
    path = root / "artifacts/timing/main/ticket/r01/s0-1.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"s0-1\.json: not readable \("):
        timing_at(root, "main/ticket/r01/s0-1", 1)
