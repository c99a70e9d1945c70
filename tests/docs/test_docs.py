"""What the documentation says can be done: links, commands, options, paths, snippets.

The log is left out where it names files and commands: it says what was, not what is.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from helpers.workspace import ROOT

from pipeline import cli, presets
from pipeline.config import params
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.description import of_images

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TODAY = [page for page in PAGES if page.parent.name != "log"]
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLDERS = ("pipeline", "tests", "benchmarks", "docs", "examples", ".ci")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(text(page)) if kind == language]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and the code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text(page)), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[\s]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_image_leads_somewhere(page: Path) -> None:
    prose = BLOCK.sub("", text(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


def test_every_page_is_in_the_navigation_once() -> None:
    # The file has tags of its own, so it is not read as plain YAML.
    listed = re.findall(r"^ +- .*: (\S+\.md)$", text(ROOT / "mkdocs.yml"), re.MULTILINE)
    pages = [str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)


def test_every_figure_is_shown() -> None:
    shown = {link for page in PAGES for link in re.findall(r"figures/[\w.-]+", text(page))}
    there = {f"figures/{file.name}" for file in (ROOT / "docs/figures").iterdir()}
    assert there <= shown


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_every_command_and_option_exists(page: Path) -> None:
    for line in re.findall(r"lt-pipeline ([^\n`|&;]+)", text(page)):
        command, *words = line.split()
        if not re.fullmatch(r"[a-z]+", command):
            continue  # prose or a heading: "lt-pipeline: parses, calls, exits"
        if command not in COMMANDS:
            assert f"`lt-pipeline {command}" not in text(page), f"{name(page)}: {line}"
            continue
        if words and words[0] in getattr(COMMANDS[command], "commands", {}):
            continue  # `exp run` takes DVC's options
        if COMMANDS[command].context_settings.get("ignore_unknown_options"):
            continue  # `run` takes those of `dvc repro`
        known = {opt for param in COMMANDS[command].params for opt in param.opts}
        asked = {word for word in words if word.startswith("--")}
        assert asked <= known | {"--help"}, f"{name(page)}: lt-pipeline {line}"


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_every_path_exists(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", text(page))
    for path in named:
        assert (ROOT / path).exists(), f"{name(page)}: {path}"
    for script in re.findall(r"python (benchmarks/\w+\.py)", text(page)):
        assert (ROOT / script).exists(), f"{name(page)}: {script}"


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_stages_that_are_run_by_hand_are_in_the_plan(page: Path) -> None:
    plan = json.loads(text(ROOT / "pipeline/plan.json"))["plan"]
    for stage, key in re.findall(
        r"python -m\s+pipeline\.stages\.(\w+)\s+(\S+)", text(page)
    ):
        assert key.strip("`.") in plan[stage], f"{name(page)}: {stage} {key}"


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_python_compiles(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, name(page), "exec")


def test_the_guide_names_every_preset() -> None:
    guide = text(ROOT / "docs/guide/presets.md")
    for preset in presets.names():
        family = re.sub(r"-(paper|quick)$", "", preset)
        assert f"`{family}`" in guide, preset


def test_an_added_criterion_is_a_criterion() -> None:
    (code,) = blocks(ROOT / "docs/architecture/extending.md", "python")
    made: dict[str, Any] = {}
    exec(compile(code, "extending.md", "exec"), made)
    weights = {"fc": np.float32([1, 2, -1])}
    evidence = Evidence(
        network=(),
        data=of_images((1, 1, 1), classes=2),
        begun=weights,
        trained={"fc": np.float32([1, 1, 2])},
        mask={"fc": np.array([True, True, False])},
        batches=None,
        rng=None,
    )
    assert made["relative_change"](evidence)["fc"] == pytest.approx([0, 0.5, 0])


def test_every_dvc_command_is_one_that_dvc_understands() -> None:
    from dvc.cli.parser import get_main_parser

    parser = get_main_parser()
    lines = [
        line for page in TODAY for code in blocks(page, "sh") for line in code.splitlines()
    ]
    commands = [part for line in lines for part in re.findall(r"\bdvc [^&]+", line)]
    assert len(commands) > 5
    for command in commands:
        parser.parse_args(shlex.split(command)[1:])


def test_every_variable_is_one_that_the_code_reads() -> None:
    named = {one for page in TODAY for one in re.findall(r"\bLT_[A-Z_]*[A-Z]", text(page))}
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("pipeline", "benchmarks", "tests", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in ("", ".py") and path.is_file()
    )
    assert {one for one in named if one not in code} == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs/guide").glob("*.md")), ids=name)
def test_settings_in_the_guide_fit_the_default_experiment(page: Path) -> None:
    for code in blocks(page, "yaml"):
        settings: dict[str, Any] = params.parse_yaml(text(ROOT / "params.yaml"))
        for section, entries in params.parse_yaml(code).items():
            settings[section] = settings.get(section, {}) | entries
        params.parse(settings)


def test_the_citation_names_the_last_version_and_its_date() -> None:
    version, date = re.findall(
        r"^## ([\d.]+) \(([\d-]+)\)$", text(ROOT / "CHANGELOG.md"), re.MULTILINE
    )[0]
    citation = text(ROOT / "CITATION.cff")
    assert f"version: {version}\ndate-released: {date}\n" in citation
    assert f'version = "{version}"\n' in text(ROOT / "pyproject.toml")


def test_no_extra_is_installed_from_an_index_that_lacks_the_package() -> None:
    said = [*PAGES, *(ROOT / "pipeline").rglob("*.py")]
    named = {
        found for page in said for found in re.findall(r"pip install '?lt-p.*", text(page))
    }
    assert named == set()


def test_the_reference_has_every_command_with_the_arguments_of_its_help() -> None:
    page = text(ROOT / "docs/reference/cli.md")
    for heading in ("plan", "init [DIR]", "run [STAGE]...", "exp run [OPTION]..."):
        assert f"## `lt-pipeline {heading}`\n" in page, heading


def test_the_readme_is_short_and_its_numbers_name_their_commit() -> None:
    readme = text(ROOT / "README.md")
    assert len(readme.splitlines()) <= 150
    for block in ("digits", "mnist", "engines"):
        found = re.search(rf"<!-- {block} -->\n(.*?)<!-- /{block} -->", readme, re.DOTALL)
        assert found, f"no block {block}"
        assert re.search(r"\*Made by `.+` at commit [0-9a-f]{7,}", found[1]), block
