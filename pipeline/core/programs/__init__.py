"""Programs: what a published program does instead of the algorithm, part by part.

A task that is to be compared with a program names it (``compat``). The record says which
engine, cut, starts and metric take the place of the algorithm's, and what a task or a
variant may ask for. No other file knows a program by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.registry import Entry, Registry

Demands = Mapping[str, tuple[str, ...]]
"""setting of a task or a variant -> the values that are possible"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program(Entry):
    """How a task is trained, cut, rewound and scored."""

    module: str = ""
    """what is known of the program, and its constants"""
    engine: str | None = None
    """of ENGINES; None = as ``train.engine`` says"""
    cut: str = "ranked"
    """of CUTS"""
    starts: Mapping[str, str] = field(default_factory=dict)
    """``rewind.to`` -> the one of STARTS that takes its place"""
    metric: str = "at-end"
    """of METRICS: what is called the test accuracy"""
    of_task: Demands = field(default_factory=dict)
    of_variant: Demands = field(default_factory=dict)
    norms: bool = True
    """whether it can train networks with batch norm"""
    full_batches: bool = False
    """whether it tests in full batches, so that the test set must hold one"""

    def start(self, to: str) -> str:
        """The start that ``rewind.to`` stands for."""
        return self.starts.get(to, to)


ALGORITHM = Program()
"""what papers describe, and a task without ``compat`` does"""

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
    """What a task's ``compat`` stands for.

    Raises:
        UnknownNameError: if there is no such program.
    """
    return ALGORITHM if compat is None else PROGRAMS[compat]
