"""The kinds of stages: what each reads and writes, and what decides its result.

A kind is one record. To add one, write a record, a stage of that name in ``dvc.yaml``
with these deps and outs, the file of that name in ``pipeline/stages/``, and the compiler's
lines that say which instances there are; a test holds ``dvc.yaml`` against the records.
"""

from dataclasses import dataclass
from typing import Literal

INPUTS = "inputs"
"""the field of every item that names its inputs file, see ``fingerprints``"""
IN_KEY = frozenset({"round", "seeds", "step"})
"""fields of an item that its key spells out, and so the command line that DVC sees"""

_NETWORK = ("tasks.{task}.data", "tasks.{task}.model")
_TRAINING = (*_NETWORK, "tasks.{task}.train", "tasks.{task}.compat")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trains:
    """How the trainings of a stage are named and forecast."""

    label: str = ""
    """before their path, in what is shown and in the names of checkpoints"""
    begins_at_step: bool = False
    """the item's step is the first one; else the start of its variant says which"""
    ends_at_step: bool = False
    """the item's step is the last one; else the schedule's"""
    bytes_per_weight: int
    """that one training leaves: once in the workspace and once in DVC's cache"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of stage.

    Fields that are read or written hold paths. A written field is named after its tree:
    ``masks`` holds a path below ``artifacts/masks/``.
    """

    name: str
    """of the stage in ``dvc.yaml`` and of its file in ``pipeline/stages/``"""
    reads: tuple[str, ...]
    """fields of its items that are deps, beside the inputs file"""
    writes: tuple[str, ...]
    """fields of its items that are outs; the first names the instance"""
    raw: tuple[str, ...] = ()
    """fields of its items that are deps which no stage writes"""
    settings: tuple[str, ...]
    """keys of the settings that decide a result; braces name fields of an item, and a key
    that names a field which an item lacks is not one of its keys"""
    shown: str
    """the written field that says, where it exists, that an instance has its result"""
    light: bool = False
    """whether what is shown is small enough to be hashed at every look"""
    trains: Trains | None = None
    """None: it trains nothing"""
    tracked: bool = False
    """whether stage ``track`` writes its results into MLflow"""
    stays: bool = False
    """whether its outputs stay when an instance leaves the plan"""
    walked: Literal["whole", "by seed"] | None = None
    """what a walk of the plan makes at once; None: it leaves the kind to DVC, because its
    instances are small, or read trainings of several seeds"""


_FLOAT32, _BOOL, _PLACES = 4, 1, 2
_WEIGHTS_AND_MASK = _PLACES * (_FLOAT32 + _BOOL)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="data",
            walked="whole",
            reads=(),
            writes=("data",),
            settings=(),
            shown="data",
            stays=True,
        ),
        Kind(
            name="own",
            walked="whole",
            reads=(),
            raw=("raw",),
            writes=("data",),
            settings=("datasets.{dataset}",),
            shown="data",
            stays=True,
        ),
        Kind(
            name="init",
            walked="by seed",
            reads=("data",),
            writes=("theta0",),
            settings=_NETWORK,
            shown="theta0",
        ),
        Kind(
            name="train",
            walked="by seed",
            reads=("data", "theta0"),
            writes=("trained", "results", "timing"),
            settings=_TRAINING,
            shown="results",
            light=True,
            tracked=True,
            # of a round: those of its start and of what it trains
            trains=Trains(bytes_per_weight=2 * _WEIGHTS_AND_MASK),
        ),
        Kind(
            name="early",
            walked="by seed",
            reads=("data", "theta0"),
            writes=("early", "timing"),
            settings=_TRAINING,
            shown="early",
            trains=Trains(
                label="early/", ends_at_step=True, bytes_per_weight=_PLACES * _FLOAT32
            ),
        ),
        Kind(
            name="prune",
            walked="by seed",
            reads=("data", "initial", "source"),
            writes=("masks",),
            settings=(
                *_NETWORK,
                "tasks.{task}.compat",
                "variants.{variant}.prune",
                "tasks.{mask_task}.data",
                "tasks.{mask_task}.model",
            ),
            shown="masks",
        ),
        Kind(
            name="given",
            walked="by seed",
            reads=("data",),
            raw=("raw",),
            writes=("masks",),
            settings=(*_NETWORK, "variants.{variant}.prune"),
            shown="masks",
        ),
        Kind(
            name="matched",
            walked="by seed",
            reads=("data", "source", "dense", "dense_source"),
            writes=("masks",),
            settings=(
                *_NETWORK,
                "variants.{variant}.prune",
                "tasks.{mask_task}.data",
                "tasks.{mask_task}.model",
            ),
            shown="masks",
        ),
        Kind(
            name="networks",
            reads=("trained", "behind"),
            writes=("networks",),
            settings=(),
            shown="networks",
            light=True,
        ),
        Kind(
            name="pooled",
            reads=("data", "trained", "networks"),
            writes=("pooled",),
            settings=(
                *_NETWORK,
                "tasks.{task}.train.batch_size",
                "variants.{variant}.prune",
                "variants.{mask_owner}.prune.scope",
            ),
            shown="pooled",
        ),
        Kind(
            name="rewind",
            walked="by seed",
            reads=("data", "theta0", "mask", "behind"),
            writes=("starts",),
            settings=(
                *_NETWORK,
                "tasks.{task}.compat",
                "tasks.{mask_task}.data",
                "tasks.{mask_task}.model",
                "variants.{variant}.prune.mask",
                "variants.{mapped}.prune.blocks",
                "variants.{variant}.rewind",
            ),
            shown="starts",
        ),
        Kind(
            name="retrain",
            walked="by seed",
            reads=("data", "start", "mask"),
            writes=("trained", "results", "timing"),
            settings=(
                *_TRAINING,
                "variants.{mask_owner}.prune",
                "tasks.{mask_task}",
                "variants.{variant}.prune.mask",
                "variants.{variant}.prune.transform",
                "variants.{mapped}.prune.blocks",
                "variants.{variant}.rewind",
            ),
            shown="results",
            light=True,
            tracked=True,
            trains=Trains(bytes_per_weight=2 * _WEIGHTS_AND_MASK),
        ),
        Kind(
            name="copies",
            walked="by seed",
            reads=("data", "start", "mask"),
            writes=("copies", "timing"),
            settings=(
                *_TRAINING,
                "analyses.{analysis}.of",
                "analyses.{analysis}.pairs",
                "{recipe}",
            ),
            shown="copies",
            trains=Trains(
                label="copies/", begins_at_step=True, bytes_per_weight=_WEIGHTS_AND_MASK
            ),
        ),
        Kind(
            name="lines",
            reads=("data", "ends", "against"),
            writes=("lines",),
            settings=(*_NETWORK, "tasks.{task}.train", "analyses.{analysis}"),
            shown="lines",
            light=True,
            tracked=True,
        ),
        Kind(
            name="approximations",
            reads=("data", "target"),
            writes=("approximations",),
            settings=(*_NETWORK, "approximations.{approximation}"),
            shown="approximations",
            tracked=True,
        ),
    )
}
"""every kind whose instances stand in the plan, in the order of the plan"""
