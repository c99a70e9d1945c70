"""Augmentations change training images at random; seed, round, copy and step decide how."""

from dataclasses import dataclass

from pipeline.core.registry import Entry, Registry

NO_AUGMENTATION = "none"
"""the value of ``train.augment`` that leaves images as they are"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation(Entry):
    """The record of an augmentation."""

    in_every_engine: bool = False
    """whether every engine that takes images has it; those in plain torch have all"""


AUGMENTATIONS = Registry(
    "augmentation",
    __name__,
    {
        "flip-crop": Augmentation(module="flip_crop", in_every_engine=True),
        "random-resized-crop": Augmentation(module="random_resized_crop"),
    },
    offers="augment",
)
"""name -> record. Each module's ``augment`` takes a normalized batch, float32 (B, C, H, W),
and by name the seed, round, copy and step that its draws from stream ``augment`` belong to.
It returns another batch of this shape, on the same device"""
