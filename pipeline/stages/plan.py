"""Stage ``plan``: stop before anything runs if settings or plan are wrong.

    python -m pipeline.stages.plan

A stale plan or an invalid setting costs a second and gives one line. What the plan no
longer has is removed from the artifacts; DVC's cache restores it when it comes back. The
output never changes, so that a current plan invalidates nothing.
"""

import sys

from pipeline import artifacts, border, forecast, params, plan

OUT = artifacts.FOLDER / "plan.txt"
CONTENT = "The plan fits params.yaml.\n"


def run() -> None:
    """Check the plan, drop what it no longer has, say what is to come."""
    settings = params.load()
    current = plan.check(settings)
    plan.remove_stale(current)
    print(forecast.describe(settings, current), file=sys.stderr)  # noqa: T201
    with artifacts.atomic(OUT) as temporary:
        temporary.write_text(CONTENT, encoding="utf-8")


if __name__ == "__main__":
    with border.one_line_errors():
        run()
