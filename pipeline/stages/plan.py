"""Stage ``plan``: stop before anything runs if settings or plan are wrong.

    python -m pipeline.stages.plan

A stale plan or an invalid setting costs a second and gives one line. What the plan no
longer has is removed from the artifacts; DVC's cache restores it when it comes back. Its
outputs are the settings as JSON and the hashes of the code, both tracked piece by piece,
so that a current plan invalidates nothing.
"""

import sys

from pipeline import artifacts, border, closures, forecast, params, plan, stale


def run() -> None:
    """Check the plan, drop what it no longer has, write what DVC tracks."""
    settings = params.load()
    current = plan.check(settings)
    stale.remove(current)
    print(forecast.describe(settings, current), file=sys.stderr)  # noqa: T201
    artifacts.save_json(artifacts.SETTINGS, params.raw_settings())
    closures.write(plan.code_files(current))


if __name__ == "__main__":
    with border.one_line_errors():
        run()
