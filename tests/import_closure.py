"""Which files of the project a file imports, directly and through others."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = frozenset(
    f"pipeline/core/{name}__init__.py"
    for name in ("", "criteria/", "models/", "starts/", "training/", "transforms/")
)
"""registries, which map names to modules imported on use: adding a method must not touch
other results"""


def imported_files(path: Path) -> set[Path]:
    """Project files that one file names in its import statements, at any depth."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        else:
            continue
        found |= {file for name in names if (file := _file_of(name))}
    return found


def import_closure(start: Path, follow: frozenset[str] = frozenset()) -> set[str]:
    """Files of the core that a stage runs, without registries.

    Args:
        start: the stage's file.
        follow: adapters outside the core whose imports count as the stage's own.
    """
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        for file in imported_files(path) - seen:
            inside = str(file).startswith("pipeline/core/")
            if (inside and str(file) not in PACKAGES) or str(file) in follow:
                seen.add(file)
                waiting.append(file)
    return {str(file) for file in seen if str(file).startswith("pipeline/core/")}


def _file_of(module: str) -> Path | None:
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).is_file() and module.startswith("pipeline."):
            return candidate
    return None
