"""Stage ``plan``: check settings and plan, and write the inputs files.

    python -m pipeline.stages.plan

A stale plan or an invalid setting costs a second and gives one line. What the plan no
longer has is removed from the artifacts; DVC's cache restores it when it comes back. Its
output are small files, each with the settings and the hashes of the code of one kind of
instance, so that a current plan invalidates nothing.
"""

import os

from pipeline.border import notes
from pipeline.config import machine, own_code, params
from pipeline.inspect import forecast
from pipeline.plan import compiler, fingerprints, plan_file
from pipeline.plan.current import standing
from pipeline.run import instances, kernels, leftovers, overall
from pipeline.run.executors import lifeline


def run() -> None:
    """Check the plan, delete what it no longer has, write the inputs files."""
    settings = params.load()
    current = plan_file.check(settings)
    machine.refuse_impossible(settings)
    own_code.try_networks(settings)
    leftovers.remove(current)
    found = standing(current)
    if forecast.SAID not in os.environ:
        notes.say(forecast.describe(settings, current, found))
    overall.leave(settings, current, found)
    kernels.start(settings, current, found, lifeline.dvc())
    fingerprints.write(compiler.inputs_of(current), params.resolved())


if __name__ == "__main__":
    instances.run_single("plan", run)
