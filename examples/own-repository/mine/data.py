"""Two spirals, one inside the other."""

import numpy as np
from numpy.typing import NDArray


def spirals(num: int, noise: float = 0.15) -> dict[str, NDArray[np.generic]]:
    """Points in the plane, ``num`` of each of two classes.

    Whatever gives arrays may stand here: pandas, torchvision, a data base. The data set is
    made once, and again when this module changes.
    """
    rng = np.random.default_rng(0)
    radius = np.sqrt(rng.uniform(0.05, 1, num)) * 9
    arm = np.stack([radius * np.cos(radius), radius * np.sin(radius)], axis=1)
    points = np.concatenate([arm, -arm])
    points += rng.normal(0, noise, points.shape)
    return {"inputs": points.astype(np.float32), "labels": np.repeat([0, 1], num)}
