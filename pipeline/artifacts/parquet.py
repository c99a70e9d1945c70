"""Read and write learning curves, and lines between networks, as Parquet files.

Apart from the other files, because importing pyarrow takes longer than a small stage.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from pipeline.artifacts.files import atomic, readable

LINES = pa.schema(
    [
        ("seed", pa.int64()),
        ("pair", pa.int64()),
        ("statistics", pa.string()),
        ("alpha", pa.float64()),
        ("loss", pa.float64()),
        ("error", pa.float64()),
    ]
)
CURVES = pa.schema(
    [
        ("seed", pa.int64()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("loss", pa.float64()),
        ("accuracy", pa.float64()),
    ]
)


def save_curves(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write learning curves with the columns of ``CURVES``."""
    arrays = [_column(columns[field.name], field.type) for field in CURVES]
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_arrays(arrays, schema=CURVES), temporary)


def save_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write lines between networks, as rows with the columns of ``LINES``."""
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=LINES), temporary)


def load_lines(path: Path) -> pa.Table:
    """Read lines between networks."""
    with readable(path, pa.ArrowException), pq.ParquetFile(path) as opened:
        return opened.read().cast(LINES)


def save_curve_table(path: Path, tables: Sequence[pa.Table]) -> None:
    """Write the learning curves of several seeds into one file."""
    with atomic(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)


def load_curves(path: Path) -> pa.Table:
    """Read learning curves."""
    # Not pq.read_table: it imports pandas, see _column.
    with readable(path, pa.ArrowException), pq.ParquetFile(path) as opened:
        return opened.read().cast(CURVES)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as a column, like ``pa.array(values, kind)``.

    ``pa.array`` imports pandas first, which takes 0.3 s in every worker.

    Raises:
        TypeError: the values are of another kind.
    """
    if pa.types.is_string(kind):
        encoded = [text.encode() for text in values]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    else:
        dtype = np.float64 if pa.types.is_floating(kind) else np.int64
        numbers = np.asarray(values).astype(dtype, casting="same_kind")
        buffers = [None, pa.py_buffer(numbers)]
    return pa.Array.from_buffers(kind, len(values), buffers)
