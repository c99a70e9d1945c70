"""Read raw data sets: find or download the files, check them, and make the fixed split."""

import gzip
import hashlib
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.border.errors import UserError
from pipeline.core import seeding
from pipeline.core.batches import Dataset, Split, split_positions
from pipeline.core.description import Description
from pipeline.data.facts import FACTS, DatasetFacts
from pipeline.data.own.arrays import pixel_statistics
from pipeline.data.torchvision_import import datasets as torchvision_datasets

__all__ = ["FACTS", "DataError", "DatasetFacts", "read", "read_as"]


class DataError(UserError):
    """Raw data is missing, damaged or cannot be downloaded; the message says what to do."""


def read(name: str, *, root: Path, download: bool) -> Dataset:
    """Read a data set by name; see ``read_as``.

    Raises:
        DataError: there is no data set of that name.
    """
    if name not in FACTS:
        raise DataError(f"unknown data set {name!r}; the data sets are {sorted(FACTS)}")
    return read_as(FACTS[name], root=root, download=download)


def read_as(facts: DatasetFacts, *, root: Path, download: bool) -> Dataset:
    """Read the data set that the facts describe, and check every file against its md5.

    The split is the same for all replicates: it uses the stream ``split`` of seed 0. An
    official test set is kept. Digits have none, and are divided so that the classes have
    equal shares in every part.

    Args:
        facts: an entry of FACTS, or facts about other files with the same layout.
        root: data folder in torchvision's layout; only a download writes to it. MNIST
            files may be packed. Digits come with scikit-learn and do not need it. Folders
            of images have no md5; their images are counted.
        download: whether to download missing files into ``root``.

    Returns:
        Images uint8 (N, C, H, W) and labels int64 (N,); each part keeps its raw order.

    Raises:
        DataError: files are missing, differ from their md5, or cannot be downloaded.
    """
    if facts.layout == "scikit-learn":
        return _divide(facts, _read_digits(), official_test=None)
    folder = root / facts.folder
    if facts.layout == "folders":
        return _divide(facts, *_read_folders(facts, folder))
    needed = [name for name in facts.checksums if f"{name}.gz" not in facts.checksums]
    if download and any(_find(facts, folder, name) is None for name in needed):
        _download(facts, root)
    files = [_checked(facts, folder, name) for name in needed]
    return _divide(facts, *_READERS[facts.layout](facts, root, files))


def _divide(facts: DatasetFacts, pool: Split, official_test: Split | None) -> Dataset:
    train, validation, test = split_positions(
        pool.labels,
        validation=facts.num_validation,
        test=facts.num_test if official_test is None else 0,
        stratified=official_test is None,
        rng=seeding.generator(0, "split"),
    )
    parts = [
        Split(inputs=pool.inputs[part], labels=pool.labels[part])
        for part in (train, validation, test)
    ]
    return Dataset(
        train=parts[0],
        validation=parts[1],
        test=parts[2] if official_test is None else official_test,
        description=_description(facts, parts[0]),
    )


def _description(facts: DatasetFacts, train: Split) -> Description:
    if not facts.computes_statistics:
        return facts.description
    mean, std = pixel_statistics(train.images)
    inputs = replace(facts.description.images, mean=mean, std=std)
    return replace(facts.description, inputs=inputs)


def _read_digits() -> Split:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images[:, None].astype(np.uint8)  # whole numbers 0..16
    return Split(inputs=images, labels=digits.target.astype(np.int64))


def _read_folders(facts: DatasetFacts, place: Path) -> tuple[Split, Split]:
    """Training pool and test set of images in folders, brought to the size of the facts."""
    from pipeline.data.own import folder  # Pillow, which no other layout needs

    if not place.is_dir():
        raise DataError(
            f"{facts.name}: {place} not found; set LT_DATA_ROOT (or data.root in "
            f"params.yaml) to the folder that holds {facts.folder}, with train/ and val/ "
            "and a folder per class in each; it cannot be downloaded"
        )
    try:
        arrays = folder.read(place, facts.description.images.shape[1])
    except ValueError as error:
        raise DataError(f"{facts.name}: {error}") from None
    wanted = {"train": facts.num_train + facts.num_validation, "validation": facts.num_test}
    for part, num in wanted.items():
        found = len(arrays.get(f"{part}_labels", ()))
        if found != num:
            raise DataError(
                f"{facts.name}: the {part} part of {place} has {found:,} images instead of "
                f"{num:,}; complete it"
            )
    pool, test = (
        Split(inputs=arrays[f"{part}_inputs"], labels=arrays[f"{part}_labels"])
        for part in wanted
    )
    return pool, test


def _read_idx(facts: DatasetFacts, _root: Path, files: list[Path]) -> tuple[Split, Split]:
    """Training pool and test set.

    torchvision opens unpacked files only. It would unpack them beside the packed ones,
    where it may not be allowed to write.
    """
    reader = getattr(torchvision_datasets(), facts.reader)
    with tempfile.TemporaryDirectory(prefix="lt-pipeline-") as temporary:
        folder = Path(temporary) / facts.folder
        folder.mkdir(parents=True)
        for file in files:
            _unpack(file, folder)
        raw = [reader(temporary, train=train) for train in (True, False)]
    pool, test = (
        Split(inputs=part.data.numpy()[:, None], labels=part.targets.numpy())
        for part in raw
    )
    return pool, test


def _unpack(file: Path, folder: Path) -> None:
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    (folder / file.name.removesuffix(".gz")).write_bytes(content)


def _read_cifar(facts: DatasetFacts, root: Path, _files: list[Path]) -> tuple[Split, Split]:
    """Training pool and test set, by torchvision's reader, which loads pickles."""
    reader = getattr(torchvision_datasets(), facts.reader)
    # torchvision checks the files against these again before it loads them.
    checks = {
        part: [[name, facts.checksums[name]] for name, _ in getattr(reader, part)]
        for part in ("train_list", "test_list")
    }
    meta = reader.meta | {"md5": facts.checksums[reader.meta["filename"]]}
    checked_reader = type(facts.reader, (reader,), checks | {"meta": meta})
    raw = [checked_reader(root, train=train) for train in (True, False)]
    pool, test = (
        Split(
            inputs=np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)),  # from BHWC
            labels=np.asarray(part.targets, dtype=np.int64),
        )
        for part in raw
    )
    return pool, test


def _read_emnist(
    facts: DatasetFacts, _root: Path, files: list[Path]
) -> tuple[Split, Split]:
    """Training pool and test set of the letters, out of the archive as it is downloaded.

    Images are transposed, as in the files. Letters count from 1 there, and classes from 0.
    """
    reader = getattr(torchvision_datasets(), facts.reader)
    (archive,) = files
    with tempfile.TemporaryDirectory(prefix="lt-pipeline-") as temporary:
        folder = Path(temporary) / facts.folder
        folder.mkdir(parents=True)
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                file = folder / Path(name).name
                if file.name.startswith("emnist-letters-") and file.suffix == ".gz":
                    content = gzip.decompress(opened.read(name))
                    file.with_suffix("").write_bytes(content)
        raw = [reader(temporary, "letters", train=train) for train in (True, False)]
    pool, test = (
        Split(inputs=part.data.numpy()[:, None], labels=part.targets.numpy() - 1)
        for part in raw
    )
    return pool, test


def _read_svhn(facts: DatasetFacts, root: Path, _files: list[Path]) -> tuple[Split, Split]:
    """Training pool and test set; the extra set is left out."""
    reader = getattr(torchvision_datasets(), facts.reader)
    parts = {
        part: [address, name, facts.checksums[name]]
        for part, (address, name, _) in reader.split_list.items()
        if name in facts.checksums
    }
    checked_reader = type(facts.reader, (reader,), {"split_list": parts})
    raw = [checked_reader(root, split=split) for split in ("train", "test")]
    pool, test = (
        Split(inputs=np.ascontiguousarray(part.data), labels=part.labels) for part in raw
    )
    return pool, test


_READERS = {
    "idx": _read_idx,
    "cifar": _read_cifar,
    "emnist": _read_emnist,
    "svhn": _read_svhn,
}
_DOWNLOADS: dict[str, tuple[dict[str, str], ...]] = {
    "emnist": ({"split": "letters"},),
    "svhn": ({"split": "train"}, {"split": "test"}),
}
"""by layout: what torchvision's readers are asked to download, where it has parts"""


def _find(facts: DatasetFacts, folder: Path, name: str) -> Path | None:
    """The path of the file, packed or unpacked; None if neither exists."""
    for candidate in (name, name.removesuffix(".gz")):
        if candidate in facts.checksums and (folder / candidate).is_file():
            return folder / candidate
    return None


def _checked(facts: DatasetFacts, folder: Path, name: str) -> Path:
    file = _find(facts, folder, name)
    if file is None:
        raise DataError(
            f"{facts.name}: {folder / name} not found; set LT_DATA_ROOT (or data.root "
            f"in params.yaml) to the folder that holds {facts.folder or name}, or set "
            "data.download: true"
        )
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "md5").hexdigest()
    if found != facts.checksums[file.name]:
        raise DataError(
            f"{facts.name}: {file} is damaged: md5 {found} instead of "
            f"{facts.checksums[file.name]}; delete it and set data.download: true"
        )
    return file


def _download(facts: DatasetFacts, root: Path) -> None:
    """Download all files into a temporary folder, and move them when they are complete."""
    reader = getattr(torchvision_datasets(), facts.reader)
    folder = root / facts.folder
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix="download-") as temporary:
            for arguments in _DOWNLOADS.get(facts.layout, ({},)):
                reader(temporary, download=True, **arguments)
            for name in facts.checksums:
                fetched = Path(temporary) / facts.folder / name
                if fetched.is_file():
                    fetched.replace(folder / name)
    except (OSError, RuntimeError) as error:
        for path in new:
            with suppress(OSError):  # it is not empty, or was never created
                path.rmdir()
        reason = " ".join(str(error).split())
        raise DataError(
            f"{facts.name}: cannot download into {root}: {reason}; set LT_DATA_ROOT "
            "(or data.root in params.yaml) to a folder that holds it or is writable"
        ) from error
