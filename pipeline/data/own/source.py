"""Settings of a data set of the user's: an entry of ``datasets``."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic

from pipeline.border import user_code
from pipeline.core.fields import OnlyWritten
from pipeline.data.own import arithmetic, drawings, episodes, sentences
from pipeline.data.own.arithmetic import Arithmetic
from pipeline.data.own.drawings import Drawings
from pipeline.data.own.episodes import Episodes
from pipeline.data.own.text import Text


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One data set of the user's: from exactly one kind of source."""

    npz: str | None = None
    """a file of numpy arrays; see the guide for their names"""
    folder: str | None = None
    """a folder of images: one folder per class, or train/, val/ and test/ of such"""
    size: int | None = None
    """height and width to which the images of a folder are brought; null for others"""
    import_: Annotated[str | None, pydantic.Field(alias="import")] = None
    """``package.module:function`` of yours, which returns the arrays by name"""
    arithmetic: Arithmetic | None = None
    """the table of an operation, which is computed: the data of grokking"""
    text: Annotated[Text | None, OnlyWritten()] = None
    """characters, each to be told from those before it: of a file, or generated"""
    drawings: Annotated[Drawings | None, OnlyWritten()] = None
    """generated images of ten classes, in the shape of MNIST's"""
    control: Annotated[Episodes | None, OnlyWritten()] = None
    """episodes of an environment of gymnasium, in which a network acts"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of the function under ``import``, by name"""
    reads: str | None = None
    """the file or folder that the function under ``import`` reads; when it changes, it is
    read again"""
    validation: float = 0.1
    """share of the training examples that are drawn for validation, where the source has
    no such part"""
    test: float = 0.1
    """share of the examples that are drawn for testing, where there is no such part"""
    standardize: bool = True
    """whether vectors get mean 0 and standard deviation 1 in each number, by the
    statistics of the training part"""
    allow_duplicates: bool = False
    """whether an example may stand in the training part and in another one"""

    def __post_init__(self) -> None:
        """Refuse values that do not go together."""
        for found, message in self._problems():
            if found:
                raise ValueError(message)

    def _problems(self) -> Iterable[tuple[bool, str]]:
        kinds = {
            "npz": self.npz,
            "folder": self.folder,
            "import": self.import_,
            "arithmetic": self.arithmetic,
            "text": self.text,
            "drawings": self.drawings,
            "control": self.control,
        }
        given = [name for name, value in kinds.items() if value is not None]
        yield (
            len(given) != 1,
            f"{' and '.join(given) or 'no source'} given; give exactly one of "
            f"{', '.join(kinds)}",
        )
        is_folder, is_import = self.folder is not None, self.import_ is not None
        yield (
            is_folder != (self.size is not None),
            "size is needed for a folder, and for nothing else: such as size: 32",
        )
        yield (
            self.size is not None and not 1 <= self.size <= 1024,
            f"size is {self.size}; give 1 to 1024 pixels",
        )
        yield (
            bool(self.options) and not is_import,
            "options are arguments of an imported function; remove them",
        )
        yield (
            self.reads is not None and not is_import,
            "reads names what an imported function reads; remove it",
        )
        for name in ("validation", "test"):
            share = getattr(self, name)
            yield not 0 < share < 1, f"{name} is {share}; give a share in (0, 1)"

    @property
    def path(self) -> str | None:
        """The file or folder that holds the examples; None if only a function knows."""
        written = self.text.file if self.text is not None else None
        return self.npz or self.folder or self.reads or written

    @property
    def own_module(self) -> str | None:
        """The user's module that makes the examples; None where there is none."""
        return user_code.module_of(self.import_) if self.import_ else None

    @property
    def maker(self) -> str:
        """The module, the user's or ours, that makes examples which no file holds."""
        computed = {
            arithmetic: self.arithmetic,
            sentences: self.text,
            drawings: self.drawings,
            episodes: self.control,
        }
        ours = (module.__name__ for module, asked in computed.items() if asked is not None)
        return self.own_module or next(ours)
