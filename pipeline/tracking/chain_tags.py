"""Tags and notes of the MLflow runs of chains and of their rounds."""

import json

from pipeline.results.tables import RoundResult, Row, rows
from pipeline.tracking.chains import Chain
from pipeline.tracking.formats import (
    flag,
    markdown_table,
    name_of,
    network_and_data,
    weights_remaining,
)
from pipeline.tracking.timing import Timing

NOTE_COLUMNS = (
    "round",
    "weights remaining",
    "test accuracy",
    "at early stop",
    "early-stop step",
)


def chain_tags(chain: Chain) -> dict[str, str]:
    """Tags of a chain's run."""
    first, table = chain.first, rows(chain.rounds)
    return {
        "kind": "chain",
        "key": chain.key,
        "task": first.task,
        "variant": first.variant,
        "seed": str(first.seed),
        "dense": chain.dense,
        "data": name_of(first.settings["data"]),
        "model": name_of(first.settings["model"]),
        "engine": first.engine,
        "densities": ", ".join(weights_remaining(row["density"]) for row in table),
        "diverged": flag(any(row["diverged"] for row in table)),
        "results": json.dumps(chain.digests),
    }


def round_tags(result: RoundResult, timing: Timing) -> dict[str, str]:
    """Tags of the child run of one round."""
    row = rows([result])[0]
    return {
        "kind": "round",
        "task": result.task,
        "variant": result.variant,
        "seed": str(result.seed),
        "round": str(result.round),
        "weights_remaining": weights_remaining(row["density"]),
        "engine": result.engine,
        "diverged": flag(row["diverged"]),
        **timing.machine,
    }


def note(chain: Chain) -> str:
    """The description of a chain's run: a table of its rounds."""
    first, table = chain.first, rows(chain.rounds)
    on = network_and_data(first.settings)
    cells = [
        [
            str(row["round"]),
            weights_remaining(row["density"]),
            _accuracy(row["test_accuracy"]),
            _accuracy(row["test_accuracy_early_stop"]),
            _early_stop(row),
        ]
        for row in table
    ]
    head = f"**{first.variant}** with seed {first.seed} on {on}."
    return f"{head}\n\n{markdown_table(NOTE_COLUMNS, cells)}"


def _accuracy(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _early_stop(row: Row) -> str:
    if row["early_stop_step"] is None:
        return "diverged" if row["diverged"] else "–"
    return f"{'≥ ' if row['censored'] else ''}{row['early_stop_step']:,}"
