"""A walk does the trainings of a plan, with the bits that the stages alone give."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from helpers import experiment

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import SHADOW
from pipeline.border import root
from pipeline.config import params
from pipeline.plan import plan_file
from pipeline.plan.current import standing
from pipeline.run import executors, finished, live, trainings
from pipeline.run.executors.executor import Ended, Told
from pipeline.run.executors.processes import InterruptedTraining, Work
from pipeline.run.instances import EditedError
from pipeline.run.kept import places
from pipeline.walk import driver, graph
from pipeline.walk.graph import Graph

CHANGES: dict[str, Any] = {
    "variants__reinit__rewind": {
        "to": "early",
        "step": 1,
        "draw": None,
        "pruned": "zero",
    },
    "analyses": {"stable": experiment.INSTABILITY | {"steps": [0, 1]}},
}


@dataclass(kw_only=True, eq=False)
class Here:
    """An executor that does every piece of work at once, in this process."""

    fails: str = ""
    """in the name of what fails"""
    vanishes: set[str] = field(default_factory=set)
    """what is lost with its process, the first time"""
    free: int = 3
    done: list[str] = field(default_factory=list)
    _told: list[Told] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, name: str, work: Work) -> None:
        if name in self.vanishes:
            self.vanishes.remove(name)
            self._told.append((name, Ended("its process was killed", vanished=True)))
            return
        if self.fails and self.fails in name:
            self._told.append((name, Ended("it fails")))
            return
        self.done.append(name)
        work.run(lambda told: self._told.append((name, told)), lambda: False)
        self._told.append((name, Ended()))

    channels: tuple[()] = ()

    def told(self, _ready: object) -> Iterable[Told]:
        told, self._told = self._told, []
        return told


def walk(monkeypatch: pytest.MonkeyPatch, **how: object) -> Here:
    """Walk the plan of the working directory."""
    settings = params.load()
    plan = plan_file.check(settings)
    executor = Here(**how)  # type: ignore[arg-type]
    monkeypatch.setenv(live.SWITCH, "off")
    monkeypatch.setattr(executors, "opened", lambda *_: executor)
    driver.walk(settings, plan, standing(plan))
    return executor


def hashes(root: Path) -> dict[str, str]:
    """Everything that stages wrote, but for seconds and hosts."""
    base = root / paths.FOLDER
    return {
        str(path.relative_to(base)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(base.rglob("*"))
        if path.is_file() and path.relative_to(base).parts[0] not in ("timing", "inputs")
    }


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a stage trains what the walk has done")


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The experiment with early weights and copies more, planned only."""
    root = tmp_path / "planned"
    root.mkdir()
    experiment.write(root, **CHANGES)
    monkeypatch.chdir(root)
    monkeypatch.setattr(places, "_lost", set())
    return root


def graph_here() -> Graph:
    settings = params.load()
    return graph.graph(settings, plan_file.check(settings), (), ())


def test_stages_find_what_a_walk_has_done_and_write_the_same_bits(
    stages_run: Path, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = walk(monkeypatch)
    assert sum(graph_here().nodes[name].trains for name in executor.done) == 24
    assert not (planned / SHADOW).exists()
    assert not (planned / "artifacts").exists()
    monkeypatch.setattr(trainings, "Display", refuse)
    experiment.run()
    alone = {name: of for name, of in hashes(stages_run).items() if "reinit" not in name}
    assert alone.items() <= hashes(planned).items()


def test_a_killed_walk_goes_on_with_what_was_finished(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    leave = finished.leave

    def stop_at_the_fourth(*of: object) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise InterruptedTraining
        leave(*of)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(finished, "leave", stop_at_the_fourth)
        with pytest.raises(InterruptedTraining):
            walk(patch)
    assert not (planned / SHADOW).exists()
    trained: list[object] = []
    monkeypatch.setattr(finished, "leave", lambda *of: (trained.append(of[0]), leave(*of)))
    walk(monkeypatch)
    # Two copies each at two places; the first rounds of ticket and one-shot are the same.
    assert len(trained) == 24 + 4 - 2 - 3


def test_its_folder_is_gone_before_the_first_of_its_files_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (SHADOW / "artifacts/timing").mkdir(parents=True)
    remove = files.remove

    def removed(path: Path) -> None:
        assert not path.exists() or not SHADOW.exists()
        remove(path)

    monkeypatch.setattr(files, "remove", removed)
    driver._clear()
    driver._clear()
    assert not list(SHADOW.parent.iterdir())


def test_what_a_killed_walk_has_left_goes_where_nothing_is_to_train(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (SHADOW / paths.FOLDER / "results").mkdir(parents=True)
    assert walk(monkeypatch).done == []
    assert not SHADOW.exists()


def test_what_fails_is_left_to_its_stage_with_all_that_waits_for_it(
    planned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = walk(monkeypatch, fails="retrain@main-ticket-r01-s0-1 seed 1").done
    said = capsys.readouterr().err
    assert "retrain@main-ticket-r01-s0-1 seed 1: it fails" in said
    assert "retrain@main-ticket-r02-s0-1 seed 0" in done
    assert "retrain@main-ticket-r02-s0-1 seed 1" not in done
    assert "retrain@main-reinit-r02-s0-1 seed 1" not in done
    assert "retrain@main-one-shot-r02-s0-1 seed 1" in done


def test_what_vanished_with_its_process_is_done_once_more(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = "train@main-s0-1 seed 0"
    assert lost in walk(monkeypatch, vanishes={lost}).done


def test_only_workers_are_kept_from_a_package_of_the_user_s_with_our_name(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(root.SAFE_PATH, raising=False)
    monkeypatch.setattr(root, "holds_code", lambda _: False)
    begin, seen = Here.begin, []

    def look(*of: Any) -> None:  # noqa: ANN401
        seen.append(os.environ.get(root.SAFE_PATH))
        begin(*of)

    monkeypatch.setattr(Here, "begin", look)
    walk(monkeypatch, fails="@")
    assert set(seen) == {"1"}
    assert root.SAFE_PATH not in os.environ  # stages of the user's may need it so


def test_nothing_waits_for_more_than_its_inputs(planned: Path) -> None:
    found = graph_here()
    assert found.before["retrain@main-reinit-r02-s0-1 seed 1"] == {
        "data@digits",
        "rewind@main-reinit-r02-s0-1 seed 1",
        "prune@main-ticket-r02-s0-1 seed 1",
    }
    assert (
        found.to_come["train@main-s0-1 seed 0"]
        > found.to_come["early@main-k000001-s0-1 seed 0"]
    )


@pytest.mark.parametrize("edit", ["lr", "workers"])
def test_an_edit_of_settings_that_decide_results_stops_a_walk(
    planned: Path, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    file, begin = planned / params.FILE, Here.begin
    new = {"lr": ('"lr": 0.1', '"lr": 0.2'), "workers": ('"workers": 2', '"workers": 1')}

    def edited(self: Here, name: str, work: Work) -> None:
        begin(self, name, work)
        file.write_text(file.read_text().replace(*new[edit]))

    monkeypatch.setattr(Here, "begin", edited)
    if edit == "workers":
        assert walk(monkeypatch).done
        return
    with pytest.raises(EditedError, match=r"params\.yaml changed after this run began"):
        walk(monkeypatch)


def test_a_walk_of_what_is_done_or_will_be_restored_does_nothing(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert walk(monkeypatch).done == []
    settings = params.load()
    plan = plan_file.check(settings)
    left = graph.graph(settings, plan, (), {"train@main-s0-1"})
    kinds = {name.partition("@")[0] for name in left.nodes}
    assert kinds == {"data", "init"}
