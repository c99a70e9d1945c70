"""python .ci/reference.py: writes the files that follow from the code or from other files.

That is docs/reference/params.md, docs/reference/cli.md, docs/architecture/folders.md,
params.schema.json, the times that presets take, and the templates of `lt-pipeline init`. A
test fails while one of them is not what this would write.
"""

import ast
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from pipeline import cli, presets
from pipeline.config import params, reference, schema
from pipeline.inspect import forecast
from pipeline.plan import compiler

ROOT = Path(__file__).parents[1]
PARAMS = """# Reference: params.yaml

`lt-pipeline params` prints this page in the terminal, `lt-pipeline params KEY` a part of
it. Keys that are not required may be left out. NAME stands for a name of your own. Editors
that read `params.schema.json`, which the first line of `params.yaml` names, complete and
check keys.
"""
CLI = """# Reference: the command line

Every command works from any folder of a clone. It ends with 0, with 2 after an error, or
with 130 after Ctrl-C. An error is one line; a wrong command or option is a few, with the
usage. `verify` ends with 1 where a promise is broken, `check` where a property is. `run`
and `exp run` pass on what DVC prints, and the code with which it ends, such as 255.
"""
TEMPLATES = "pipeline/launch/templates"
MARK = "# Written by `lt-pipeline init`; after an upgrade: `lt-pipeline init --update`.\n"
STAGES = """\
# Which instances of each stage exist, and every path that they read and write, stands in
# plan.json, compiled from params.yaml by `lt-pipeline plan`. `-P` runs the installed
# package, even if this repository has a folder of its name. The stage `plan` runs every
# time, a second, because the package may be another version by now.
"""
FOLDERS = """# Folders and layers

Each module or package of `pipeline/`, and the packages in it, with the first lines of
their docstrings:

```
{folders}
```

A folder may import those below it, never those above it. `lint-imports` checks this on
every change:

```
{layers}
```

Entries of registries, and the files of stages, are found by name and imported on use. So
`walk` and the server of stages run stages, and import none.
"""


def texts() -> dict[str, str]:
    """Path below the root -> what stands there."""
    return {
        "docs/reference/params.md": f"{PARAMS}\n{reference.markdown()}\n",
        "docs/reference/cli.md": f"{CLI}\n{_commands()}",
        "docs/architecture/folders.md": FOLDERS.format(
            folders=_folders(), layers=_layers()
        ),
        f"{TEMPLATES}/dvc.yaml.txt": _stages(_own("dvc.yaml")),
        f"{TEMPLATES}/MLproject.txt": MARK + _installed(_own("MLproject")),
        f"{TEMPLATES}/rounds.json.txt": _own(".dvc/plots/rounds.json"),
        schema.FILE: json.dumps(schema.schema(), indent=2, ensure_ascii=False) + "\n",
    }


def _own(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _layers() -> str:
    """The layers of the package, as its contract has them."""
    contracts = tomllib.loads(_own("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    whole = next(one for one in contracts if one.get("containers") == ["pipeline"])
    return "\n".join(whole["layers"])


def _folders() -> str:
    """Each module or package of a layer, and the packages in it, with their first lines."""
    lines = ["pipeline/"]
    for name in _layers().replace("|", " ").split():
        folder = ROOT / "pipeline" / name
        lines += _line(folder, 1)
        for inner in sorted(folder.glob("*/__init__.py")):
            lines += _line(inner.parent, 2)
    return "\n".join(lines)


def _line(place: Path, depth: int) -> list[str]:
    """The name of a module or package, and the first line of its docstring."""
    package = place.is_dir()
    file = place / "__init__.py" if package else place.with_suffix(".py")
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    name = f"{'  ' * depth}{place.name}/" if package else f"{'  ' * depth}{file.name}"
    return [f"{name:19}{said.splitlines()[0].replace('``', '`')}"]


def _installed(text: str) -> str:
    """The commands of this repository where the package is only installed."""
    return text.replace("python -m ", "python -P -m ")


def _stages(text: str) -> str:
    """dvc.yaml for a repository that does not hold the package's code."""
    whole = _installed(text[text.index("vars:") :]).replace(
        "pipeline/plan.json", "plan.json"
    )
    before, _, after = whole.partition("      - pipeline/artifacts\n")
    _, _, after = after.partition("      - ${user_code}\n")
    before = before.replace("    deps:\n", "    always_changed: true\n    deps:\n", 1)
    return MARK + STAGES + before + after


def _commands() -> str:
    group: Any = typer.main.get_command(cli.app)
    return "\n".join(
        "\n".join(_command(name, command)) for name, command in _leaves(group, "")
    )


def _leaves(group: Any, before: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """The commands of a group and of the groups in it, with what is typed before them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - Typer's own
    shown = [one for one in command.params if one.name != "help"]
    arguments = [_metavar(one) for one in shown if one.param_type_name == "argument"]
    yield f"## `{' '.join(['lt-pipeline', name, *arguments])}`\n"
    yield f"{command.help}\n"
    if shown:
        yield "| | default | |"
        yield "|---|---|---|"
        yield from (_parameter(one) for one in shown)
        yield ""
    yield f"```bash\n{(command.epilog or '').removeprefix('Example: ')}\n```\n"


def _metavar(one: Any) -> str:  # noqa: ANN401
    name: str = one.metavar or one.name.upper()
    return name if one.required or one.metavar else f"[{name}]"


def _parameter(one: Any) -> str:  # noqa: ANN401
    is_option = one.param_type_name == "option"
    is_flag = is_option and one.is_flag
    default = "" if is_flag or one.default is None else f"`{one.default}`"
    name = one.opts[0] if is_option else _metavar(one).strip("[].")
    return f"| `{name}` | {'required' if one.required else default} | {one.help} |"


def times() -> str:
    """Preset -> the time it takes on two cores, as JSON. Another test looks at it."""
    found: dict[str, str] = {}
    for name in presets.names():
        settings = params.parse(params.parse_yaml(presets.text_of(name)))
        plan = compiler.compile_plan(settings, [settings.seeds])
        found[name] = forecast.of_preset(settings, plan)
    return json.dumps(found, indent=2) + "\n"


if __name__ == "__main__":
    files = texts() | {presets.TIMES.relative_to(ROOT).as_posix(): times()}
    for place, text in files.items():
        (ROOT / place).parent.mkdir(exist_ok=True)
        (ROOT / place).write_text(text, encoding="utf-8")
