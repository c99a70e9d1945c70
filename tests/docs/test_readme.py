"""benchmarks/readme.py: what it writes between which markers, of tables that are known."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.workspace import ROOT


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    sys.path.append(str(ROOT / "benchmarks"))  # as when the script runs
    return importlib.import_module("readme")


def row(variant: str, round: int, seed: int, **changes: object) -> dict[str, object]:
    facts: dict[str, object] = {
        "variant": variant,
        "round": round,
        "seed": seed,
        "density": 1.0 if round == 0 else 0.8,
        "early_stop_step": 1000 + 1250 * seed,
        "censored": False,
        "test_accuracy_early_stop": 0.97,
        "test_accuracy": 0.98 + 0.001 * seed,
    }
    return facts | changes


ROWS = [
    *(row("ticket", round, seed) for round in (0, 1) for seed in (0, 1)),
    *(row("reinit", 0, seed) for seed in (0, 1)),
    row("reinit", 1, 0),
    row("reinit", 1, 1, censored=True, early_stop_step=4000),
]


def test_a_row_has_means_over_seeds_and_says_what_is_censored(readme: ModuleType) -> None:
    *_, dense, pruned = readme.short_table(ROWS, (0, 1)).splitlines()
    assert dense == "| 100.0 % | 1,500 | 1,500 | 98.05 % | 98.05 % |"
    assert pruned == "| 80.0 % | 1,500 | ≥ 2,000 | 98.05 % | 98.05 % |"


def test_the_long_table_has_ranges_and_the_dense_network_once(readme: ModuleType) -> None:
    lines = readme.long_table(ROWS, (0, 1)).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["dense", "ticket", "reinit"]
    assert lines[2] == (
        "| 80.0 % | reinit | ≥ 2,000 (1,000–4,000) | 97.00 (97.00–97.00) % "
        "| 98.05 (98.00–98.10) % |"
    )


def test_a_round_that_was_not_run_is_said(readme: ModuleType) -> None:
    with pytest.raises(ValueError, match="no round 7 of ticket"):
        readme.short_table(ROWS, (7,))


def test_speed_is_a_multiple_of_the_dense_engine_at_the_same_density(
    readme: ModuleType,
) -> None:
    rates = {
        ("reference", 1.0): 600,
        ("dense", 1.0): 1500,
        ("sparse", 1.0): 1000,
        **{("dense", kept): 1500 for kept in (0.1, 0.036, 0.01)},
        ("sparse", 0.1): 7500,
        ("sparse", 0.036): 15000,
        ("sparse", 0.01): 30000,
    }
    rows: list[dict[str, Any]] = [
        {
            "engine": engine,
            "model": "lenet-300-100",
            "density": density,
            "steps_per_s": rate,
            "floor_steps_per_s": 1000.0,
        }
        for (engine, density), rate in rates.items()
    ]
    said = readme.speed_sentence(rows)
    assert "5.0, 10.0 and 20.0 times" in said.replace("\n", " ")
    assert "600 steps/s" in said
    assert "| sparse | 1,000 (1.00×) | 7,500 (7.50×) |" in readme.speed_table(rows)


def test_the_peak_that_most_of_a_step_reaches_is_named(readme: ModuleType) -> None:
    peaks = {"multiply_adds_per_s": 1e9, "bytes_per_s": {"L1": 8e9, "L2": 4e9, "L3": 1e9}}
    row = {"engine": "sparse", "model": "a", "steps_per_s": 6.0, "multiply_adds": 1e8}
    rows = [{**row, "density": 1.0}, {**row, "density": 0.1, "multiply_adds": 1e6}]
    *_, adds, first, second, nearest = readme.peaks_table(rows, peaks).splitlines()
    assert adds == "| sparse: multiply-adds | 60 % | 1 % |"
    assert first == "| sparse: loads, if from L1 | 30 % | 0 % |"
    assert second == "| sparse: loads, if from L2 | 60 % | 1 % |"
    assert nearest == "| sparse: nearest | multiply-adds | none |"


def test_layers_of_others_stand_beside_ours(readme: ModuleType) -> None:
    rows = [
        {"layer": "1→2", "density": 0.1, "way": way, "microseconds": time}
        for way, time in (("ours", 100.0), ("other", 250.0))
    ]
    assert readme.layers_table(rows).splitlines()[2:] == [
        "| ours | 100 (1.0×) |",
        "| other | 250 (2.5×) |",
    ]


def test_text_goes_between_the_markers_and_nowhere_else(readme: ModuleType) -> None:
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    filled = readme.fill(page, "x", r"new \1")
    assert filled == page.replace("old", r"new \1")
    assert readme.fill(filled, "x", r"new \1") == filled
    for broken in ("", page + page):
        with pytest.raises(ValueError, match="pairs <!-- x -->"):
            readme.fill(broken, "x", "new")


def test_a_block_without_markers_is_refused(readme: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("<!-- a -->\n<!-- /a -->\n", encoding="utf-8")
    readme.write({"a": "text"}, tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8").count("text") == 1
    with pytest.raises(ValueError, match=r"no <!-- b --> in README\.md"):
        readme.write({"b": "text"}, tmp_path)


def test_every_block_has_its_markers(readme: ModuleType) -> None:
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in readme.PAGES)
    parts = ("", "-table", "-peaks", "-layers")
    for block in ("digits", "mnist", "mnist-table", *(f"engines{part}" for part in parts)):
        assert f"<!-- {block} -->" in pages
        assert f'"{block}": ' in (ROOT / "benchmarks/readme.py").read_text(encoding="utf-8")
