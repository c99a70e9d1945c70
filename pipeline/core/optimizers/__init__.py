"""The optimizers by name, with what each can do.

Those without a module are built into every engine. Every other one, and a function of the
user's, takes the weights, as torch tensors, and the training settings, and returns a
``torch.optim.Optimizer``; the reference engine trains with it. Engines set the learning
rate of every step themselves, as ``lr`` of the optimizer's groups; what the optimizer
remembers must lie in its state.
"""

from dataclasses import dataclass
from typing import Protocol

from pipeline.core.functions import is_function
from pipeline.core.registry import Entry, Registry


class Rates(Protocol):
    """What an optimizer may read of the training settings."""

    @property
    def lr(self) -> float:
        """Learning rate before the schedule changes it."""

    @property
    def momentum(self) -> float:
        """In [0, 1); 0 unless the record says that there is momentum."""

    @property
    def weight_decay(self) -> float:
        """0 or more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer(Entry):
    """What an optimizer can do."""

    module: str = ""
    """the module that defines it; empty = it is built into the engines"""
    momentum: bool = False
    """whether it has the setting ``momentum``"""
    betas: bool = False
    """whether it has the setting ``betas``"""


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    __name__,
    {
        "sgd": Optimizer(momentum=True),
        "adam": Optimizer(betas=True),
        "adamw": Optimizer(betas=True),
        "sign-in": Optimizer(module="sign_in", momentum=True),
    },
    own=Optimizer,
)


def is_built_in(name: str) -> bool:
    """Whether every engine has an optimizer built in."""
    return not is_function(name) and not OPTIMIZERS[name].module
