"""Stage ``networks``: note the digests of a chain's networks, up to a round.

A stage that reads the networks of many rounds reads them by the name that they have here.

python -m pipeline.stages.networks main-ticket-r03-s0-3
"""

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.plan import items
from pipeline.run import instances, networks


def run(key: str) -> None:
    """Save the folder and the digests of each round's networks, the dense ones first."""
    item = items.find("networks", key, params.load())
    files.save_json(item.path("networks"), networks.noted(item))


if __name__ == "__main__":
    instances.run_keyed("networks", run)
