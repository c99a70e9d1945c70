"""The models by name. Each family is one file, imported when one of its models is built."""

from dataclasses import dataclass
from functools import cache

from pipeline.core.description import Description
from pipeline.core.models.layers import Network
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Model(Entry):
    """Where a model is defined, and what it lets the user choose."""

    takes_widths: bool = False
    """whether the user chooses the widths of its hidden layers; else it has its own"""
    is_module: bool = False
    """whether it is a torch module; else it is a tuple of layer records"""
    time_share: float = 1.0
    """the part of the time of its multiply-adds that its steps take, for forecasts"""


MODELS = Registry(
    "model",
    __name__,
    {
        "mlp": Model(module="mlp", takes_widths=True),
        "lenet-300-100": Model(module="mlp"),
        "cnn": Model(module="conv", takes_widths=True),
        "conv-2": Model(module="conv"),
        "conv-4": Model(module="conv"),
        "conv-6": Model(module="conv"),
        "conv-8": Model(module="conv"),
        "binary-lenet-300-100": Model(module="mlp"),
        "binary-conv-2": Model(module="conv"),
        "binary-conv-4": Model(module="conv"),
        "binary-conv-6": Model(module="conv"),
        "binary-conv-8": Model(module="conv"),
        "resnet-8": Model(module="resnet"),
        "resnet-14": Model(module="resnet"),
        "resnet-20": Model(module="resnet"),
        "resnet-32": Model(module="resnet"),
        "resnet-44": Model(module="resnet"),
        "resnet-56": Model(module="resnet"),
        "resnet-50": Model(module="resnet_50", is_module=True),
        "vgg-11": Model(module="vgg"),
        "vgg-16": Model(module="vgg"),
        "vgg-19": Model(module="vgg"),
        "lstm": Model(module="recurrent", takes_widths=True, is_module=True),
        "gru": Model(module="recurrent", takes_widths=True, is_module=True),
        "transformer": Model(module="transformer", takes_widths=True, is_module=True),
        # It multiplies its weights first. A step took .09 of that time on an AMD EPYC,
        # beside one other process, 2026-11-29; others are slower.
        "token-mlp": Model(
            module="token_mlp", takes_widths=True, is_module=True, time_share=0.12
        ),
    },
    offers="build",
)
"""The models by name. Each module's ``build`` has the arguments of the one below."""


def build(
    name: str,
    *,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """The network of that name for such examples.

    Args:
        name: a key of MODELS.
        widths: of the hidden layers, for a model that takes them; None for all others.
        data: what the examples are; images in classes, for an MLP also vectors.

    Raises:
        ValueError: if there is no such model, if it has widths of its own (or needs
            some), if it does not take such examples, or if its pools leave nothing of
            such images.

    >>> from pipeline.core.description import of_images
    >>> from pipeline.core.models.layers import parameters
    >>> lenet = build("lenet-300-100", widths=None, data=of_images((1, 28, 28), classes=10))
    >>> parameters(lenet)["fc1.weight"].shape
    (300, 784)
    """
    if widths is not None and not MODELS[name].takes_widths:
        layered = (n for n, m in MODELS.items() if m.takes_widths and not m.is_module)
        raise ValueError(
            f"{name} has widths of its own; for {widths} take model {' or '.join(layered)}"
        )
    return _built(name, widths, data)


@cache
def _built(name: str, widths: tuple[int, ...] | None, data: Description) -> Network:
    """Networks hold no values, so that one can serve all; a module takes a trial each."""
    network: Network = MODELS.load(name)(name, widths, data)
    return network
