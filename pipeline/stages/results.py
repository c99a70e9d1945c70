"""Stage ``results``: write all results as one tidy table and a summary.

python -m pipeline.stages.results
"""

from pathlib import Path

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.plan import compiler
from pipeline.results import tables
from pipeline.run import instances

FOLDER = Path("results")


def run() -> None:
    """Write the table for notebooks and `dvc plots`, the summary for `dvc metrics`."""
    settings = params.load()
    active = compiler.active(settings)
    rows = tables.rows(tables.round_results(Path(), active))
    with files.atomic(FOLDER / "rounds.csv") as temporary:
        temporary.write_text(tables.rounds_csv(rows), encoding="utf-8")
    files.save_json(FOLDER / "summary.json", tables.summary(rows))


if __name__ == "__main__":
    instances.run_single("results", run)
