"""What stands of a plan, made by hand: results on disk, stale stages, records of DVC."""

from pathlib import Path

from ruamel.yaml import YAML

from pipeline.config import params
from pipeline.inspect.verification.results import SUMMARY, TABLE
from pipeline.plan import fingerprints, plan_file, records
from pipeline.plan.compiler import inputs_of, upstream
from pipeline.plan.current import Standing
from pipeline.plan.items import Item, Plan, items_of
from pipeline.plan.kinds import INPUTS

TABLES = (TABLE, SUMMARY)


def on_disk(plan: Plan, *stale: str, root: Path = Path()) -> Standing:
    """Results as they lie there; what these stages lead to is stale."""
    behind = upstream(plan)
    items = list(items_of(plan))
    return Standing(
        stale=frozenset(
            item.stage
            for item in items
            if item.is_shown(root) and behind[item[item.kind.shown]] & set(stale)
        ),
        missing=frozenset(item.stage for item in items if not item.is_shown(root)),
        reasons=(),
        recorded={},
    )


def record(root: Path) -> None:
    """Write the dvc.lock that DVC would have written of the results in ``root``."""
    current = plan_file.check(params.load(root), root)
    settings = params.resolved(root)
    fingerprints.write(inputs_of(current), settings, root)
    stages: dict[str, dict[str, object]] = {
        item.stage: _entry(item, root) for item in items_of(current)
    }
    listed = [{"path": str(one), "md5": records.md5_of(root / one)} for one in TABLES]
    stages["results"] = {"cmd": "python -m pipeline.stages.results", "outs": listed}
    with (root / records.FILE).open("w") as opened:
        YAML().dump({"schema": "2.0", "stages": stages}, opened)


def _entry(item: Item, root: Path) -> dict[str, object]:
    def listed(names: tuple[str, ...]) -> list[dict[str, str | None]]:
        found = sorted({item[name] for name in names})
        return [{"path": one, "md5": records.md5_of(root / one)} for one in found]

    return {
        "cmd": item.command(root),
        "deps": listed((INPUTS, *item.kind.reads)),
        "outs": listed(item.kind.writes),
    }
