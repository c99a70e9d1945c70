"""Form ``binary``: a seed, a bit per weight, and one number per layer.

It holds networks whose kept weights have one size in each layer and the signs of θ₀, as
trained scores find them (Diffenderfer & Kailkhura 2021, arXiv:2103.09377). The signs are
drawn again from the seed. Other tensors are in the file if they are not those of θ₀.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import files
from pipeline.artifacts.descriptions import described, description_in
from pipeline.artifacts.files import ArtifactError
from pipeline.core import models, seeding
from pipeline.core.arrays import Floats, Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Network
from pipeline.inspect.exports.exported import Exported, ExportError

BITS, SIZE = ".bits", ".size"
"""endings of the names of packed masks and of sizes of weights"""


def write(exported: Exported, out: Path) -> str:
    """Write packed masks, sizes and what else is not in θ₀; read back and compared.

    Returns:
        The bytes of the file beside those of all weights as float32.

    Raises:
        ExportError: kept weights differ in size within a layer, or in sign from θ₀; or
            the network is the user's own.
    """
    model, provenance = exported.task.model, exported.provenance
    if model.import_ is not None:
        raise ExportError(
            f"{model.import_} is a network of yours, which a file cannot draw again; give "
            "another --format"
        )
    theta0 = _drawn(exported.network, model.init, provenance["seed"], model.draw)
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in exported.weights.items():
        if name in exported.mask:
            kept = exported.mask[name]
            arrays[name + BITS] = np.packbits(kept)
            arrays[name + SIZE] = _one_size(name, values, kept, theta0[name])
        elif values.tobytes() != theta0[name].tobytes():
            arrays[name] = values
    network = {
        "model": model.name,
        "widths": model.widths,
        "init": model.init,
        "draw": model.draw,
    }
    data = described(files.load_description(exported.data))
    files.save_arrays(out, arrays, **provenance, **network, data=data)
    assert digest(read(out)) == digest(exported.weights), "other weights were read back"
    dense = sum(values.nbytes for values in exported.weights.values())
    return f"{out.stat().st_size:,} bytes; its weights as float32 are {dense:,}"


def read(path: Path) -> Weights:
    """The weights in a file of this form, pruned ones 0.

    Raises:
        ArtifactError: if the file is damaged, or its seed draws other weights here.
    """
    arrays, facts = files.load_arrays(path), files.load_facts(path)
    try:
        widths = facts["widths"] and tuple(facts["widths"])
        data = description_in(facts["data"])
        network = models.build(facts["model"], widths=widths, data=data)
        draw = facts.get("draw", 0)  # files of versions without it have the first one
        theta0 = _drawn(network, facts["init"], facts["seed"], draw)
        if digest(theta0) != facts["theta0"]:
            raise ArtifactError(
                f"{path}: seed {facts['seed']} draws other weights here than where the "
                f"file was written, with numpy {facts['numpy']}"
            )
        return {name: _read(name, arrays, initial) for name, initial in theta0.items()}
    except (LookupError, TypeError, ValueError):
        raise ArtifactError(f"{path} is no binary network; export it again") from None


def _drawn(network: Network, init: str, seed: int, draw: int) -> Weights:
    return initial_weights(network, init, seeding.generator(seed, "init", copy=draw))


def _one_size(
    name: str, values: Floats, kept: NDArray[np.bool_], initial: Floats
) -> Floats:
    """The size of all kept weights, whose signs θ₀ has; (1,)."""
    sizes = np.unique(np.abs(values[kept]))
    size = sizes[:1] if len(sizes) else np.zeros(1, np.float32)
    made = np.where(kept, size * np.sign(initial), np.float32(0))
    if len(sizes) > 1 or (made != values).any():
        raise ExportError(
            f"{name} is not binary: its kept weights have {len(sizes)} sizes, or other "
            "signs than theta0; --format binary is for networks of one size per layer "
            "(schedule: biprop, with --trained)"
        )
    return size


def _read(name: str, arrays: dict[str, NDArray[Any]], initial: Floats) -> Floats:
    if name + BITS not in arrays:
        found: Floats = arrays.get(name, initial)
        return found
    bits = np.unpackbits(arrays[name + BITS], count=prod(initial.shape))
    kept = bits.astype(np.bool_).reshape(initial.shape)
    made: Floats = np.where(kept, arrays[name + SIZE] * np.sign(initial), np.float32(0))
    return made
