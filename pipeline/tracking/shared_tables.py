"""Share what a store knows of results as a folder of small Parquet files.

Anyone can judge such a folder again without training and without MLflow:
``lt-pipeline compare --uri FOLDER``. Of every experiment it has the rounds, the barriers,
the approximations, the settings behind these, the declared looks and the commits; no
weights, layers, curves, measures or lines.

    rounds.parquet          experiment, and the columns of ``TrackedStore.rounds``
    barriers.parquet        experiment, and the columns of ``TrackedStore.barriers``
    approximations.parquet  experiment, and the columns of ``TrackedStore.approximations``
    settings.parquet        experiment, kind (variant, analysis, looks, commits), task, of,
                            name, value
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifacts.files import atomic
from pipeline.core.looks import Looks
from pipeline.results.tables import OF_FITS, Row, if_sound
from pipeline.tracking.addresses import TrackingError
from pipeline.tracking.read import EVALUATES, TrackedStore

ROUNDS, BARRIERS = "rounds.parquet", "barriers.parquet"
APPROXIMATIONS, SETTINGS = "approximations.parquet", "settings.parquet"
FILES = (ROUNDS, BARRIERS, APPROXIMATIONS, SETTINGS)


def write(stores: Sequence[TrackedStore], folder: Path) -> None:
    """Write these experiments into a folder, in place of what its files hold.

    Args:
        stores: read without curves.
        folder: created if it does not exist.
    """
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        ROUNDS: _named((store.experiment, store.rounds) for store in stores),
        BARRIERS: _named((store.experiment, store.barriers) for store in stores),
        APPROXIMATIONS: _named(
            (store.experiment, store.approximations) for store in stores
        ),
        SETTINGS: [row for store in stores for row in _settings(store)],
    }
    for name, rows in tables.items():
        with atomic(folder / name) as temporary:
            parquet.write_table(pa.Table.from_pylist(_alike(rows)), temporary)


def read(folder: Path, experiment: str | None = None) -> list[TrackedStore]:
    """Read the experiments of a folder.

    Args:
        folder: that ``write`` made.
        experiment: only this one; None = all.

    Raises:
        TrackingError: a file is missing or unreadable, or there is no such experiment.
    """
    *tables, settings = (_rows(folder / name) for name in FILES)
    names = sorted({row["experiment"] for row in settings})
    if experiment is not None and experiment not in names:
        raise TrackingError(
            f"no experiment {experiment!r} in {folder}; there is {', '.join(names)}"
        )
    return [
        _store(name, [_of(table, name) for table in tables], _of(settings, name))
        for name in names
        if experiment in (None, name)
    ]


def _named(tables: Iterable[tuple[str, Sequence[Row]]]) -> list[Row]:
    return [{"experiment": name} | row for name, rows in tables for row in rows]


def _alike(rows: Sequence[Row]) -> list[Row]:
    """The rows with the columns of all of them: pyarrow takes those of the first alone."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _settings(store: TrackedStore) -> Iterator[Row]:
    yield _setting(store, "looks", ("", ""), "looks", json.dumps(store.looks.at))
    yield _setting(store, "commits", ("", ""), "commits", json.dumps(store.commits))
    for kind, known in (("variant", store.settings), ("analysis", store.analyses)):
        for place, values in known.items():
            for name, value in values.items():
                yield _setting(store, kind, place, name, value)


def _setting(
    store: TrackedStore, kind: str, place: tuple[str, str], name: str, value: str
) -> Row:
    return {
        "experiment": store.experiment,
        "kind": kind,
        "task": place[0],
        "of": place[1],
        "name": name,
        "value": value,
    }


def _rows(path: Path) -> list[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # Not parquet.read_table: it imports pandas.
        with parquet.ParquetFile(path) as opened:
            rows: list[Row] = opened.read().to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise TrackingError(
            f"{path}: no table of results ({reason}); give a store, or a folder with "
            f"{', '.join(FILES)}"
        ) from None
    return rows


def _of(rows: Sequence[Row], experiment: str) -> list[dict[str, Any]]:
    """The rows of an experiment."""
    return [
        {name: value for name, value in row.items() if name != "experiment"}
        for row in rows
        if row["experiment"] == experiment
    ]


def _rounds(
    rows: Sequence[Row], settings: Mapping[tuple[str, str], Mapping[str, str]]
) -> Iterator[Row]:
    """The rows of rounds, without the columns that only other trainings have."""
    evaluated = {of for of, found in settings.items() if found.get(EVALUATES) == "true"}
    evaluated |= {
        (row["task"], row["variant"])
        for row in rows
        if any(row.get(name) is not None for name in OF_FITS)
    }
    for row in rows:
        left = () if (row["task"], row["variant"]) in evaluated else OF_FITS
        yield if_sound({name: value for name, value in row.items() if name not in left})


def _store(
    name: str, tables: Sequence[Sequence[Row]], settings: Sequence[Row]
) -> TrackedStore:
    rounds, barriers, approximations = tables
    looks, commits = (
        json.loads(row["value"])
        for kind in ("looks", "commits")
        for row in settings
        if row["kind"] == kind
    )
    behind = _behind(settings, "variant")
    return TrackedStore(
        experiment=name,
        rounds=tuple(_rounds(rounds, behind)),
        layers=(),
        curves=(),
        settings=behind,
        barriers=tuple(barriers),
        approximations=tuple(approximations),
        analyses=_behind(settings, "analysis"),
        looks=Looks(at=tuple(looks)),
        commits=tuple(commits),
    )


def _behind(
    settings: Sequence[Row], kind: str
) -> Mapping[tuple[str, str], Mapping[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in settings:
        if row["kind"] == kind:
            found[row["task"], row["of"]][row["name"]] = row["value"]
    return dict(found)
