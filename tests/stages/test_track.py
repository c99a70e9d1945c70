"""The last stage writes into MLflow what it judges and draws."""

from pathlib import Path

import pytest
from helpers.tracked import runs

from pipeline import compare, plots, tracking
from pipeline.stages import track


def test_tags_and_figures_are_of_one_judgement(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(compare, "untrained", lambda _: {"main": "it diverged"})
    seen = []

    def draw(*_: object, out: Path, untrained: object, **__: object) -> list[Path]:
        seen.append(untrained)
        out.mkdir()
        for name in ("cost.png", "cost.csv"):
            (out / name).write_text(name)
        return [out / "cost.png"]

    monkeypatch.setattr(plots, "draw", draw)
    track.run()
    assert seen == [{"main": "it diverged"}]
    tickets = runs(experiment_root, "toy", "tags.winning_density = 'none'")
    said = {run.data.tags["winning_confidence"] for run in tickets}
    assert said == {"the dense network did not train"}
    (experiment_root / "figures/notes.txt").write_text("mine")
    found = tracking.figures_of_results(experiment_root)
    assert [file.name for file in found] == ["cost.png", "cost.csv"]
