"""Find and call functions of the user's that params.yaml names: ``mypkg.nets:build``.

Their code lies in the repository, beside params.yaml, or in an installed package. What
such a function is made of is its module's file, and the files of its package and beside
params.yaml that these import: an edit of one of them may change what the function gives.
"""

import ast
import hashlib
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.border import user_failures
from pipeline.border.errors import UserError
from pipeline.border.root import make_importable

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""``package.module:function``"""


OURS = "pipeline"
"""the package that a user's cannot be called like"""


class CodeError(UserError):
    """The user's code cannot be found, or fails; one line that says where."""


def module_of(name: str) -> str:
    """The module of a function's name.

    Raises:
        CodeError: if the name is not of the form ``package.module:function``.

    >>> module_of("mypkg.nets:build")
    'mypkg.nets'
    """
    if not NAME.fullmatch(name):
        raise CodeError(f"{name!r} is no function; write package.module:function")
    return name.partition(":")[0]


def load(name: str, *, root: Path = Path()) -> Callable[..., Any]:
    """Import a function.

    Args:
        name: ``package.module:function``.
        root: of the repository, where its packages are found.

    Raises:
        CodeError: if the module cannot be imported or has no such function.
    """
    module = module_of(name)
    make_importable(root)
    user_failures.claim([name])
    try:
        found = getattr(importlib.import_module(module), name.partition(":")[2], None)
    except (Exception, SystemExit) as error:
        how = f"{user_failures.said(error)}{user_failures.seen(error)}"
        raise CodeError(f"{name}: importing {module} fails: {how}") from error
    if not callable(found):
        raise CodeError(f"{name}: {module} has no function {name.partition(':')[2]}")
    function: Callable[..., Any] = found
    return function


def call(
    name: str, options: Mapping[str, Any], *arguments: object, root: Path = Path()
) -> object:
    """Call a function.

    Args:
        name: ``package.module:function``.
        options: its arguments by name.
        arguments: those before them.
        root: of the repository.

    Raises:
        CodeError: if it cannot be imported, or whatever it raises.
    """
    function = load(name, root=root)
    try:
        result: object = function(*arguments, **options)
    except (Exception, SystemExit) as error:
        raise CodeError(user_failures.told(name, error)) from error
    return result


@contextmanager
def blamed(name: str | None) -> Iterator[None]:
    """Say in one line which function of the user's has failed; None = it is none of theirs.

    Raises:
        CodeError: for whatever is raised inside.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if name is None:
            raise
        raise CodeError(user_failures.told(name, error)) from error


def files_behind(module: str, *, root: Path = Path()) -> list[Path]:
    """The files of a module and of all modules of the user's that it imports, sorted.

    Those are the modules of its own package, and those beside params.yaml. Paths below the
    root are relative to it. Imports are read, not run.

    Raises:
        CodeError: if there is no such module, or a file is not Python.
    """
    make_importable(root)
    package = module.partition(".")[0]
    found: dict[Path, str] = {}
    waiting = [module]
    while waiting:
        one = waiting.pop()
        is_own = one.partition(".")[0] == package
        for name, path in _files_of(one) if is_own or _is_beside(one, root) else ():
            if path in found or not (is_own or path.is_relative_to(root.resolve())):
                continue
            found[path] = name
            waiting += _imported(path, name)
    if module not in found.values():
        taken = "; the name pipeline is lt-pipeline's own" if package == OURS else ""
        raise CodeError(
            f"there is no file of a module {module} in {root.resolve()} or installed{taken}"
        )
    return sorted(_short(path, root) for path in found)


def file_of(module: str, *, root: Path = Path()) -> Path:
    """The file of a module; below the root relative to it.

    Raises:
        CodeError: if there is no such module.
    """
    files_behind(module, root=root)
    return _short(next(path for name, path in _files_of(module) if name == module), root)


def packages(modules: Iterable[str], *, root: Path = Path()) -> list[Path]:
    """The folders or files below the root that hold the packages of these modules."""
    found = {file_of(module, root=root) for module in modules}
    tops = {
        path if len(path.parts) == 1 else Path(path.parts[0])
        for path in found
        if not path.is_absolute()
    }
    return sorted(tops)


def digest_behind(module: str, *, root: Path = Path()) -> str:
    """The hash of all files behind a module."""
    content = hashlib.sha256()
    for path in files_behind(module, root=root):
        content.update(f"{path.name}\0".encode() + (root / path).read_bytes())
    return content.hexdigest()


def _files_of(module: str) -> Iterator[tuple[str, Path]]:
    """The files that importing a module runs in its package, the package's own first.

    Only the package itself is looked up: to look up a module inside would run its code.
    """
    first, *others = module.split(".")
    spec = find_spec(first)
    if spec is None:
        return
    if spec.origin is not None:
        if not spec.origin.endswith(".py"):
            return
        yield first, Path(spec.origin)
    folders = [Path(one) for one in spec.submodule_search_locations or ()]
    for length, part in enumerate(others, start=1):
        file, folders = _inside(folders, part)
        if file is not None:
            yield ".".join([first, *others[:length]]), file


def _inside(folders: Iterable[Path], part: str) -> tuple[Path | None, list[Path]]:
    """Find what Python imports as ``part`` from the folders of a package.

    Returns:
        The file that is run, and the folders of the modules inside. A folder without an
        ``__init__.py`` has no such file, and counts only if no folder has a file of that
        name.
    """
    without_file = []
    for folder in folders:
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        if package.is_file():
            return package, [folder / part]
        if module.is_file():
            return module, []
        if (folder / part).is_dir():
            without_file.append(folder / part)
    return None, without_file


def _is_beside(module: str, root: Path) -> bool:
    """Whether the package of a module lies beside params.yaml, and is none of ours."""
    top = module.partition(".")[0]
    return top != OURS and ((root / f"{top}.py").is_file() or (root / top).is_dir())


def _imported(path: Path, module: str) -> list[str]:
    """Modules, and names in them, that a file's imports mention."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path.name))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CodeError(f"{path} is not Python: {user_failures.said(error)}") from None
    here = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here.split(".")[: len(here.split(".")) - node.level + 1]
            base = [*(above if node.level else ()), *(node.module or "").split(".")]
            names += [".".join(filter(None, [*base, a.name])) for a in node.names]
    return names


def _short(path: Path, root: Path) -> Path:
    base = root.resolve()
    return path.relative_to(base) if path.is_relative_to(base) else path
