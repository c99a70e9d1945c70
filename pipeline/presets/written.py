"""A preset's params.yaml: every key written out, with comments, in the form DVC writes.

``dvc exp run -S`` writes the whole file again for one value: lists with an item per line,
nulls left empty. A file that has this form already changes in one line.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config import params, schema
from pipeline.config.annotations import sentences
from pipeline.config.settings import Data, Settings, Task
from pipeline.core.training.settings import TrainSettings
from pipeline.presets.recipes import Recipe

WIDTH = 92
INLINE = 80
"""longest line of an inline mapping: DVC breaks a longer one"""
COLUMN = 25
"""where comments begin, if the line is not longer"""
DEEP = 6
"""columns of indentation from which on they begin two columns later"""
SHORT = 4
"""a mapping of so many plain values, or fewer, stands on one line"""
EXPLAINED = (
    ("workers", Settings),
    ("data.root", Data),
    ("tasks.*.train.common_noise", TrainSettings),
    ("tasks.*.compat", Task),
)
"""keys that a reader of the file asks about first: their sentences are comments"""


def text(recipe: Recipe, description: str) -> str:
    """A params.yaml with all settings of a recipe.

    Args:
        recipe: has what its presets write; the rest has its defaults.
        description: of the experiment, in a line.
    """
    full = params.completed(recipe.settings)
    comments = dict(_explained(full)) | recipe.comments
    heading = f"# yaml-language-server: $schema={schema.FILE}\n# {description}\n"
    return heading + "".join(f"{line}\n" for line in _lines(full, comments, ""))


def _explained(full: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for pattern, kind in EXPLAINED:
        said = sentences(kind)[pattern.rpartition(".")[2]]
        for name in full["tasks"] if "*" in pattern else [""]:
            yield pattern.replace("*", name), said


def _lines(
    tree: Mapping[str, Any], comments: Mapping[str, str], path: str
) -> Iterator[str]:
    indent = "  " * (path.count(".") + 1 if path else 0)
    for key, value in tree.items():
        place = f"{path}.{key}" if path else key
        line = f"{indent}{key}: {_inline(value)}"
        below: Iterator[str] = iter(())
        if value is None:
            line = f"{indent}{key}:"
        elif isinstance(value, list) and value:
            line = f"{indent}{key}:"
            below = (f"{indent}- {_inline(item)}" for item in value)
        elif isinstance(value, dict) and (
            len(line) > INLINE or _is_block(value, place, comments)
        ):
            line = f"{indent}{key}:"
            below = _lines(value, comments, place)
        yield from _commented(line, comments.get(place))
        yield from below


def _is_block(value: Mapping[str, Any], place: str, comments: Mapping[str, str]) -> bool:
    explained = any(f"{place}.{key}" in comments for key in value)
    nested = any(isinstance(item, dict) for item in value.values())
    return explained or nested or len(value) > SHORT


def _commented(line: str, comment: str | None) -> Iterator[str]:
    if comment is None:
        yield line
        return
    indent = len(line) - len(line.lstrip())
    column = COLUMN + 2 * (indent >= DEEP)
    whole = f"{line:<{column - 2}}  # {comment}"
    if len(whole) <= WIDTH:
        yield whole
    else:
        yield f"{' ' * indent}# {comment}"
        yield line


def _inline(value: object) -> str:
    """A value on one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_inline(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
