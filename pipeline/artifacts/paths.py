"""Where every artifact lies.

One folder per kind of artifact, below it ``task/variant/rNN/seeds``::

    artifacts/data/mnist.safetensors             the data with its fixed split
    artifacts/theta0/main/s0-3/s0.safetensors    weights at step 0, one file per seed
    artifacts/early/main/k000500/s0-3/           weights after the first 500 steps
    artifacts/masks/main/ticket/r03/s0-3/        written by prune
    artifacts/starts/main/ticket/r03/s0-3/       written by rewind
    artifacts/trained/main/ticket/r03/s0-3/      weights and mask, written by retrain
    artifacts/copies/main/stable/r03-k000500/s0-3/   copies of a start, by data order
    artifacts/lines/main/stable/r03-k000500/s0-3/    lines.parquet, lines.json
    artifacts/results/main/ticket/r03/s0-3/      result.json, curves.parquet
    artifacts/timing/main/ticket/r03/s0-3.json   seconds, host: in no digest
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("artifacts")


DENSE = "dense"
"""the name that stands for a variant in the paths of round 0"""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Instance:
    """One variant, one round, one group of seeds of one task."""

    task: str
    variant: str
    round: int
    seeds: tuple[int, ...]

    @property
    def path(self) -> str:
        """Where its files lie below every kind of artifact."""
        return f"{self.task}/{self.variant}/r{self.round:02d}/{group_name(self.seeds)}"

    @property
    def key(self) -> str:
        """Its name among the instances of a DVC stage."""
        return self.path.replace("/", "-")


def group_name(seeds: tuple[int, ...]) -> str:
    """A name for a group of seeds that says which: runs of seeds as ranges.

    >>> group_name((0, 1, 2, 3)), group_name((0, 1, 2, 7)), group_name((4,))
    ('s0-3', 's0-2_7', 's4')
    """
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return "s" + "_".join(
        str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs
    )


def data_file(name: str) -> Path:
    """The prepared data set of that name."""
    return FOLDER / "data" / f"{name}.safetensors"


def theta0_folder(task: str, seeds: tuple[int, ...]) -> Path:
    """Initial weights of a group of seeds."""
    return FOLDER / "theta0" / task / group_name(seeds)


def early_path(task: str, step: int, seeds: tuple[int, ...]) -> str:
    """Where weights after the first steps of a dense training lie."""
    return f"{task}/k{step:06d}/{group_name(seeds)}"


def early_folder(task: str, step: int, seeds: tuple[int, ...]) -> Path:
    """Weights of the dense network after the first steps."""
    return FOLDER / "early" / early_path(task, step, seeds)


def early_timing_path(task: str, step: int, seeds: tuple[int, ...]) -> str:
    """Where seconds of the first steps lie, beside those of the task's rounds."""
    return f"{task}/early/k{step:06d}/{group_name(seeds)}"


def timing_at(path: str) -> Path:
    """Seconds and host of a training that is no round."""
    return FOLDER / "timing" / f"{path}.json"


def masks_folder(instance: Instance) -> Path:
    """Masks that the prune stage made."""
    return FOLDER / "masks" / instance.path


def starts_folder(instance: Instance) -> Path:
    """Weights that a round's training begins from."""
    return FOLDER / "starts" / instance.path


def trained_folder(instance: Instance) -> Path:
    """Weights and masks that a training hands on."""
    return FOLDER / "trained" / instance.path


def results_folder(instance: Instance) -> Path:
    """Facts and learning curves of a training."""
    return FOLDER / "results" / instance.path


def timing_file(instance: Instance) -> Path:
    """Seconds and host of a training."""
    return FOLDER / "timing" / f"{instance.path}.json"


def seed_file(folder: Path, seed: int, part: str = "") -> Path:
    """The file of one seed in a folder; trained folders have parts."""
    return folder / (f"s{seed}.{part}.safetensors" if part else f"s{seed}.safetensors")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a stage's command line.

    >>> parse_seeds("0,1,2")
    (0, 1, 2)
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"seeds are numbers with commas between them, not {text!r}")
    return tuple(int(seed) for seed in text.split(","))
