"""Record at which numbers of seeds an experiment is judged, before it is judged.

The declaration of params.yaml stands in a tag of the MLflow experiment. One that is changed
while there are results to look at is no declaration: it stays beside the first, and the
experiment counts as open-ended.
"""

import json
from collections.abc import Mapping

from pipeline.core.looks import DEFAULT, Looks

TAG = "looks"
"""a list of declarations, each a list of numbers of seeds; [] = open-ended"""


def looks_tag(tags: Mapping[str, str], looks: Looks, num_seeds: int) -> str:
    """The tag after another declaration.

    Args:
        tags: of the experiment so far.
        looks: declared now.
        num_seeds: with results, those of now included.
    """
    before = _declared(tags)
    if before and before[-1] == list(looks.at):
        return json.dumps(before)
    first = min((one[0] if one else 0 for one in [*before, list(looks.at)]), default=0)
    kept = before if num_seeds >= first else []
    return json.dumps([*kept, list(looks.at)])


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
