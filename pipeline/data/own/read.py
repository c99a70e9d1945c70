"""Read a data set of the user's from its source."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.border import user_code
from pipeline.border.errors import UserError
from pipeline.core.batches import Dataset
from pipeline.data.known import Known
from pipeline.data.own import arithmetic, arrays, drawings, episodes, text
from pipeline.data.own.source import Source


class OwnDataError(UserError):
    """The user's data cannot be used; the one line says where, what, and what to do."""


def read(name: str, source: Source, root: Path) -> Dataset:
    """Read a data set, check it, and divide it.

    Args:
        name: of the data set, for messages.
        source: where it comes from.
        root: of the repository; relative paths begin there.

    Raises:
        OwnDataError: with one line, if it cannot be read or is not a data set.
        CodeError: if its function cannot be imported or fails.
    """
    try:
        if source.control is not None:
            return episodes.dataset(source.control, (source.validation, source.test))
        return arrays.dataset(_found(source, root), source)
    except ValueError as error:
        where = source.path or source.import_ or source.maker.rpartition(".")[2]
        raise OwnDataError(f"datasets.{name}: {where}: {_one_line(error)}") from None


def known(data: Dataset) -> Known:
    """What the plan has to know of a data set."""
    return Known(
        description=data.description,
        num_train=len(data.train),
        num_validation=len(data.validation),
        num_test=len(data.test),
    )


def _found(source: Source, root: Path) -> Mapping[str, NDArray[Any]]:
    if source.arithmetic is not None:
        return arithmetic.arrays(source.arithmetic)
    if source.drawings is not None:
        return drawings.arrays(source.drawings)
    if source.path is not None and not (root / source.path).exists():
        raise ValueError("there is no such file or folder; paths begin at params.yaml")
    if source.text is not None:
        return text.arrays(source.text, root, (source.validation, source.test))
    if source.npz is not None:
        return _npz(root / source.npz)
    if source.folder is not None:
        assert source.size is not None, "checked when the settings were made"
        from pipeline.data.own import folder  # Pillow: 20 ms, in every stage

        return folder.read(root / source.folder, source.size)
    assert source.import_ is not None, "checked when the settings were made"
    found = user_code.call(source.import_, source.options, root=root)
    if not isinstance(found, Mapping):
        raise ValueError(
            f"it returns {type(found).__name__}; return a dict of arrays, such as "
            '{"inputs": …, "labels": …}'
        )
    return {str(key): np.asarray(value) for key, value in found.items()}


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no file of numpy arrays; write it with np.savez")
    try:
        with np.load(path, allow_pickle=False) as opened:
            return dict(opened)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise ValueError(
            f"it is no file of numpy arrays (np.savez): {_one_line(error)}"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
