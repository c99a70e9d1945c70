"""Random resized crops have torchvision's law and are resized as torch does it."""

import numpy as np
import pytest
import torch

from pipeline.core.augmentations import AUGMENTATIONS
from pipeline.core.augmentations.random_resized_crop import augment, drawn

KEY = {"seed": 1, "round": 2, "copy": 0}


def test_parts_have_the_areas_ratios_and_places_of_the_source():
    crops = drawn(20_000, (224, 224), **KEY, step=3)
    height, width = crops.sizes.T
    areas, ratios = height * width / 224**2, np.log(width / height)
    assert areas.min() == pytest.approx(0.08, abs=0.002)
    # A ratio other than one does not fit at areas near one: they are drawn again.
    assert np.median(areas[areas < 0.75]) == pytest.approx((0.08 + 0.75) / 2, abs=0.01)
    assert 0.02 < (areas > 0.9).mean() < 0.03
    small = areas < 0.7
    assert np.abs(ratios).max() <= np.log(4 / 3) + 0.02
    assert ratios[small].mean() == pytest.approx(0, abs=0.01)
    assert ratios[small].std() == pytest.approx(2 * np.log(4 / 3) / 12**0.5, rel=0.02)
    places = (crops.corners / np.maximum(224 - crops.sizes, 1))[small]
    assert (crops.corners + crops.sizes <= 224).all()
    assert places.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.01)
    assert crops.flips.mean() == pytest.approx(0.5, abs=0.02)


def test_where_no_draw_fits_the_part_is_the_middle():
    crops = drawn(50, (1, 40), **KEY, step=0)
    assert (crops.sizes == [1, 1]).all()
    assert (crops.corners == [0, 19]).all()
    crops = drawn(50, (60, 2), **KEY, step=0)
    middle = crops.corners[:, 0] == 28
    assert middle.any()
    assert (crops.sizes[middle][:, 1] == 2).all()


def test_a_batch_is_its_parts_resized_and_mirrored_and_depends_on_the_step_alone():
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    changed = augment(images, **KEY, step=5)
    assert torch.equal(images, before)
    crops = drawn(6, (8, 8), **KEY, step=5)
    for image, found, flip, size, corner in zip(images, changed, *crops, strict=True):
        (top, left), (bottom, right) = corner, corner + size
        part = image[None, :, top:bottom, left:right]
        plain = torch.nn.functional.interpolate(part, (8, 8), mode="bilinear")[0]
        assert torch.allclose(found.flip(-1) if flip else found, plain, atol=1e-5)
    augment(images, **KEY, step=4)
    assert torch.equal(augment(images, **KEY, step=5), changed)
    assert not torch.equal(augment(images, **KEY, step=6), changed)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_every_augmentation_keeps_the_shape_and_the_batch_it_is_given(name):
    images = torch.randn(4, 2, 6, 7, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    changed = AUGMENTATIONS.load(name)(images, **KEY, step=0)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert torch.equal(images, before)
    assert not torch.equal(changed, images)
