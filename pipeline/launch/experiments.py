"""Run an experiment of DVC whose settings need a plan of their own.

``dvc exp run -S rounds=4`` cannot work alone: DVC reads the list of stages from the plan
before it runs the stage that could write it. So the settings are changed here, planned,
and handed over as edits of the workspace, of which every kind of experiment of DVC takes
a copy.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.border import account, interrupts
from pipeline.border.errors import UserError
from pipeline.border.root import safe_path
from pipeline.config import params
from pipeline.plan import plan_file
from pipeline.plan.items import plan_path

ELSEWHERE = ("--temp", "--queue")
"""options with which DVC works in a copy, so that the workspace gets its settings back"""
SET = ("-S", "--set-param")
KEPT = Path(".lt")
"""where copies of the workspace's files wait meanwhile; git and DVC ignore it"""


class OverrideError(UserError):
    """An override cannot be applied; one line that says which."""


def run(arguments: Sequence[str], root: Path) -> int:
    """Plan and start each experiment that the overrides ask for.

    Args:
        arguments: those of ``dvc exp run``.
        root: of the repository.

    Returns:
        The exit code of the first that failed, or 0.

    Raises:
        OverrideError, ParamsError, AccountError: before anything runs; files are as they
            were.
    """
    account.refuse_homeless()
    overrides, others = split(arguments)
    elsewhere = any(option in arguments for option in ELSEWHERE)
    for sweep in _sweeps(overrides, queued="--queue" in arguments):
        with _files_back(root, always=elsewhere):
            _apply(root, sweep)
            plan_file.write(params.load(root), root)
            dvc = [sys.executable, *safe_path(root), "-m", "pipeline.launch.dvc"]
            with interrupts.left_to_others():
                done = subprocess.run([*dvc, "exp", "run", *others], cwd=root, check=False)
        if done.returncode:
            return done.returncode
    return 0


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides of params.yaml, and the other arguments.

    >>> split(["-S", "rounds=4", "--temp", "--set-param=seeds=[0]", "-n", "name"])
    (['rounds=4', 'seeds=[0]'], ['--temp', '-n', 'name'])
    """
    overrides, others = [], []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, value = argument.partition("=")
        if argument in SET:
            overrides.append(next(waiting, ""))
        elif option == "--set-param" and equals:
            overrides.append(value)
        elif argument.startswith("-S"):
            overrides.append(argument.removeprefix("-S"))
        else:
            others.append(argument)
    return overrides, others


def _sweeps(
    overrides: Sequence[str], *, queued: bool
) -> Sequence[Mapping[str, Sequence[str]]]:
    """File -> overrides, for each experiment; ``choice(…)`` asks for several."""
    from dvc.exceptions import DvcException
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import get_hydra_sweeps

    try:
        found: Sequence[Mapping[str, Sequence[str]]] = get_hydra_sweeps(
            to_path_overrides(overrides)
        )
    except (DvcException, ValueError) as error:
        raise OverrideError(f"-S: {_one_line(error)}") from None
    except Exception as error:  # hydra's parser has errors of its own, of many kinds
        if type(error).__module__.startswith("hydra."):
            raise OverrideError(f"-S: {_one_line(error)}") from None
        raise
    if len(found) > 1 and not queued:
        raise OverrideError(
            f"-S asks for {len(found)} experiments; give --queue, and then run "
            "`dvc queue start`"
        )
    return found


def _apply(root: Path, overrides: Mapping[str, Sequence[str]]) -> None:
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    for name, values in overrides.items():
        if Path(name) != params.FILE:
            raise OverrideError(f"-S: {name} is no file of settings; only {params.FILE} is")
        try:
            apply_overrides(root / name, list(values))
        except DvcException as error:
            cause = error.__cause__ or error
            raise OverrideError(f"-S {' '.join(values)}: {_one_line(cause)}") from None


@contextmanager
def _files_back(root: Path, *, always: bool) -> Iterator[None]:
    """Give params.yaml and the plan back after an error, or always.

    Copies are made before anything is changed, so that giving them back needs no space.
    """
    paths = (root / params.FILE, root / plan_path(root))
    (root / KEPT).mkdir(exist_ok=True)
    with TemporaryDirectory(dir=root / KEPT, prefix="before-") as folder:
        copies = {path: Path(folder, path.name) for path in paths}
        for path, copy in copies.items():
            if path.exists():
                shutil.copy2(path, copy)
        give_back = True
        try:
            yield
            give_back = always
        finally:
            if give_back:
                for path, copy in copies.items():
                    _give_back(copy, path)


def _give_back(copy: Path, path: Path) -> None:
    if copy.exists():
        copy.replace(path)
    else:
        path.unlink(missing_ok=True)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
