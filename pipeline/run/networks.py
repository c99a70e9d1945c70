"""Write down the digests of a chain's networks, so that later stages find all of them."""

from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.core.digests import digest
from pipeline.plan.items import Item


def noted(item: Item) -> list[dict[str, Any]]:
    """The content of the file: those before this round, and this one."""
    behind, round = item.path("behind"), item.number("round")
    before = [_of(behind, 0, item)] if round == 1 else files.load_json(behind)
    return [*before, _of(item.path("trained"), round, item)]


def _of(folder: Path, round: int, item: Item) -> dict[str, Any]:
    seeds = {str(seed): digest(files.load_weights(folder, seed)) for seed in item.seeds}
    return {"round": round, "folder": folder.as_posix(), "seeds": seeds}
