"""Run an experiment of DVC whose settings need a plan of their own.

``dvc exp run -S rounds=4`` cannot work alone: DVC reads the list of stages from the plan
before it runs the stage that could write it. So the settings are changed here, planned,
and handed over as edits of the workspace, of which every kind of experiment of DVC takes
a copy.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from pipeline.border import account, interrupts, notes
from pipeline.border.errors import UserError
from pipeline.border.root import safe_path
from pipeline.config import params
from pipeline.launch import lending, repair
from pipeline.launch.lending import Lent
from pipeline.plan import plan_file

ELSEWHERE = ("--temp", "--queue")
"""options with which DVC works in a copy, so that the workspace gets its settings back"""
SET = ("-S", "--set-param")
LOOK_S = 0.5
"""seconds between two looks whether DVC works in its copy"""


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
        OverrideError, ParamsError, AccountError, RunningError, LentError: before anything
            runs; files are as they were.
    """
    account.refuse_homeless()
    repair.refuse_second_run(root, beside_queue=True)
    notes.say(lending.repair(root))
    overrides, others = split(arguments)
    elsewhere = any(option in arguments for option in ELSEWHERE)
    for sweep in _sweeps(overrides, queued="--queue" in arguments):
        with lending.lent(root) as lent:
            try:
                code = _run_one(sweep, others, lent, elsewhere=elsewhere)
            finally:
                notes.say(lent.give_back())
        if code:
            return code
    return 0


def _run_one(
    overrides: Mapping[str, Sequence[str]],
    others: Sequence[str],
    lent: Lent,
    *,
    elsewhere: bool,
) -> int:
    """Plan and start one experiment; its exit code."""
    root = lent.root
    lent.change(partial(_apply, overrides))
    plan_file.write(params.load(root), root)
    if not elsewhere:
        lent.keep()
    command = [sys.executable, *safe_path(root), "-m", "pipeline.launch.dvc", "exp", "run"]
    with interrupts.left_to_others():
        dvc = subprocess.Popen([*command, *others], cwd=root)
        return _ended(dvc, root, lambda: notes.say(lent.give_back()))


def _ended(dvc: "subprocess.Popen[bytes]", root: Path, left: Callable[[], None]) -> int:
    """Wait for the end of DVC; its exit code.

    Args:
        dvc: that runs an experiment.
        root: of the repository, where it begins.
        left: called when DVC works in its copy of the workspace.
    """
    while _works_in(root, dvc.pid):
        with suppress(subprocess.TimeoutExpired):
            return dvc.wait(LOOK_S)
    left()
    return dvc.wait()


def _works_in(root: Path, pid: int) -> bool:
    """Whether a process works in this folder; true if the system does not tell."""
    try:
        return Path(psutil.Process(pid).cwd()) == root.resolve()
    except (psutil.Error, OSError):
        return True


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


def _apply(overrides: Mapping[str, Sequence[str]], file: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    for name, values in overrides.items():
        if Path(name) != params.FILE:
            raise OverrideError(f"-S: {name} is no file of settings; only {params.FILE} is")
        try:
            apply_overrides(file, list(values))
        except DvcException as error:
            cause = error.__cause__ or error
            raise OverrideError(f"-S {' '.join(values)}: {_one_line(cause)}") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
