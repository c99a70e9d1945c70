"""Whether outputs have the bytes that DVC has recorded, hashed anew.

`dvc status` trusts the time and the size of a file; damage may keep both.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.inspect.verification.looking import Looks

LOCK = Path("dvc.lock")
_PIECE = 2**20


def outputs(stages: Iterable[str], paths: Iterable[Path]) -> Looks:
    """Every output that dvc.lock has of these stages, and those paths that it lacks.

    Args:
        stages: names of stages.
        paths: what they write, by the plan.
    """
    wanted = list(paths)
    try:
        recorded = _recorded(stages)
    except (
        OSError,
        YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        text = " ".join(str(error).split())
        yield LOCK, lambda: f"is not readable ({text}); run `dvc repro`"
        return
    for path, md5 in recorded.items():
        yield path, partial(_problem, path, md5)
    for path in wanted:
        if path not in recorded:
            yield path, lambda: f"is not recorded in {LOCK}; run `dvc repro`"


def hash_of(path: Path) -> str:
    """The hash of a file or a folder as DVC writes it into dvc.lock."""
    if not path.is_dir():
        return _md5(path)
    listed = [
        {"md5": _md5(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file()
    ]
    listed.sort(key=lambda entry: entry["relpath"])
    return (
        hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"
    )


def _problem(path: Path, md5: str) -> str:
    if not path.exists():
        return "is missing; run `dvc repro` (or `dvc pull`)"
    if hash_of(path) == md5:
        return ""
    return "has other content than DVC recorded; delete it and run `dvc repro`"


def _recorded(stages: Iterable[str]) -> dict[Path, str]:
    """The hash of every output of these stages that are recorded."""
    text = LOCK.read_text(encoding="utf-8")
    known: Mapping[str, Any] = YAML(typ="safe").load(text)["stages"]
    return {
        Path(out["path"]): str(out["md5"])
        for stage in stages
        if stage in known
        for out in known[stage].get("outs", [])
    }


def _md5(path: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
