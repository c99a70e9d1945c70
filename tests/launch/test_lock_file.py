"""dvc.lock gets the bytes that DVC itself writes, and never half of them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dvc.dvcfile
import pytest
from dvc.utils.serialize import dumps_yaml, modify_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.launch import lock_file

NAMES = st.sampled_from(["plan", "data@digits", "retrain@main-ticket-r01-s0-3", "3", "no"])
PATHS = st.text("abz/:-'\"é _01", min_size=1, max_size=90).filter(lambda path: path.strip())
ENTRIES = st.fixed_dictionaries(
    {"path": PATHS, "md5": st.text("0123456789abcdef", min_size=4, max_size=40)},
    optional={"size": st.integers(0, 10**9), "isexec": st.booleans()},
)
STAGES = st.fixed_dictionaries(
    {"cmd": PATHS},
    optional={
        "deps": st.lists(ENTRIES, max_size=3),
        "params": st.dictionaries(
            PATHS, st.dictionaries(NAMES, st.sampled_from([None, 3, 0.0012, True]))
        ),
        "outs": st.lists(ENTRIES, max_size=2),
    },
)
CHANGES = st.lists(st.dictionaries(NAMES, STAGES, min_size=1, max_size=3), max_size=6)
CUT = "here the process ends"


def change(content: dict[str, Any], stages: dict[str, Any]) -> None:
    """What DVC does to a lock file."""
    if not content:
        content.update({"schema": "2.0"})
    content["stages"] = content.get("stages", {})
    content["stages"].update(copy.deepcopy(stages))


@settings(max_examples=10)
@given(changes=CHANGES)
def test_the_bytes_are_those_of_dvc(
    changes: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("locks")
    ours, theirs = folder / "dvc.lock", folder / "of_dvc.lock"
    written = lock_file.Blocks()
    for stages in changes:
        with written.modified(ours) as content:
            change(content, stages)
        with modify_yaml(str(theirs)) as content:
            change(content, stages)
        assert ours.read_bytes() == theirs.read_bytes()


ONE, TWO = ({"cmd": "true", "outs": [{"path": name, "md5": "0" * 32}]} for name in "ab")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A lock file of two stages."""
    path = tmp_path / "dvc.lock"
    path.write_text(dumps_yaml({"schema": "2.0", "stages": {"one": ONE, "two": TWO}}))
    return path


@pytest.mark.parametrize("stage", ["one", "three"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text,
        lambda text: "# mine\n" + text,
        lambda text: text.replace("  two:", "  # mine\n  two:"),
        lambda text: text.replace("path: b", "path: 'b'"),
        lambda text: text + "datasets:\n- name: x\n",
        lambda _: "schema: '2.0'\n",
        lambda _: "",
    ],
)
def test_what_people_or_merges_write_ends_as_under_dvc(
    edit: Callable[[str], str], stage: str, path: Path
) -> None:
    written = lock_file.Blocks()
    with written.modified(path) as content:
        change(content, {"two": TWO})
    path.write_text(edit(path.read_text()))
    theirs = path.with_name("of_dvc.lock")
    theirs.write_bytes(path.read_bytes())
    with written.modified(path) as content:
        change(content, {stage: ONE})
    with modify_yaml(str(theirs)) as content:
        change(content, {stage: ONE})
    assert path.read_bytes() == theirs.read_bytes()


def test_an_error_while_it_is_changed_leaves_the_file(path: Path) -> None:
    before, written = path.read_bytes(), lock_file.Blocks()
    with suppress(KeyboardInterrupt), written.modified(path) as content:
        change(content, {"three": ONE})
        raise KeyboardInterrupt(CUT)
    assert path.read_bytes() == before
    with written.modified(path) as content:
        assert list(content["stages"]) == ["one", "two"]


def test_the_file_is_replaced_whole(path: Path) -> None:
    with path.open(encoding="utf-8") as before:
        with lock_file.Blocks().modified(path) as content:
            change(content, {"three": ONE})
        assert "three" not in before.read()
    assert "three" in path.read_text()


@pytest.fixture
def _as_before() -> Iterator[None]:
    before = dvc.dvcfile.modify_yaml
    yield
    dvc.dvcfile.modify_yaml = before


@pytest.mark.usefixtures("_as_before")
def test_dvc_writes_its_lock_file_by_it_and_other_files_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file.write_stage_by_stage()
    monkeypatch.setattr(lock_file, "as_dvc_does", lambda *_, **__: pytest.fail("by DVC"))
    with dvc.dvcfile.modify_yaml(str(path)) as content:
        change(content, {"three": ONE})
    with pytest.raises(pytest.fail.Exception, match="by DVC"):
        dvc.dvcfile.modify_yaml(str(path.with_name("dvc.yaml")))
