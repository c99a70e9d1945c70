"""Verify that artifacts are undamaged and fulfill what each variant's recipe promises.

Three kinds of checks, each of which finds what the others cannot: chains, whose promises
are computed again from masks and weights; single files, which must hold what follows from
the others; and bytes, which must be those that DVC has recorded.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.batches import Dataset
from pipeline.inspect.verification import (
    approximations,
    networks,
    pools,
    promises,
    recorded,
    results,
)
from pipeline.inspect.verification.looking import (
    FILES,
    OUTPUTS,
    ROUNDS,
    Finding,
    Looks,
    Subject,
    said,
)
from pipeline.plan import items
from pipeline.plan.items import Item, Plan, items_of

CONTENTS = "files hold what they must"
BYTES = "bytes as recorded in dvc.lock"
CHECKS: dict[str, Callable[[Subject], Looks]] = {
    "data": networks.data,
    "theta0": networks.theta0,
    "early": networks.early,
    "masks": networks.cut,
    "starts": networks.starts,
    "trained": networks.trained,
    "networks": pools.noted,
    "pooled": pools.pooled,
    "results": results.results,
    "timing": results.timing,
    "copies": networks.copies,
    "lines": results.lines,
    "approximations": approximations.approximations,
}
"""by written field: the check of its files"""
CHAINS = "chains"
SINGLE_STAGES = ("plan", "results", "track")


def verify(settings: Settings, plan: Plan) -> list[Finding]:
    """Check every file and every chain of the plan, in the working directory.

    Raises:
        ArtifactError: where an artifact is missing; nothing is passed over.
    """
    for item in items_of(plan):
        for field in item.kind.writes:
            if not item.path(field).exists():
                raise files.missing(item.path(field))
    return [
        *promises.findings(settings, items.groups_in(plan)),
        *_of_files(CONTENTS, FILES, contents(settings, plan)),
        *_of_files(BYTES, OUTPUTS, bytes_of(plan)),
    ]


def contents(settings: Settings, plan: Plan) -> Looks:
    """Looks at every file of the plan's instances, and at the tables."""
    raw, datasets = params.resolved(), dict[Path, Dataset]()
    for item in items_of(plan):
        subject = Subject(settings=settings, item=item, raw=raw, datasets=datasets)
        yield from contents_of(subject)
    yield from results.of_tables(settings)


def contents_of(subject: Subject) -> Looks:
    """Looks at every file of one instance."""
    for field in subject.item.kind.writes:
        yield from CHECKS[field](subject)


def bytes_of(plan: Plan) -> Looks:
    """Looks at every output of the plan, and of the stages that have one instance."""
    every: list[Item] = list(items_of(plan))
    written = [item.path(field) for item in every for field in item.kind.writes]
    stages = [*(item.stage for item in every), *SINGLE_STAGES]
    return recorded.outputs(stages, [*written, results.TABLE, results.SUMMARY])


def _of_files(promise: str, unit: str, looks: Looks) -> Iterator[Finding]:
    """Findings of looks at files."""
    for path, look in looks:
        yield Finding(
            subject=str(path),
            promise=promise,
            num_checked=1,
            unit=unit,
            broken=said(path, look),
        )


def report(findings: list[Finding]) -> str:
    """A line per promise over all chains and files, then one for each broken promise."""
    lines = []
    promises = dict.fromkeys(finding.promise for finding in findings)
    width = max(map(len, promises), default=0)
    for promise in promises:
        same = [finding for finding in findings if finding.promise == promise]
        broken = [finding for finding in same if finding.broken]
        num = sum(finding.num_checked for finding in same)
        unit = same[0].unit
        checked, subjects = _count(num, unit), unit
        if unit == ROUNDS:
            checked, subjects = f"{checked} of {_count(len(same), CHAINS)}", CHAINS
        verdict = f"broken in {_count(len(broken), subjects)}" if broken else "holds"
        lines.append(f"{promise:<{width}}  {verdict} ({checked})")
        lines += [f"  {finding.subject}: {finding.broken}" for finding in broken]
    return "\n".join(lines)


def _count(num: int, things: str) -> str:
    """A number of things in words, such as ``1 chain``."""
    return f"{num} {things.removesuffix('s') if num == 1 else things}"
