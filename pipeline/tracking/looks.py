"""Record at which numbers of seeds an experiment is judged, before it is judged.

The declaration of params.yaml stands in a tag of the MLflow experiment. One that is changed
while there are results to look at, in the workspace or in the store, is no declaration: it
stays beside the first, and the experiment counts as open-ended.
"""

import json
from collections.abc import Callable, Collection, Mapping

from pipeline.core.looks import DEFAULT, Looks

TAG = "looks"
"""a list of declarations, each a list of numbers of seeds; [] = open-ended"""


def looks_tag(
    tags: Mapping[str, str],
    looks: Looks,
    seeds: Collection[int],
    stored: Callable[[], Collection[int]],
) -> str:
    """The tag after another declaration.

    Args:
        tags: of the experiment so far.
        looks: declared now.
        seeds: with results in the workspace.
        stored: gives those with results in the experiment; asked where looks change.
    """
    now, before = list(looks.at), _declared(tags)
    if before and before[-1] == now:
        return json.dumps(before)
    known = frozenset(stored())
    if known and not before:
        before = [list(DEFAULT.at)]  # of a version that declared none
    if before and before[-1] == now:
        return json.dumps(before)
    first = min((one[0] if one else 0 for one in [*before, now]), default=0)
    kept = before if len(known.union(seeds)) >= first else []
    return json.dumps([*kept, now])


def declared_looks(tags: Mapping[str, str]) -> Looks:
    """The looks that an experiment is judged at.

    Args:
        tags: of the experiment. Results of versions that declared none have the default.
    """
    found = _declared(tags)
    if not found:
        return DEFAULT
    return Looks(at=tuple(found[0]) if len(found) == 1 else ())


def _declared(tags: Mapping[str, str]) -> list[list[int]]:
    try:
        found = json.loads(tags.get(TAG, "[]"))
        return [[int(number) for number in one] for one in found]
    except (ValueError, TypeError):
        return [[]]  # somebody has edited it, so nothing is known to be declared
