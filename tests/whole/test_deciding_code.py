"""Every file that a training executes decides what is stale, and what is taken up again."""

import shutil
import sys
from pathlib import Path
from types import FrameType

import pytest
from helpers.experiment import settings
from helpers.workspace import ROOT

from pipeline.plan import compiler, fingerprints
from pipeline.plan.items import items_of
from pipeline.run import checkpoints, kept
from pipeline.run.seeds_work import SeedsWork
from pipeline.run.sources import Source

CARRIERS = ("artifacts", "border", "config", "run")
"""folders that read, move and wait; they decide no result"""


def executed(engine: str, augment: str) -> set[Path]:
    """The files of the project in which a worker runs a function while it trains."""
    asked = settings(tasks__main__train__engine=engine, tasks__main__train__augment=augment)
    source = Source(
        label=f"traced/{engine}",
        seeds=(0, 1),
        task=asked.tasks["main"],
        data=Path("artifacts/data/digits.safetensors"),
        engine=engine,
        metric="at-end",
        starts=Path("artifacts/starts/main/ticket/r01/s0-1"),
        masks=Path("artifacts/masks/main/ticket/r01/s0-1"),
        round=1,
    )
    compiling, work = (
        SeedsWork(source=source, copy=0, seeds=(seed,), kept=kept.asked())
        for seed in source.seeds
    )
    compiling.run(lambda _: None, lambda: False)  # compilers call millions of functions
    found = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        work.run(lambda _: None, lambda: False)
    finally:
        sys.setprofile(None)
    inside = (Path(name) for name in found if name.startswith(str(ROOT / "pipeline")))
    return {path.relative_to(ROOT) for path in inside}


def inputs_file(engine: str, augment: str) -> Path:
    """Of a retrain stage with that engine."""
    asked = settings(tasks__main__train__engine=engine, tasks__main__train__augment=augment)
    plan = compiler.compile_plan(asked, [(0, 1)])
    return next(items_of(plan, "retrain")).path("inputs")


@pytest.mark.parametrize(
    ("engine", "augment"),
    [
        ("reference", "none"),
        ("reference", "flip-crop"),
        ("reference", "random-resized-crop"),
        ("dense", "none"),
        ("sparse", "none"),
    ],
)
def test_an_edit_of_any_file_that_a_training_executes_is_seen(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch, engine: str, augment: str
) -> None:
    files = executed(engine, augment)
    folders = {file.parts[1] for file in files}
    assert {"core", "engines"} <= folders <= {"core", "engines", *CARRIERS}
    ignored = shutil.ignore_patterns("__pycache__", "plan.json")
    copied = experiment_root / "copy"
    shutil.copytree(ROOT / "pipeline", copied / "pipeline", ignore=ignored)
    monkeypatch.chdir(copied)
    inputs = inputs_file(engine, augment)
    text = fingerprints.text(inputs, fingerprints.NOTHING, {}, copied)
    each_time = checkpoints._code_digest.__wrapped__  # a process asks once
    monkeypatch.setattr(checkpoints, "_code_digest", each_time)
    code = checkpoints.code_digest()
    unseen = []
    for file in sorted(f for f in files if f.parts[1] not in CARRIERS):
        before = (copied / file).read_text()
        (copied / file).write_text(f"{before}\nEDITED = True\n")
        edited = fingerprints.text(inputs, fingerprints.NOTHING, {}, copied)
        if text == edited or checkpoints.code_digest() == code:
            unseen.append(file)
        (copied / file).write_text(before)
    assert unseen == []
