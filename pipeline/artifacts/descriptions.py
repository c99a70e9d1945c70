"""The description of a data set as plain values, as they stand in files.

Each kind of inputs and labels has keys of its own, which tell the kinds apart.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.description import (
    Actions,
    Classes,
    Description,
    Images,
    Inputs,
    Labels,
    Tokens,
    TokensAt,
    Vectors,
)

INPUT_WORDS: dict[type[Inputs], str] = {
    Images: "images",
    Vectors: "vectors",
    Tokens: "tokens",
}
"""the names of inputs in files of data sets: ``train.images``"""


def described(data: Description) -> dict[str, Any]:
    """The plain values of a description, as JSON has them.

    >>> described(Description(inputs=Vectors(num_values=4), labels=Classes(number=2)))
    {'num_values': 4, 'num_classes': 2}
    """
    return _inputs(data.inputs) | _labels(data.labels)


def description_in(values: Mapping[str, Any]) -> Description:
    """The description in a mapping that holds what ``described`` gives.

    Raises:
        KeyError: if it does not.
    """
    return Description(inputs=_inputs_in(values), labels=_labels_in(values))


def _inputs(inputs: Inputs) -> dict[str, Any]:
    match inputs:
        case Images():
            return {
                "mean": inputs.mean,
                "std": inputs.std,
                "image_shape": inputs.shape,
            }
        case Vectors():
            return {"num_values": inputs.num_values}
        case Tokens():
            return {"length": inputs.length, "vocabulary": inputs.vocabulary}


def _inputs_in(values: Mapping[str, Any]) -> Inputs:
    if "image_shape" in values:
        channels, height, width = values["image_shape"]
        return Images(
            shape=(channels, height, width),
            mean=tuple(values["mean"]),
            std=tuple(values["std"]),
        )
    if "num_values" in values:
        return Vectors(num_values=values["num_values"])
    return Tokens(length=values["length"], vocabulary=values["vocabulary"])


def _labels(labels: Labels) -> dict[str, Any]:
    match labels:
        case Classes():
            return {"num_classes": labels.number}
        case TokensAt():
            return {"positions": labels.positions, "label_vocabulary": labels.vocabulary}
        case Actions():
            return {
                "num_actions": labels.number,
                "environment": labels.environment,
                "returns": labels.returns,
            }


def _labels_in(values: Mapping[str, Any]) -> Labels:
    if "num_classes" in values:
        return Classes(number=values["num_classes"])
    if "num_actions" in values:
        least, greatest = values["returns"]
        return Actions(
            number=values["num_actions"],
            environment=values["environment"],
            returns=(least, greatest),
        )
    return TokensAt(
        positions=tuple(values["positions"]), vocabulary=values["label_vocabulary"]
    )
