"""Flip-crop moves and mirrors images as it is told."""

import numpy as np

from pipeline.core.augmentations.flip_crop import flip_crop, flip_crop_draws


def test_flip_crop_moves_and_mirrors_as_drawn():
    images = np.array([[[[1, 2], [3, 4]]]] * 4, dtype=np.float32)
    changed = flip_crop(
        images,
        flips=np.array([False, True, False, True]),
        corners=np.array([[4, 4], [4, 4], [5, 4], [4, 3]]),
    )
    assert changed[:, 0].tolist() == [
        [[1, 2], [3, 4]],
        [[2, 1], [4, 3]],
        [[3, 4], [0, 0]],
        [[1, 0], [3, 0]],
    ]
    assert changed.dtype == np.float32
    assert images[1, 0].tolist() == [[1, 2], [3, 4]]


def test_flip_crop_draws_cover_every_shift_and_half_the_flips():
    flips, corners = flip_crop_draws(20_000, seed=0, round=0, step=0)
    assert abs(flips.mean() - 0.5) < 0.02
    assert np.unique(corners).tolist() == list(range(9))
    assert corners.shape == (20_000, 2)


def test_flip_crop_draws_depend_on_the_step_alone():
    key = {"seed": 1, "round": 2, "copy": 0}
    flips, corners = flip_crop_draws(8, **key, step=5)
    flip_crop_draws(8, **key, step=4)
    again, corners_again = flip_crop_draws(8, **key, step=5)
    assert (flips == again).all()
    assert (corners == corners_again).all()
    assert (corners != flip_crop_draws(8, **key, step=6)[1]).any()
