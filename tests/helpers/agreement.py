"""How closely an engine has to follow the reference on one job."""

import numpy as np
import pytest

from pipeline.core.training.engine import Job
from pipeline.engines import make_engine


def assert_agrees(name: str, job: Job, num_steps: int, *, within: float) -> None:
    """Compare weights and statistics after some steps, and evaluations before and after.

    Args:
        name: of the engine.
        job: for it and for the reference.
        num_steps: run by both.
        within: greatest norm of a tensor's difference, as a share of the norm of the
            tensor and of its movement together.
    """
    ours, reference = (make_engine(one, [job]) for one in (name, "reference"))
    for steps in (0, num_steps):
        if steps:
            ours.advance(steps)
            reference.advance(steps)
        (found,), (expected,) = (
            engine.evaluate("validation") for engine in (ours, reference)
        )
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.accuracy == expected.accuracy
    (weights,), (followed,) = ours.weights(), reference.weights()
    for tensor, weight in followed.items():
        moved = np.linalg.norm(weight - job.start[tensor])
        difference = np.linalg.norm(weights[tensor] - weight)
        assert difference <= within * (moved + np.linalg.norm(weight)), tensor
