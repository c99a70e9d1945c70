"""Programs: the parts in which a published program departs from the algorithm.

A task that is to be compared with a program names it (``compat``). The program's record
says which engine, cut, starts and metric replace those of the algorithm, and which
settings a task or a variant may have. No other file knows a program by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.registry import Entry, Registry

Demands = Mapping[str, tuple[str, ...]]
"""name of a setting of a task or a variant -> the values that the program can do"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program(Entry):
    """How a task is trained, cut, rewound and scored."""

    module: str = ""
    """the module that describes the program and holds its constants"""
    engine: str | None = None
    """one of ENGINES; None = as ``train.engine`` says"""
    cut: str = "ranked"
    """one of CUTS"""
    starts: Mapping[str, str] = field(default_factory=dict)
    """value of ``rewind.to`` -> the one of STARTS that replaces it"""
    metric: str = "at-end"
    """one of METRICS, which defines the test accuracy"""
    of_task: Demands = field(default_factory=dict)
    of_variant: Demands = field(default_factory=dict)
    norms: bool = True
    """whether it can train networks with batch norm"""
    full_batches: bool = False
    """whether it tests in full batches, so that the test set must hold one"""

    def start(self, to: str) -> str:
        """The start that a value of ``rewind.to`` stands for."""
        return self.starts.get(to, to)


ALGORITHM = Program()
"""the algorithm as the papers describe it, for every task without ``compat``"""

PROGRAMS: Registry[Program] = Registry(
    "program",
    __name__,
    {
        "southampton": Program(
            module="southampton",
            engine="southampton",
            cut="southampton",
            starts={"theta0": "theta0-trained-biases"},
            metric="best-before-end",
            of_task={
                "train.optimizer": ("adam",),
                "train.augment": ("none",),
                "train.test_cadence": ("every",),
                "train.engine": ("auto",),
                "train.device": ("cpu",),
            },
            of_variant={
                "prune.mask": ("own",),
                "prune.schedule": ("iterative",),
                "prune.criterion": ("magnitude",),
                "prune.scope": ("layerwise",),
                "rewind.to": ("theta0", "reinit"),
                "rewind.pruned": ("zero",),
            },
            norms=False,
            full_batches=True,
        )
    },
)


def program_of(compat: str | None) -> Program:
    """The program that a task's ``compat`` names; ALGORITHM if it names none.

    Raises:
        UnknownNameError: if there is no such program.
    """
    return ALGORITHM if compat is None else PROGRAMS[compat]
