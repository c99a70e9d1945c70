"""Images in folders: one folder per class, or one per part with such folders in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""name of a folder -> the part that it holds"""
GRAY = ("1", "L", "LA")
"""modes of images without color, of at most 8 bits"""
RANGELESS = ("I", "F")
"""modes whose numbers may be of any size"""


def read(folder: Path, size: int) -> dict[str, NDArray[Any]]:
    """All images, brought to one size, with the numbers of their classes.

    Each image is cropped to a square around its middle, and resized. Classes are numbered
    in the order of their names. If no image has colors, there is one channel, else three.
    Of gray images of 16 bits the upper 8 bits are taken.

    Args:
        folder: holds train/ (and val/, test/) with a folder per class in each, or the
            folders of the classes.
        size: height and width in pixels.

    Returns:
        Arrays by name, as ``arrays.dataset`` takes them.

    Raises:
        ValueError: with one line, if there are no images or one cannot be read.
    """
    parts = {PARTS[name]: folder / name for name in PARTS if (folder / name).is_dir()}
    if parts and "train" not in parts:
        raise ValueError(f"{folder} has {', '.join(sorted(parts))} and no train/; add it")
    places = parts or {"": folder}
    classes = _classes(places.get("train", folder))
    listed = {part: list(_listed(place, classes)) for part, place in places.items()}
    gray = all(_is_gray(path) for files in listed.values() for path, _ in files)
    arrays: dict[str, NDArray[Any]] = {}
    for part, files in listed.items():
        prefix = f"{part}_" if part else ""
        # Filled in place: a list of images and their stack would be twice the memory.
        pixels = np.empty((len(files), 1 if gray else 3, size, size), np.uint8)
        for image, (path, _) in zip(pixels, files, strict=True):
            image[...] = _pixels(path, size, "L" if gray else "RGB")
        arrays[f"{prefix}inputs"] = pixels
        arrays[f"{prefix}labels"] = np.array([number for _, number in files], np.int64)
    return arrays


def _classes(place: Path) -> list[str]:
    names = sorted(path.name for path in _visible(place) if path.is_dir())
    if len(names) < 2:
        raise ValueError(
            f"{place} has {len(names)} folders; give one per class, at least two"
        )
    return names


def _listed(place: Path, classes: list[str]) -> Iterator[tuple[Path, int]]:
    """Every image below a folder with the number of its class, in order of the names."""
    for path in sorted(_visible(place)):
        if path.is_dir() and path.name not in classes:
            raise ValueError(
                f"{path} is of a class that the training part does not have; it has "
                f"{', '.join(classes)}"
            )
    for number, name in enumerate(classes):
        files = sorted(_visible(place / name)) if (place / name).is_dir() else []
        for path in files:
            yield path, number
        if not files:
            raise ValueError(f"{place / name} has no image; add some or remove the class")


def _visible(place: Path) -> Iterator[Path]:
    return (path for path in place.iterdir() if not path.name.startswith("."))


def _is_gray(path: Path) -> bool:
    with _opened(path) as image:
        return image.mode in GRAY or _has_16_bits(image)


def _pixels(path: Path, size: int, mode: str) -> NDArray[np.uint8]:
    with _opened(path) as image:
        try:
            fitted = ImageOps.fit(_in_8_bits(image, path).convert(mode), (size, size))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error}") from None
    pixels = np.asarray(fitted, dtype=np.uint8)
    return pixels[np.newaxis] if mode == "L" else pixels.transpose(2, 0, 1)


def _in_8_bits(image: Image.Image, path: Path) -> Image.Image:
    """The image in 8 bits; Pillow would turn all larger values into 255."""
    if _has_16_bits(image):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in RANGELESS:
        raise ValueError(
            f"{path} has pixels of Pillow's mode {image.mode}, whose range is not known; "
            "bring it to 8 bits"
        )
    return image


def _has_16_bits(image: Image.Image) -> bool:
    """Whether it is gray in 16 bits; those of PGM files are read as 32 bits by Pillow."""
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM")


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (UnidentifiedImageError, OSError):
        raise ValueError(f"{path} is no image that Pillow can read; remove it") from None
