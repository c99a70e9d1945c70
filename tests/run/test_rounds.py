"""A round's files appear in the order in which others read them."""

from types import SimpleNamespace

import pytest

from pipeline.artifacts import files
from pipeline.run import rounds, trainings


def test_the_timing_of_a_round_is_there_before_its_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What tracks rounds as they appear found some without seconds."""
    written: list[str] = []
    item = SimpleNamespace(path=lambda name: name)
    finished = [SimpleNamespace(seed=0, timing={"seconds": 1.0}, is_from_elsewhere=False)]
    monkeypatch.setattr(trainings, "run", lambda *_, **__: finished)
    monkeypatch.setattr(trainings, "forget", lambda _: written.append("forgotten"))
    monkeypatch.setattr(files, "save_json", lambda path, _: written.append(path))
    monkeypatch.setattr(rounds, "_result", lambda *_: {})
    monkeypatch.setattr(rounds, "_write", lambda *_: written.append("results"))
    rounds.run(item, None, {}, at_once=1)  # type: ignore[arg-type]
    assert written == ["timing", "results", "forgotten"]
