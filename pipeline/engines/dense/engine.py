"""The dense engine: one network on a CPU, every weight computed, as fast as can be.

Two ways to do it. Fully connected networks are compiled (``fully_connected.py``), all
others are computed layer by layer in torch (``layered.py``), and so are networks whose
pruned weights are frozen at other values than 0.
"""

from collections.abc import Sequence

from pipeline.core.training.engine import Job, PruningEngine, only_job
from pipeline.engines.suitability import fully_connected, without_norm


def make(jobs: Sequence[Job]) -> PruningEngine:
    """The dense engine at the start of one job.

    Raises:
        ValueError: if there are more jobs than one, or if the job needs what the engine
            cannot do: batch norm, or another device than the CPU. Or if labels do not fit
            the logits of a fully connected network.
    """
    job = only_job(jobs, "dense")
    refuse_unfit(job)
    # Torch takes 0.8 s to import, Numba as long; nobody waits for what is not needed.
    if fully_connected(job.network) and not job.frozen:
        from pipeline.engines.dense.fully_connected import FullyConnected

        return FullyConnected(job)
    from pipeline.engines.dense.layered import Layered

    return Layered(job)


def refuse_unfit(job: Job) -> None:
    """Refuse what the engine cannot do.

    Raises:
        ValueError: with one line that says what to give instead.
    """
    if job.settings.device != "cpu" or not without_norm(job.network):
        raise ValueError(
            "the dense engine trains networks without batch norm on device cpu, and got "
            f"{sorted({type(layer).__name__ for layer in job.network})} on "
            f"{job.settings.device}; give train.engine: reference"
        )
