"""Find the stages that DVC's run cache would restore: a walk must not train those."""

import re
from collections.abc import Set
from configparser import ConfigParser, Error
from pathlib import Path

from pipeline.config import params
from pipeline.plan import fingerprints, records
from pipeline.plan.compiler import inputs_of, upstream
from pipeline.plan.items import Item, Plan, items_of
from pipeline.plan.kinds import INPUTS

_OUTS = re.compile(r"^outs:", re.MULTILINE)
_MD5 = re.compile(r"\bmd5: (?P<first>\w\w)(?P<rest>\w+(?:\.dir)?)\b")


def stages(plan: Plan, done: Set[str], root: Path = Path()) -> set[str]:
    """Stages that were run before with the settings and the code as they are now.

    DVC compares what they read, too. Here it is enough that the stages before them are
    done, or were run before likewise. So a stage that is left to DVC may be run by it
    after all.

    Args:
        plan: of the experiment.
        done: stages whose results are there, and current.
        root: of the repository.
    """
    runs: dict[str, list[str]] = {}
    cache = _cache(root)
    for file in (cache / "runs").glob("*/*/*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        command = next((li for li in text.splitlines() if li.startswith("cmd: ")), "")
        runs.setdefault(command.removeprefix("cmd: "), []).append(text)
    if not runs:
        return set()
    settings = params.resolved(root)
    md5 = {
        str(path): records.md5_of_text(fingerprints.text(path, decided, settings, root))
        for path, decided in inputs_of(plan).items()
    }
    run = {
        item.stage
        for item in items_of(plan)
        if any(_fits(text, item, md5, cache) for text in runs.get(item.command(root), ()))
    }
    return with_all_before(plan, run, done)


def with_all_before(plan: Plan, run: Set[str], done: Set[str]) -> set[str]:
    """Those of the stages that were run before, behind which no other one is made anew.

    Args:
        plan: of the experiment.
        run: stages that were run before with their present inputs files.
        done: stages whose results are there, and current.
    """
    behind = upstream(plan)
    return {
        item.stage
        for item in items_of(plan)
        if item.stage in run - done and behind[item[item.kind.shown]] <= run | done
    }


def _fits(text: str, item: Item, md5: dict[str, str], cache: Path) -> bool:
    """Whether a run had the same inputs file, and its outputs are still in the cache."""
    deps, *outs = _OUTS.split(text, maxsplit=1)
    if not outs or f"md5: {md5[item[INPUTS]]}" not in deps:
        return False
    return all(
        (cache / "files/md5" / found["first"] / found["rest"]).exists()
        for found in _MD5.finditer(outs[0])
    )


def _cache(root: Path) -> Path:
    """DVC's cache: where its configuration says, or below ``.dvc``."""
    here = root.resolve()
    dvc = next((one for one in (here, *here.parents) if (one / ".dvc").is_dir()), here)
    folder = dvc / ".dvc/cache"
    for name in ("config", "config.local"):
        known = ConfigParser(strict=False, interpolation=None)
        try:
            known.read(dvc / ".dvc" / name)
        except Error:
            continue
        if named := known.get("cache", "dir", fallback=""):
            folder = dvc / ".dvc" / named  # an absolute path takes the place of all
    return folder
