"""Check that results of approximations agree with the networks that they are of."""

from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.core.digests import digest
from pipeline.inspect.verification.looking import Looks, Subject, difference


def approximations(subject: Subject) -> Looks:
    """Subsets as their digest says, of these networks, and facts that say the same.

    That the subsets are the best is not computed again; it takes as long as the stage.
    """
    item = subject.item
    folder = item.path("approximations")
    table = folder / "approximation.json"
    for seed in item.seeds:
        path = paths.seed_file(folder, seed)

        def look_at_subsets(path: Path = path, seed: int = seed) -> str:
            named = files.load_json(table)["seeds"][str(seed)]
            wanted = named | {
                "target": digest(files.load_weights(item.path("target"), seed)),
                "subsets": digest(files.load_arrays(path)),
            }
            return difference(wanted, files.load_facts(path))

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
        return difference(wanted, files.load_json(table))

    yield table, look_at_facts
