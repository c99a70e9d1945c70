"""The reference of params.yaml has every key with its type, default and values."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.command import run
from helpers.experiment import CONNECTION, raw
from helpers.workspace import ROOT

from pipeline import presets
from pipeline.config import params, reference
from pipeline.config.schema import schema
from pipeline.core.starts import CHOICES

KEYS = {key.path: key for key in reference.every()}
SCHEMA = json.loads((ROOT / "params.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def pages() -> dict[str, str]:
    """Path -> text of what the program that writes the pages would write."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / ".ci/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts: dict[str, str] = module.texts()
    return texts


def paths(tree: dict[str, Any], where: str = "") -> set[str]:
    """Every key of a file with all keys; names of tasks and the like are NAME."""
    found = set()
    for key, value in tree.items():
        named = where in {"tasks", "variants", "analyses"}
        place = f"{where}.{'NAME' if named else key}" if where else key
        if not named:
            found.add(place)
        if isinstance(value, dict) and key != "fraction":
            found |= paths(value, place)
    return found


def test_every_key_is_explained_once() -> None:
    yours = {key for key in KEYS if key.endswith((".import", ".options"))}
    yours |= {
        key
        for key in KEYS
        if key.startswith(("datasets", "approximations", "tasks.NAME.resources"))
        or ".prune.mask." in key
    }
    recipe = tuple(
        f"variants.NAME.prune.{key}" for key in ("scores", "blocks", "step", "pool")
    )
    yours |= {key for key in KEYS if key.startswith(recipe)}
    train = (
        "betas",
        "loss_precision",
        "mix_norms",
        "evaluations_per_decade",
        "evaluate_train",
        "measures",
    )
    yours |= {f"tasks.NAME.train.{key}" for key in train}
    others = ("variants.NAME.rewind.task", "tasks.NAME.model.draw")
    yours |= {*others, "analyses.NAME.match_units"}
    assert set(KEYS) - yours == paths(raw() | {"analyses": {"line": CONNECTION}})
    assert len(KEYS) == len(reference.every())
    assert all(len(key.sentence) > 10 for key in KEYS.values())


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("seeds", "required"),
        ("workers", "null"),
        ("tasks.NAME.train.momentum", "0.0"),
        ("tasks.NAME.train.common_noise", "true"),
        ("tasks.NAME.train.schedule", "each key's own"),
        ("tasks.NAME.train.schedule.gamma", "1.0; required for milestones"),
        ("variants.NAME.tasks", "all tasks"),
        (
            "variants.NAME.prune.scope",
            "null; required where the mask is own and the schedule asks for it",
        ),
        ("variants.NAME.rewind.draw", "0 where the start draws, else null"),
    ],
)
def test_a_default_is_what_leaving_the_key_out_means(path: str, default: str) -> None:
    assert KEYS[path].default == default


def test_values_are_the_names_of_the_registry() -> None:
    assert KEYS["variants.NAME.rewind.to"].values == CHOICES
    assert "sparse-conv" in KEYS["tasks.NAME.train.engine"].values
    assert KEYS["tasks.NAME.train.optimizer"].values == ("sgd", "adam", "adamw", "sign-in")
    assert KEYS["variants.NAME.prune.mask"].others is not None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("tasks.main.train.lr", ["tasks.NAME.train.lr"]),
        ("tasks.NAME.train.lr", ["tasks.NAME.train.lr"]),
        ("lr", ["tasks.NAME.train.lr", "variants.NAME.prune.scores.lr"]),
        ("data.root", ["data.root"]),
        ("variants.x.rewind.draw", ["variants.NAME.rewind.draw"]),
    ],
)
def test_a_key_is_found_by_its_path_or_its_last_part(asked: str, found: list[str]) -> None:
    assert [key.path for key in reference.find(asked)] == found


def test_a_mapping_comes_with_its_keys() -> None:
    found = [key.path for key in reference.find("tasks.main.model")]
    ends = ("", ".name", ".widths", ".init", ".import", ".options", ".draw")
    assert found == [f"tasks.NAME.model{end}" for end in ends]


def test_the_command_explains_all_one_part_or_one_key(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    whole = run(tmp_path, "params")
    assert whole.code == 0
    assert all(f"\n{path}" in f"\n{whole.output}" for path in KEYS)
    assert max(map(len, whole.output.splitlines())) <= 88
    assert run(tmp_path, "params", "tasks.main.train.lr").output == (
        "tasks.NAME.train.lr  (number; required)\n"
        "    learning rate, above 0, before the schedule changes it\n"
    )
    assert (
        "one of: iterative, one-shot, at-init, gradual, rigl, set"
        in run(tmp_path, "params", "prune").output
    )


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("sedes", "; did you mean seeds?"),
        ("learning_rate", "; did you mean tasks.NAME.train.lr?"),
        ("12", ""),
        ("", ""),
    ],
)
def test_an_unknown_key_is_one_line(asked: str, near: str, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    ended = run(tmp_path, "params", asked)
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors == (
        f"lt-pipeline: params.yaml has no key {asked or repr('')}{near} "
        "(`lt-pipeline params` lists all)\n"
    )


@pytest.mark.parametrize("place", sorted(pages()))
def test_the_pages_and_the_schema_are_what_the_code_says(place: str) -> None:
    found = (ROOT / place).read_text(encoding="utf-8")
    assert found == pages()[place], "write it with python .ci/reference.py"


# The schema


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_fits_the_schema(name: str) -> None:
    text = presets.text_of(name)
    assert text.startswith("# yaml-language-server: $schema=params.schema.json\n# ")
    VALIDATOR.validate(params.parse_yaml(text))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def changed(path: str, value: object) -> dict[str, Any]:
    settings = raw() | {"analyses": {"line": dict(CONNECTION)}}
    *parents, last = path.split(".")
    place = settings
    for parent in parents:
        place = place[parent]
    place[last] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sedes", [0]),
        ("rounds", "two"),
        ("seeds", 3),
        ("tasks.main.train.engine", "fast"),
        ("tasks.main.train.lr", None),
        ("tasks.main.train.schedule.name", "cosin"),
        ("tasks.Main", {}),
        ("variants.ticket.prune.fraction", {"fcs": 0.2}),
        ("variants.ticket.prune.criterion", "size"),
        ("variants.ticket.rewind", {}),
        ("analyses.line.kind", "line"),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(path: str, value: object) -> None:
    assert VALIDATOR.is_valid(changed("rounds", 2))
    assert not VALIDATOR.is_valid(changed(path, value))
    with pytest.raises(params.ParamsError):
        params.parse(changed(path, value))


def test_the_schema_lets_out_what_may_be_left_out() -> None:
    settings = raw()
    settings["variants"]["reinit"] = {
        "prune": {"mask": "ticket"},
        "rewind": {"to": "reinit"},
    }
    for key in ("workers", "data", "analyses"):
        del settings[key]
    VALIDATOR.validate(settings)
    params.parse(settings)
