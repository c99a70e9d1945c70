"""What a reader sees in the MLflow UI: names, tags, parameters and notes."""

import getpass
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.results.tables import Record, Row, rows
from pipeline.tracking.chains import Chain
from pipeline.tracking.studies import Study
from pipeline.tracking.view import saved_view

NOTE = "mlflow.note.content"
NOTE_COLUMNS = (
    "round",
    "weights remaining",
    "test accuracy",
    "at early stop",
    "early-stop step",
)
TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
"""opens the experiment on its table of runs, without a question"""
TASKS = "tasks"
"""tag of an experiment: its tasks in the order of params.yaml, which runs do not keep"""


def experiment_tags(
    name: str, chains: Sequence[Chain], studies: Sequence[Study]
) -> dict[str, str]:
    """The description above the table of runs, and the order of tasks.

    Args:
        name: of the experiment.
        chains: in the plan's order.
        studies: of its analyses.
    """
    networks = sorted({network_and_data(chain.first.settings) for chain in chains})
    variants = list(dict.fromkeys(chain.first.variant for chain in chains))
    seeds = {chain.first.seed for chain in chains}
    last = max((chain.rounds[-1].round for chain in chains), default=0)
    text = f"""**{name}**: {"; ".join(networks)}. Variants {", ".join(variants)}; \
{len(seeds)} seeds; {last} rounds of pruning.

One run per variant and seed, with `step` = round (0 is the dense network); its child \
runs, one per round, hold the learning curves.

- **Views → Compare variants** (top right) groups by variant, mean and min–max over \
seeds; its chart view draws accuracy and early-stop step by round and against density.
- Only what the workspace holds now: filter `tags.current = "true"`; without the child \
runs: `tags.kind = "chain"`. Results of earlier settings stay with `current = "false"`.
- The same as figures for a paper: `lt-pipeline plot`.{_on_analyses(studies)}"""
    table = rows(record for chain in chains for record in chain.rounds)
    tasks = json.dumps(list(dict.fromkeys(chain.first.task for chain in chains)))
    return {NOTE: text, TASKS: tasks, **TRAINING_VIEW, **saved_view(table)}


def _on_analyses(studies: Sequence[Study]) -> str:
    names = list(dict.fromkeys(study.looks[0].analysis for study in studies))
    if not names:
        return ""
    return f"""
- Analyses {", ".join(names)}: `tags.kind = "analysis"`, one run per seed with `step` = \
round (step k for the dense network); child runs, one per place, hold the lines."""


def chain_tags(chain: Chain) -> dict[str, str]:
    """Tags of a chain's run that stay as they are."""
    first = chain.first
    return {
        "kind": "chain",
        "key": chain.key,
        "task": first.task,
        "variant": first.variant,
        "seed": str(first.seed),
        "data": name_of(first.settings["data"]),
        "model": name_of(first.settings["model"]),
        "engine": first.engine,
        "results": "{}",
    }


def grown_tags(chain: Chain) -> dict[str, str]:
    """Tags of a chain's run that follow its rounds."""
    table = rows(chain.rounds)
    return {
        "densities": ", ".join(percent(row["density"]) for row in table),
        "diverged": flag(any(row["diverged"] for row in table)),
        "results": json.dumps(chain.digests),
        NOTE: _note(chain, table),
    }


def round_tags(record: Record, timing: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a child run."""
    row = rows([record])[0]
    return {
        "kind": "round",
        "task": record.task,
        "variant": record.variant,
        "seed": str(record.seed),
        "round": str(record.round),
        "weights_remaining": percent(row["density"]),
        "engine": record.engine,
        "diverged": flag(row["diverged"]),
        "current": "true",
        **{name: str(timing[name]) for name in ("host", "cpu") if name in timing},
    }


def params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings with dotted names; null ones are left out, lists are JSON.

    >>> params({"train": {"lr": 0.1, "epochs": None}, "data": "digits"})
    {'train.lr': '0.1', 'data': 'digits'}
    """
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{n}": v for n, v in params(value).items()}
        elif value is not None:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def source_tags(root: Path) -> dict[str, str]:
    """Who tracked it, and the commit checked out then; no commit outside of git."""
    tags = {
        "mlflow.user": getpass.getuser(),
        "mlflow.source.name": "lt-pipeline",
        "mlflow.source.type": "LOCAL",
    }
    commit = _git(root, "rev-parse", "HEAD")
    if commit.returncode == 0:
        tags["mlflow.source.git.commit"] = commit.stdout.strip()
        changed = _git(root, "diff", "--quiet", "HEAD").returncode
        tags["mlflow.source.git.dirty"] = flag(changed != 0)
    return tags


def percent(density: float) -> str:
    """Weights remaining as the paper prints them.

    >>> percent(1.0), percent(0.51281), percent(0.0345), percent(0.00721)
    ('100 %', '51.3 %', '3.5 %', '0.72 %')
    """
    share = 100 * density
    if share >= 99.95:
        return "100 %"
    return f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"


def span(parts: Sequence[str]) -> str:
    """The rounds or places that are current: ``0-10``, ``r01, r03``, or ``none``."""
    if not parts:
        return "none"
    if all(part.isdecimal() for part in parts):
        return f"{parts[0]}-{parts[-1]}"
    return ", ".join(parts)


def network_and_data(settings: Mapping[str, Any]) -> str:
    """``lenet-300-100, mnist``."""
    return f"{name_of(settings['model'])}, {name_of(settings['data'])}"


def flag(value: object) -> str:
    """A truth as a tag: ``true`` or ``false``."""
    return "true" if value else "false"


def name_of(value: object) -> str:
    """The name of a model or a data set; ``custom`` where it has none."""
    return str(value.get("name", "custom") if isinstance(value, Mapping) else value)


def _note(chain: Chain, table: Sequence[Row]) -> str:
    first = chain.first
    on = network_and_data(first.settings)
    lines = [
        f"**{first.variant}** with seed {first.seed} on {on}.",
        "",
        f"| {' | '.join(NOTE_COLUMNS)} |",
        "|--:" * len(NOTE_COLUMNS) + "|",
    ]
    for row in table:
        cells = [
            str(row["round"]),
            percent(row["density"]),
            _accuracy(row["test_accuracy"]),
            _accuracy(row["test_accuracy_early_stop"]),
            _early_stop(row),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _accuracy(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _early_stop(row: Row) -> str:
    if row["early_stop_step"] is None:
        return "diverged" if row["diverged"] else "–"
    return f"{'≥ ' if row['censored'] else ''}{row['early_stop_step']:,}"


def _git(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=False
    )
