"""Arrays by name, as a file or a function gives them, become a checked data set.

The names are ``inputs`` and ``labels`` of all examples, or ``train_inputs`` and
``train_labels``, and likewise ``validation_`` and ``test_``. Types say what inputs are:
uint8 (N, C, H, W) or (N, H, W) are images, floats (N, F) vectors, whole numbers (N, L)
tokens. Labels (N,) are classes; (N, P) are tokens, at the ``positions`` (P,).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding
from pipeline.core.batches import Dataset, Split, split_positions
from pipeline.core.description import (
    Classes,
    Description,
    Images,
    Inputs,
    Labels,
    Tokens,
    TokensAt,
    Vectors,
)
from pipeline.data.own.source import Source

Arrays = Mapping[str, NDArray[Any]]
PARTS = ("train", "validation", "test")
EXTRA = ("positions", "vocabulary")
POOL = ("inputs", "labels")
NAMES = (*POOL, *(f"{part}_{word}" for part in PARTS for word in POOL), *EXTRA)
CONSTANT = 1e-12
"""numbers that differ by at most this share of the largest differ by rounding alone"""


def dataset(arrays: Arrays, source: Source) -> Dataset:
    """Check arrays and make a data set of them, with its split.

    Args:
        arrays: by name; other names are refused.
        source: how to divide what is not divided, and what to let pass.

    Raises:
        ValueError: with one line that says what is wrong.
    """
    parts = _divided(_parts(arrays), source)
    for name, part in parts.items():
        _refuse_bad_values(name, part)
    _refuse_other_labels(parts)
    inputs = _inputs(parts, arrays)
    description = Description(inputs=inputs, labels=_labels(parts, arrays, inputs))
    if isinstance(inputs, Vectors):
        parts = _as_float32(_standardized(parts) if source.standardize else parts)
    if not source.allow_duplicates:
        _refuse_duplicates(parts)
    return Dataset(**parts, description=description)


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], ...]:
    """Mean and standard deviation of the raw pixels of each channel, from exact counts.

    Args:
        images: (N, C, H, W).

    Raises:
        ValueError: if all pixels of a channel are equal.
    """
    means, stds = [], []
    values = np.arange(256)
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        mean = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
        if not variance:
            raise ValueError(
                f"all training pixels of channel {channel} have the value {mean:g}; "
                "images need some that differ"
            )
        means.append(mean)
        stds.append(variance**0.5)
    return tuple(means), tuple(stds)


def _parts(arrays: Arrays) -> dict[str, Split]:
    """The parts that are given; all examples as ``train`` where there are no parts."""
    unknown = sorted(set(arrays) - set(NAMES))
    if unknown:
        raise ValueError(
            f"there is an array called {unknown[0]!r}; the names are "
            f"{', '.join(POOL)}, or train_inputs, train_labels and so on, and "
            f"{', '.join(EXTRA)}"
        )
    found = {}
    for part, prefix in (("train", ""), *((part, f"{part}_") for part in PARTS)):
        given = [word for word in POOL if f"{prefix}{word}" in arrays]
        if not given:
            continue
        if len(given) == 1:
            raise ValueError(f"{prefix}{given[0]} stands there without its partner")
        if part in found:
            raise ValueError("there are both inputs and train_inputs; give one of them")
        found[part] = _split(part, *(np.asarray(arrays[f"{prefix}{w}"]) for w in POOL))
    if "train" not in found:
        raise ValueError(f"there are no training examples: {sorted(arrays)} found")
    return found


def _split(part: str, inputs: NDArray[Any], labels: NDArray[Any]) -> Split:
    if inputs.dtype == np.uint8 and inputs.ndim == 3:
        inputs = inputs[:, np.newaxis]
    kind = _kind(inputs)
    if kind is None or 0 in inputs.shape[1:]:
        raise ValueError(
            f"{part} inputs are {inputs.dtype} {inputs.shape}; give uint8 (N, C, H, W) for "
            "images, floats (N, F) for vectors, or whole numbers (N, L) for tokens"
        )
    if labels.dtype.kind not in "iu" or labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        raise ValueError(
            f"{part} labels are {labels.dtype} {labels.shape}; give whole numbers, (N,) "
            "for classes or (N, P) for tokens at positions"
        )
    if len(inputs) != len(labels) or not len(labels):
        raise ValueError(
            f"the {part} part has {len(inputs)} inputs and {len(labels)} labels; give "
            "one label (or row of labels) per input, and at least one"
        )
    return Split(
        inputs=np.ascontiguousarray(inputs, dtype=kind),
        labels=np.ascontiguousarray(labels, dtype=np.int64),
    )


def _kind(inputs: NDArray[Any]) -> type[np.generic] | None:
    if inputs.dtype == np.uint8 and inputs.ndim == 4:
        return np.uint8
    if inputs.ndim != 2:
        return None
    # Large numbers close together stay apart only in double precision, until standardized.
    floats = np.float64 if inputs.dtype.itemsize > 4 else np.float32
    kinds: dict[str, type[np.generic]] = {"f": floats, "i": np.int64, "u": np.int64}
    return kinds.get(inputs.dtype.kind)


def _divided(parts: dict[str, Split], source: Source) -> dict[str, Split]:
    """All three parts; those that are missing are drawn from the training examples."""
    pool = parts["train"]
    num = len(pool)
    sizes = {
        name: 0 if name in parts else max(1, round(getattr(source, name) * num))
        for name in ("validation", "test")
    }
    if not any(sizes.values()):
        return {name: parts[name] for name in PARTS}
    drawn = split_positions(
        pool.labels,
        **sizes,
        stratified=pool.labels.ndim == 1,
        rng=seeding.generator(0, "split"),
    )
    made = {
        name: Split(inputs=pool.inputs[at], labels=pool.labels[at])
        for name, at in zip(PARTS, drawn, strict=True)
    }
    return made | {name: part for name, part in parts.items() if name != "train"}


def _refuse_bad_values(name: str, part: Split) -> None:
    if part.inputs.dtype.kind == "f":
        held = np.abs(part.inputs) <= np.finfo(np.float32).max  # False for NaN
        bad = int((~held).any(axis=1).sum())
        if bad:
            raise ValueError(
                f"{bad} of the {len(part)} {name} inputs have NaN, infinity or numbers "
                "beyond 3e38; remove or replace them"
            )
    if part.labels.min() < 0:
        raise ValueError(
            f"the {name} labels reach down to {part.labels.min()}; number them from 0"
        )


def _refuse_other_labels(parts: Mapping[str, Split]) -> None:
    shape = parts["train"].labels.shape[1:]
    for name, part in parts.items():
        # Answers (M,) would be compared with labels (M, 1) in all M × M pairs.
        if part.labels.shape[1:] != shape:
            raise ValueError(
                f"the {name} labels are {part.labels.shape} and the training labels "
                f"{parts['train'].labels.shape}; give all parts one form: (N,), or (N, P)"
            )


def _inputs(parts: Mapping[str, Split], arrays: Arrays) -> Inputs:
    first = parts["train"].inputs
    shape, kind = first.shape[1:], first.dtype.kind
    for name, part in parts.items():
        other = part.inputs
        if (other.dtype.kind, other.shape[1:]) != (kind, shape):
            raise ValueError(
                f"the {name} inputs are {other.dtype} {other.shape[1:]} and the training "
                f"inputs {first.dtype} {shape}; give all parts the same"
            )
    if "vocabulary" in arrays and kind != "i":
        raise ValueError(
            f"there is a vocabulary, and inputs are {first.dtype}; give tokens as whole "
            "numbers (N, L), or no vocabulary"
        )
    if kind == "u":
        return _images(parts["train"].images)
    if kind == "f":
        return Vectors(num_values=shape[0])
    return Tokens(length=shape[0], vocabulary=_vocabulary(parts, arrays))


def _images(images: NDArray[np.uint8]) -> Images:
    channels, height, width = images.shape[1:]
    if channels > 4 and width <= 4:
        raise ValueError(
            f"images are {images.shape[1:]}, with channels last; transpose them to "
            "(N, C, H, W)"
        )
    mean, std = pixel_statistics(images)
    return Images(shape=(channels, height, width), mean=mean, std=std)


def _vocabulary(parts: Mapping[str, Split], arrays: Arrays) -> int:
    """The number of tokens: given, or one more than the largest there is."""
    everything = [p.inputs for p in parts.values()]
    everything += [p.labels for p in parts.values() if p.labels.ndim == 2]
    least = min(int(some.min()) for some in everything)
    most = max(int(some.max()) for some in everything)
    given = np.asarray(arrays.get("vocabulary", most + 1))
    if given.dtype.kind not in "iu" or given.ndim:
        raise ValueError(
            f"vocabulary is {given.dtype} {given.shape}; give one whole number: how many "
            "different tokens there are"
        )
    size = int(given)
    if least < 0 or most >= size:
        raise ValueError(
            f"tokens reach from {least} to {most}, and the vocabulary has {size}; number "
            "them from 0"
        )
    return size


def _labels(parts: Mapping[str, Split], arrays: Arrays, inputs: Inputs) -> Labels:
    if parts["train"].labels.ndim == 1:
        if "positions" in arrays:
            raise ValueError(
                "there are positions, and labels are classes (N,); give tokens (N, P) as "
                "labels, or no positions"
            )
        return Classes(number=_num_classes(parts))
    if not isinstance(inputs, Tokens):
        raise ValueError(
            f"labels are rows of tokens and inputs are {inputs}; give one class per input"
        )
    at = _positions(parts["train"].labels.shape[1], arrays, inputs.length)
    return TokensAt(positions=at, vocabulary=inputs.vocabulary)


def _positions(num: int, arrays: Arrays, length: int) -> tuple[int, ...]:
    """The positions of an input's labels: those given, or all if each token has a label."""
    if "positions" not in arrays and num != length:
        raise ValueError(
            f"there are {num} labels for the {length} tokens of an input; give positions: "
            "which tokens the labels are for"
        )
    given = np.asarray(arrays.get("positions", np.arange(length)))
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise ValueError(
            f"positions are {given.dtype} {given.shape}; give whole numbers (P,), counted "
            "from 0"
        )
    at: list[int] = given.tolist()
    if len(at) != num or at != sorted(set(at)) or not 0 <= at[0] <= at[-1] < length:
        raise ValueError(
            f"positions are {at} for {num} labels of {length} tokens; give one ascending "
            "position per label"
        )
    return tuple(at)


def _num_classes(parts: Mapping[str, Split]) -> int:
    number = 1 + max(int(part.labels.max()) for part in parts.values())
    if number > len(parts["train"]):
        raise ValueError(
            f"labels reach up to {number - 1}, and there are only {len(parts['train'])} "
            "training examples; number the classes 0, 1, 2, …"
        )
    seen = np.bincount(parts["train"].labels, minlength=number)
    if not seen.all():
        raise ValueError(
            f"class {int(seen.argmin())} of the {number} classes has no training example; "
            "add some, or number the classes without gaps"
        )
    if number < 2:
        raise ValueError("all labels are 0; give examples of at least two classes")
    return number


def _standardized(parts: Mapping[str, Split]) -> dict[str, Split]:
    """Vectors with mean 0 and standard deviation 1; a constant number becomes 0."""
    train = parts["train"].inputs
    least, most = train.min(axis=0), train.max(axis=0)
    constant = most - least <= CONSTANT * np.maximum(np.abs(least), np.abs(most))
    mean = np.where(constant, train[0], train.mean(axis=0, dtype=np.float64))
    std = np.where(constant, 1.0, train.std(axis=0, dtype=np.float64))
    std[std == 0] = 1.0  # numbers so small that their squares are 0
    return {
        name: replace(part, inputs=(part.inputs - mean) / std)
        for name, part in parts.items()
    }


def _as_float32(parts: Mapping[str, Split]) -> dict[str, Split]:
    return {
        name: replace(part, inputs=part.inputs.astype(np.float32, copy=False))
        for name, part in parts.items()
    }


def _refuse_duplicates(parts: Mapping[str, Split]) -> None:
    known = set(_rows(parts["train"]))
    for name in ("validation", "test"):
        twice = sum(row in known for row in _rows(parts[name]))
        if twice:
            raise ValueError(
                f"{twice} of the {len(parts[name])} {name} inputs stand among the training "
                "inputs, too; remove them, or give allow_duplicates: true"
            )


def _rows(part: Split) -> Iterator[bytes]:
    return (example.tobytes() for example in part.inputs)
