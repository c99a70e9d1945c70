"""The digest of a set of arrays: one short string that names its content."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def digest(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """The SHA-256 of names, types, shapes and bytes.

    The digest is the same on every platform and for every memory layout: names are
    sorted, bytes are little-endian in C order. Values are compared as bytes: -0.0 is not
    0.0, and two NaN agree only where their bits do.

    Args:
        arrays: weights, masks or any other arrays by name; {} is allowed.

    Returns:
        64 hexadecimal digits.

    >>> digest({"a": np.ones(2), "b": np.ones(3)})[:8]
    '7753a2b9'
    """
    found = hashlib.sha256()
    for name in sorted(arrays):
        little = arrays[name].dtype.newbyteorder("<")
        values = np.ascontiguousarray(arrays[name], dtype=little)
        # repr quotes the name, so that no name can imitate the fields after it.
        found.update(repr((name, little.str, arrays[name].shape)).encode())
        found.update(values.tobytes())
    return found.hexdigest()
