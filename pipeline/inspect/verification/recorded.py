"""Check that outputs have the bytes that DVC has recorded, hashed anew.

`dvc status` trusts the time and the size of a file; damage may keep both.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from pipeline.inspect.verification.looking import Looks
from pipeline.plan import records
from pipeline.plan.records import FILE, LockError


def outputs(stages: Iterable[str], paths: Iterable[Path]) -> Looks:
    """Every output that dvc.lock has of these stages, and those paths that it lacks.

    Args:
        stages: names of stages.
        paths: what they write, by the plan.
    """
    wanted = list(paths)
    try:
        known = records.read()
    except LockError as error:
        text = str(error).removeprefix(f"{FILE} ")
        yield FILE, lambda: text
        return
    if not FILE.exists():
        yield FILE, lambda: "is missing; run `lt-pipeline run`"
        return
    recorded = {
        Path(path): md5
        for stage in stages
        if stage in known
        for path, md5 in known[stage].outs.items()
    }
    for path, md5 in recorded.items():
        yield path, partial(_problem, path, md5)
    for path in wanted:
        if path not in recorded:
            yield path, lambda: f"is not recorded in {FILE}; run `dvc repro`"


def _problem(path: Path, md5: str) -> str:
    if not path.exists():
        return "is missing; run `dvc repro` (or `dvc pull`)"
    if records.md5_of(path) == md5:
        return ""
    return "has other content than DVC recorded; delete it and run `dvc repro`"
