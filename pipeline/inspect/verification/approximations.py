"""Whether the results of approximations agree with the networks that they are of."""

from pathlib import Path

import numpy as np

from pipeline.artifacts import files, paths
from pipeline.core.digests import digest
from pipeline.inspect.verification.looking import Looks, Subject, difference


def approximations(subject: Subject) -> Looks:
    """Subsets of the right shape, of these networks, and facts that say the same.

    That the subsets are the best is not computed again; it takes as long as the stage.
    """
    item = subject.item
    folder = item.path("approximations")
    for seed in item.seeds:
        path = paths.seed_file(folder, seed)

        def look_at_subsets(path: Path = path, seed: int = seed) -> str:
            facts = files.load_facts(path)
            wanted = digest(files.load_weights(item.path("target"), seed))
            num = {
                name: int(np.bitwise_count(subsets).sum())
                for name, subsets in files.load_arrays(path).items()
            }
            layers = facts["layers"]
            more = [n for n in num if num[n] > layers[n]["weights_kept"]]
            return (
                difference(wanted, facts["target"])
                or difference(sorted(layers), sorted(num))
                or (f"{more[0]} keeps more weights than counted" if more else "")
            )

        yield path, look_at_subsets

    def look_at_facts() -> str:
        wanted = {
            "task": item["task"],
            "approximation": item["approximation"],
            "round": item.number("round"),
            "settings": subject.raw["approximations"][item["approximation"]],
            "seeds": {
                str(seed): files.load_facts(paths.seed_file(folder, seed))
                for seed in item.seeds
            },
        }
        return difference(wanted, files.load_json(folder / "approximation.json"))

    yield folder / "approximation.json", look_at_facts
