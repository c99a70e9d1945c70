"""The dense engine trains one network on a CPU and computes every weight, pruned or not.

It has two parts. Fully connected networks are compiled (``fully_connected.py``). All other
networks, and those whose pruned weights are frozen at other values than 0, are computed
layer by layer in torch (``layered.py``).
"""

from collections.abc import Sequence

from pipeline.core.training.engine import Job, PruningEngine, only_job
from pipeline.engines.suitability import fully_connected, names_of_layers, without_norm


def make(jobs: Sequence[Job]) -> PruningEngine:
    """Make the dense engine, ready to begin one job.

    Raises:
        ValueError: if there is more than one job, if the job needs batch norm or another
            device than the CPU, or if labels do not fit the logits of a fully connected
            network.
    """
    job = only_job(jobs, "dense")
    refuse_unfit(job)
    # Torch takes 0.8 s to import and Numba as long, so only the needed one is imported.
    if fully_connected(job.network) and not job.frozen:
        from pipeline.engines.dense.fully_connected import FullyConnected

        return FullyConnected(job)
    from pipeline.engines.dense.layered import Layered

    return Layered(job)


def refuse_unfit(job: Job) -> None:
    """Refuse a job that the engine cannot do.

    Raises:
        ValueError: with one line that says what to give instead.
    """
    if job.settings.device != "cpu" or not without_norm(job.network):
        raise ValueError(
            "the dense engine trains networks without batch norm on device cpu, and got "
            f"{sorted(set(names_of_layers(job.network)))} on "
            f"{job.settings.device}; give train.engine: reference"
        )
