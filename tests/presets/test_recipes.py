"""Presets as a base plus what differs, and the whole params.yaml that comes of them."""

from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from helpers.workspace import ROOT

from pipeline import presets
from pipeline.config import params
from pipeline.presets import recipes, written
from pipeline.presets.recipes import Recipe

BASE = """# the base
rounds: 3  # few
seeds: [0]  # one
variants:
  ticket:  # the ticket
    prune: {mask: own, fraction: {fc: 0.2, output: 0.1}}  # by size
    rewind: {to: theta0}
  control:  # the control
    prune: {mask: ticket}
"""
DIFFERS = """# the preset
base: below
without: [variants.control]
rounds: 5
seeds: [0]  # still one
variants:
  ticket:
    prune: {fraction: {fc: 0.3}}
  other:  # another one
    prune: &own
      mask: own
      criterion: movement  # not magnitude
    rewind: {to: theta0}
  last:
    prune: {<<: *own, criterion: random}
"""


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases/below.yaml").write_text(BASE)
    (tmp_path / "above.yaml").write_text(DIFFERS)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    monkeypatch.setattr(recipes, "BASES", tmp_path / "bases")
    assert recipes.names() == ["above"]
    assert recipes.description("above") == "the preset"
    return recipes.composed("above")


def test_mappings_are_merged_and_other_values_replaced(composed: Recipe) -> None:
    assert composed.settings == {
        "rounds": 5,
        "seeds": [0],
        "variants": {
            "ticket": {
                "prune": {"mask": "own", "fraction": {"fc": 0.3, "output": 0.1}},
                "rewind": {"to": "theta0"},
            },
            "other": {
                "prune": {"mask": "own", "criterion": "movement"},
                "rewind": {"to": "theta0"},
            },
            "last": {"prune": {"mask": "own", "criterion": "random"}},
        },
    }


def test_comments_stay_with_their_keys_until_those_are_written_again(
    composed: Recipe,
) -> None:
    assert composed.comments == {
        "seeds": "still one",
        "variants.ticket": "the ticket",
        "variants.ticket.prune": "by size",
        "variants.other": "another one",
        "variants.other.prune.criterion": "not magnitude",
    }


def test_leaving_out_what_the_base_lacks_is_an_error(
    composed: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text("# x\nbase: above\nwithout: [variants.none]\n")
    with pytest.raises(KeyError, match="none"):
        recipes.composed("wrong")


def test_a_comment_that_does_not_fit_stands_above_its_key() -> None:
    raw = params.parse_yaml(presets.text_of("digits"))
    comments = {"rounds": "few", "seeds": "long " * 16}
    text = written.text(Recipe(settings=raw, comments=comments), "an experiment")
    lines = text.splitlines()
    first = lines.index("rounds: 10               # few")
    assert lines[first + 1 : first + 4] == [f"# {'long ' * 16}", "seeds:", "- 0"]
    assert (
        "workers:                 # trainings side by side; null = as many as cores"
        in lines
    )


SHIPPED = (ROOT / params.FILE, *sorted((ROOT / "examples").glob(f"*/{params.FILE}")))


def changes_one_line(text: str, file: Path) -> bool:
    """Whether DVC's own way to change a value changes its line alone."""
    file.write_text(text, encoding="utf-8")
    apply_overrides(file, ["rounds=99"])
    before, after = text.splitlines(), file.read_text(encoding="utf-8").splitlines()
    changed = [i for i, line in enumerate(after) if line not in before[i : i + 1]]
    return len(before) == len(after) and [after[i][:10] for i in changed] == ["rounds: 99"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_an_override_changes_one_line_of_a_shipped_file(path: Path, tmp_path: Path) -> None:
    assert changes_one_line(path.read_text(encoding="utf-8"), tmp_path / params.FILE)


@pytest.mark.parametrize("name", presets.names())
def test_an_override_changes_one_line_of_what_use_writes(name: str, tmp_path: Path) -> None:
    assert changes_one_line(presets.text_of(name), tmp_path / params.FILE)


def test_a_list_on_one_line_would_change_too(tmp_path: Path) -> None:
    assert not changes_one_line("rounds: 1\nseeds: [0, 1]\n", tmp_path / params.FILE)


def test_the_shipped_file_is_the_preset_digits() -> None:
    shipped = (ROOT / params.FILE).read_text(encoding="utf-8")
    assert shipped == presets.text_of("digits")


@pytest.mark.parametrize("name", presets.names())
def test_use_writes_every_key_as_it_is_meant(name: str) -> None:
    text = presets.text_of(name)
    raw = params.parse_yaml(text)
    assert params.completed(raw) == raw
    assert raw["experiment"] == name
    recipe = recipes.composed(name)
    assert params.completed({"experiment": name} | recipe.settings) == raw
    # The heading, a description in a line, may be longer.
    assert all(len(line) <= written.WIDTH for line in text.splitlines()[2:])
    assert all(f"# {said}" in text for said in recipe.comments.values())


def test_presets_are_short() -> None:
    files = [*recipes.FOLDER.glob("*.yaml"), *recipes.BASES.glob("*.yaml")]
    lengths = [len(file.read_text().splitlines()) for file in files]
    assert sum(lengths) / len(files) < 25
