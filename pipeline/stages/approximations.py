"""Stage ``approximations``: find trained networks in random ones, without training.

python -m pipeline.stages.approximations main-strong-r00-s0-3
"""

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.plan import items
from pipeline.run import approximations, instances


def run(key: str) -> None:
    """Save the subsets of every seed, and how close they come to the trained networks."""
    settings = params.load()
    item = items.find("approximations", key, settings)
    name = item["approximation"]
    asked = approximations.Asked(
        task=settings.tasks[item["task"]],
        approximation=settings.approximations[name],
        name=name,
        round=item.number("round"),
        data=item.path("data"),
        target=item.path("target"),
    )
    with files.atomic_folder(item.path("approximations")) as folder:
        facts = approximations.run(asked, item.seeds, folder, at_once=settings.workers)
        head = {
            "task": item["task"],
            "approximation": name,
            "round": asked.round,
            "settings": params.resolved()["approximations"][name],
        }
        files.save_json(folder / "approximation.json", head | {"seeds": facts})


if __name__ == "__main__":
    instances.run_keyed("approximations", run)
