"""Presets: known experiments that ``use`` writes as a complete params.yaml."""

import re
import subprocess
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border import text_tables
from pipeline.border.errors import UserError
from pipeline.config import machine, params
from pipeline.core.registry import unknown
from pipeline.plan import items, plan_file
from pipeline.presets import recipes, written
from pipeline.presets.recipes import Recipe

TIMES = recipes.FOLDER / "times.json"
"""preset -> how long it takes on two cores of a typical machine, by the forecast;
``python .ci/reference.py`` writes it, because forecasting all of them takes seconds"""
EXPLAINED = "time: forecast for two cores without a GPU, good to a factor of two"
NAMED = re.compile(rb"^experiment: (\S+)$", re.MULTILINE)
"""the line of a params.yaml with the experiment's name"""
GROUPS = {
    "": "To begin with, and others",
    "quick": "Quick: fewer steps, rounds or seeds; at most 25 minutes on two cores",
    "paper": "Paper: the settings of the source",
}
"""ending of a preset's name -> what presets of that ending are; "" = any other"""


class PresetError(UserError):
    """A preset cannot be used; the message says why and what to do."""


def names() -> list[str]:
    """The names of all presets, sorted."""
    return recipes.names()


def text_of(name: str) -> str:
    """The params.yaml of a preset, with every key; the experiment has the preset's name.

    Raises:
        PresetError: there is no such preset.
    """
    first_line = description(name)
    recipe = recipes.composed(name)
    named = Recipe(
        settings={"experiment": name} | recipe.settings, comments=recipe.comments
    )
    return written.text(named, first_line)


def description(name: str) -> str:
    """One line that describes a preset.

    Raises:
        PresetError: there is no such preset.
    """
    if name not in names():
        raise PresetError(unknown(name, names(), "preset"))
    return recipes.description(name)


def listed() -> str:
    """A table of all presets for the terminal, with the time on two cores."""
    times = files.load_json(TIMES)
    groups: dict[str, list[str]] = {title: [] for title in GROUPS.values()}
    for name in names():
        ending = name.rpartition("-")[2]
        groups[GROUPS.get(ending, GROUPS[""])].append(name)
    tables = [
        text_tables.drawn(
            ("preset", "data", ">time", "what it trains"),
            [(*_known_of(name), times[name], description(name)) for name in found],
            title,
        )
        for title, found in groups.items()
    ]
    return "\n\n".join([*tables, EXPLAINED])


def _known_of(name: str) -> tuple[str, str]:
    """The name of a preset, and its data sets."""
    tasks = recipes.composed(name).settings["tasks"].values()
    data = dict.fromkeys(task["data"] for task in tasks)
    return name, ", ".join(data)


def use(name: str, root: Path, *, force: bool) -> items.Plan:
    """Write params.yaml and the plan of a preset.

    Args:
        name: of the preset.
        root: of the repository.
        force: whether to overwrite edits that are not committed.

    Raises:
        PresetError: there is no such preset, or edits would be lost.
    """
    text = text_of(name)
    path = root / params.FILE
    if not force and path.exists() and not _is_a_preset(path):
        _refuse_uncommitted(root)
    settings = params.parse(params.parse_yaml(text))
    machine.refuse_impossible(settings)
    items.read(root)  # refuses a damaged one before anything is written
    with files.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        files.sync(temporary)  # where one of the two cannot be written, neither is
        return plan_file.write(settings, root, fresh=True)


def _is_a_preset(path: Path) -> bool:
    """Whether a file is what ``use`` writes, so that overwriting it loses nothing."""
    content = path.read_bytes()
    named = NAMED.search(content)
    name = named[1].decode(errors="replace") if named else ""
    return name in names() and content == text_of(name).encode()


def _refuse_uncommitted(root: Path) -> None:
    command = [
        "git",
        "--no-optional-locks",
        "status",
        "--porcelain",
        "--",
        str(params.FILE),
    ]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False
        )
        refused = done.stderr if done.returncode else ""
    except OSError as error:
        refused = str(error)
    if refused:
        raise PresetError(
            f"git does not say whether {params.FILE} has edits that are not committed "
            f"({' '.join(refused.split())}); solve that, or overwrite them with --force"
        )
    if done.stdout.strip():
        raise PresetError(
            f"{params.FILE} has edits that are not committed; commit them, or "
            "overwrite them with --force"
        )
