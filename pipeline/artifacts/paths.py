"""The path of every artifact.

There is one folder per kind of artifact, with ``task/variant/rNN/seeds`` below it::

    artifacts/data/mnist.safetensors             the data with its fixed split
    artifacts/theta0/main/s0-3/s0.safetensors    weights at step 0, one file per seed
    artifacts/early/main/k000500/s0-3/           weights after the first 500 steps
    artifacts/masks/main/ticket/r03/s0-3/        written by prune
    artifacts/starts/main/ticket/r03/s0-3/       written by rewind
    artifacts/trained/main/ticket/r03/s0-3/      weights and mask, written by retrain
    artifacts/networks/main/ticket/r03/s0-3.json     digests of all networks up to a round
    artifacts/pooled/main/pool/r03/s0-3/         weights and mask, mixed of several rounds'
    artifacts/copies/main/stable/r03-k000500/s0-3/   copies of a start, by data order
    artifacts/lines/main/stable/r03-k000500/s0-3/    lines.parquet, lines.json
    artifacts/results/main/ticket/r03/s0-3/      result.json, curves.parquet
    artifacts/timing/main/ticket/r03/s0-3.json   seconds and host; part of no digest
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("artifacts")


LONGEST_NAME = 250
"""characters of a file's name, which may have 255, before its suffix"""
LONGEST_GROUP = 230
"""characters of a group's name: more leave no room for a suffix and a temporary name"""
DENSE = "dense"
"""takes the place of the variant's name in the paths of round 0"""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Instance:
    """One round of one variant on one task, for one group of seeds."""

    task: str
    variant: str
    round: int
    seeds: tuple[int, ...]

    @property
    def path(self) -> str:
        """Path of its files below the folder of each kind of artifact."""
        return f"{self.task}/{self.variant}/r{self.round:02d}/{group_name(self.seeds)}"

    @property
    def key(self) -> str:
        """Name of the instance in the plan and in DVC."""
        return self.path.replace("/", "-")


def group_name(seeds: tuple[int, ...]) -> str:
    """The name of a group of seeds, with consecutive seeds as ranges.

    A name too long for a folder is cut, and ends with a digest of all seeds.

    >>> group_name((0, 1, 2, 3)), group_name((0, 1, 2, 7)), group_name((4,))
    ('s0-3', 's0-2_7', 's4')
    """
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    parts = (str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return short("s" + "_".join(parts), LONGEST_GROUP)


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """The name, or its beginning and a digest of it where it has too many characters.

    >>> short("main-ticket"), short("main-ticket-r01-s0-3", 18)
    ('main-ticket', 'ma_9261bd4f15a6ab2')
    """
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:15]
    return f"{name[: longest - 16]}_{digest}"


def data_file(name: str) -> Path:
    """File of the prepared data set of that name."""
    return FOLDER / "data" / f"{name}.safetensors"


def theta0_folder(task: str, seeds: tuple[int, ...]) -> Path:
    """Folder of the initial weights of a group of seeds."""
    return FOLDER / "theta0" / task / group_name(seeds)


def early_path(task: str, step: int, seeds: tuple[int, ...]) -> str:
    """Path of the dense network's weights after ``step`` steps, below their folder."""
    return f"{task}/k{step:06d}/{group_name(seeds)}"


def early_folder(task: str, step: int, seeds: tuple[int, ...]) -> Path:
    """Folder of the dense network's weights after ``step`` steps."""
    return FOLDER / "early" / early_path(task, step, seeds)


def early_timing_path(task: str, step: int, seeds: tuple[int, ...]) -> str:
    """Path of the first steps' timing file, below the folder and without suffix."""
    return f"{task}/early/k{step:06d}/{group_name(seeds)}"


def timing_at(path: str) -> Path:
    """Timing file (seconds and host) at a path below the folder, without suffix."""
    return FOLDER / "timing" / f"{path}.json"


def masks_folder(instance: Instance) -> Path:
    """Folder of the masks that the prune stage writes."""
    return FOLDER / "masks" / instance.path


def starts_folder(instance: Instance) -> Path:
    """Folder of the weights that a round's training starts from."""
    return FOLDER / "starts" / instance.path


def trained_folder(instance: Instance) -> Path:
    """Folder of the weights and masks at the end of a training."""
    return FOLDER / "trained" / instance.path


def networks_file(instance: Instance) -> Path:
    """File with the digests of a chain's networks, of all rounds up to this one."""
    return FOLDER / "networks" / f"{instance.path}.json"


def pooled_folder(instance: Instance) -> Path:
    """Folder of the weights and masks that are mixed of several rounds' networks."""
    return FOLDER / "pooled" / instance.path


def results_folder(instance: Instance) -> Path:
    """Folder of the facts and learning curves of a training."""
    return FOLDER / "results" / instance.path


def timing_file(instance: Instance) -> Path:
    """Timing file (seconds and host) of a training."""
    return FOLDER / "timing" / f"{instance.path}.json"


def seed_file(folder: Path, seed: int, part: str = "") -> Path:
    """File of one seed; where they share a folder, ``part`` is weights, mask or scores."""
    return folder / (f"s{seed}.{part}.safetensors" if part else f"s{seed}.safetensors")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a stage's command line.

    >>> parse_seeds("0,1,2")
    (0, 1, 2)
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"seeds are numbers with commas between them, not {text!r}")
    return tuple(int(seed) for seed in text.split(","))


LOCKS = Path(".lt/locks")
"""folder of the files that stage instances and walks hold locked while they work"""


def lock_file(stage: str, folder: Path = LOCKS) -> Path:
    """The file that an instance, or ``walk``, holds locked."""
    # A key on the command line may be anything.
    return folder / f"{short(stage.replace('/', '-'))}.lock"


OUTCOME = Path(".lt/outcome.txt")
"""what stage ``track`` said at its end; a later run that has nothing to do says it"""
SHADOW = Path(".lt/walk")
"""stands for the root during a walk: what stages will put below the root lies there"""
LIVE = Path(".lt/live")
"""folder of the process that tracks while dvc runs"""
LIVE_LOCK = LIVE / "lock"
"""held by that process as long as it lives; with its number in it"""


def live_failure(dvc: int) -> Path:
    """The message of its failure during the run of this dvc; empty once it was shown."""
    return LIVE / f"failed-{dvc}.txt"
