"""Masks that come from a file or from another task."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pipeline.core.fields import OnlyWritten

ROUND = "{round}"
"""in the name of a file: the number of the round, 1 or more"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """The variant whose masks another one takes."""

    task: str | None
    """its task; None = the task of the variant that takes them"""
    variant: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFrom:
    """A file, or a task and its variant."""

    file: Annotated[str | None, OnlyWritten()] = None
    """a .safetensors or .npz file with a mask by names of tensors; ``{round}`` in its name
    stands for the number of the round"""
    task: Annotated[str | None, OnlyWritten()] = None
    """the task whose chains have the masks, seed by seed and round by round"""
    variant: Annotated[str | None, OnlyWritten()] = None
    """the variant of that task, with masks of its own"""

    def __post_init__(self) -> None:
        """Refuse keys that do not go together."""
        for found, message in self._problems():
            if found:
                raise ValueError(message)

    def _problems(self) -> Iterable[tuple[bool, str]]:
        chain = [name for name in ("task", "variant") if getattr(self, name) is not None]
        yield (
            (self.file is None) != (len(chain) == 2) or (bool(chain) and bool(self.file)),
            f"{' and '.join([*(['file'] if self.file else []), *chain]) or 'nothing'} "
            "given; give a file, or task and variant",
        )
        yield (
            self.file is not None and not self.file.endswith((".safetensors", ".npz")),
            f"{self.file} found; masks are read from .safetensors and .npz files, no "
            "pickle is loaded: write one with safetensors.torch.save_file or numpy.savez",
        )

    @property
    def name(self) -> str:
        """The variant that is named, where no file is."""
        assert self.variant is not None, "checked when the settings were made"
        return self.variant

    def file_at(self, round: int) -> str:
        """The file of a round.

        >>> MaskFrom(file="masks/r{round}.npz").file_at(3)
        'masks/r3.npz'
        """
        assert self.file is not None, "masks come from a chain"
        return self.file.replace(ROUND, str(round))
