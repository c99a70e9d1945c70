"""The models by name; each family is one file, imported when one of it is built."""

import importlib
from collections.abc import Callable

from pipeline.core.models.layers import Network

MODELS: dict[str, str] = {
    "mlp": "pipeline.core.models.mlp",
    "lenet-300-100": "pipeline.core.models.mlp",
    "conv-2": "pipeline.core.models.conv",
    "conv-4": "pipeline.core.models.conv",
    "conv-6": "pipeline.core.models.conv",
    "conv-8": "pipeline.core.models.conv",
    "resnet-8": "pipeline.core.models.resnet",
    "resnet-20": "pipeline.core.models.resnet",
    "resnet-32": "pipeline.core.models.resnet",
    "resnet-44": "pipeline.core.models.resnet",
    "resnet-56": "pipeline.core.models.resnet",
    "vgg-11": "pipeline.core.models.vgg",
    "vgg-16": "pipeline.core.models.vgg",
    "vgg-19": "pipeline.core.models.vgg",
}
"""The module of each model; its ``build`` has the arguments of the one below."""


def build(
    name: str,
    *,
    widths: tuple[int, ...] | None,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> Network:
    """The network of that name for images of that shape.

    Args:
        name: a key of MODELS.
        widths: of the hidden layers, for ``mlp``; None for all others.
        image_shape: (C, H, W).
        num_classes: number of logits.

    Raises:
        ValueError: if there is no such model, if it has widths of its own (or needs
            some), or if its pools leave nothing of such images.

    >>> from pipeline.core.models.layers import parameters
    >>> shape = (1, 28, 28)
    >>> lenet = build("lenet-300-100", widths=None, image_shape=shape, num_classes=10)
    >>> parameters(lenet)["fc1.weight"].shape
    (300, 784)
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; the models are {sorted(MODELS)}")
    if widths is not None and name != "mlp":
        raise ValueError(f"{name} has widths of its own; for {widths} take model mlp")
    family = importlib.import_module(MODELS[name])
    make: Callable[..., Network] = family.build
    return make(name, widths, image_shape=image_shape, num_classes=num_classes)


def file_of(name: str) -> str:
    """The file in this folder that a model stands in; the plan makes it a DVC dep.

    >>> file_of("lenet-300-100")
    'mlp.py'
    """
    return MODELS[name].rpartition(".")[2] + ".py"
