"""Kill a node of a Ray cluster while it trains: the bits must be those of ``dvc repro``.

    python benchmarks/cluster.py --out cluster.json

A small experiment (digits, two seeds, two rounds, all variants of the preset, the
reference engine) is run twice in fresh clones: by ``dvc repro`` alone, and by ``lt-pipeline
run --on ray`` on a cluster of four nodes of one core each on this machine
(``ray.cluster_utils``), one of which is killed when a fifth of the trainings is done. All
artifacts are compared but seconds and hosts. It needs the extra ``ray``. About 4 minutes on
two cores.
"""

import argparse
import hashlib
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import clone
import measuring
from measuring import Goal

from pipeline.artifacts import paths

NODES = 4
SHARE = 0.2
"""of the trainings, after which a node is killed"""
STORE_BYTES = 100_000_000
"""of a node's objects"""
OTHER = ("timing", "inputs")
"""folders of what may differ: seconds, hosts"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One run."""

    what: str
    seconds: float
    trainings: int
    """done by the walk"""
    killed: int
    """nodes"""


def settings(steps: int) -> clone.Params:
    """The small experiment."""
    return clone.preset(
        "digits",
        rounds=2,
        seeds=[0, 1],
        tasks__main__train__engine="reference",
        tasks__main__train__steps=steps,
        tasks__main__train__epochs=None,
    )


def make(root: Path, steps: int) -> None:
    """A new clone with the experiment, planned."""
    clone.make(root, settings(steps))
    clone.run(root, ["git", "init", "--quiet"])


def hashes(root: Path) -> dict[str, str]:
    """Everything that stages wrote, but for what may differ."""
    base = root / paths.FOLDER
    return {
        str(path.relative_to(base)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(base.rglob("*"))
        if path.is_file() and path.relative_to(base).parts[0] not in OTHER
    }


def alone(root: Path, steps: int) -> Row:
    """``dvc repro`` in a new clone."""
    make(root, steps)
    begin = time.monotonic()
    clone.run(root, clone.python("dvc", "repro"))
    seconds = time.monotonic() - begin
    return Row(what="dvc repro", seconds=seconds, trainings=0, killed=0)


def on_cluster(root: Path, steps: int) -> tuple[Row, str]:
    """``lt-pipeline run --on ray`` in a new clone, with a node killed; and what it said."""
    from ray.cluster_utils import Cluster

    make(root, steps)
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = [
            cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
            for _ in range(NODES)
        ]
        cluster.wait_for_nodes()
        begin = time.monotonic()
        process = subprocess.Popen(
            clone.python("pipeline.cli", "run", "--on", "ray"),
            cwd=root,
            env={**clone.environment(root), "RAY_ADDRESS": cluster.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said, done, killed = "", 0, 0
        for line in process.stdout:
            said += line
            print(line, end="", flush=True)
            if line.startswith("training ") and " of " in line:
                done, total = (int(word) for word in line.split(":")[0].split()[1::2])
                if not killed and done >= SHARE * total:
                    cluster.remove_node(nodes[-1], allow_graceful=False)
                    killed = 1
        if process.wait():
            raise RuntimeError(f"lt-pipeline run --on ray failed:\n{said}")
        seconds = time.monotonic() - begin
    finally:
        cluster.shutdown()
    return Row(what="--on ray", seconds=seconds, trainings=done, killed=killed), said


def main() -> None:
    """Run both, compare, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("cluster.json"))
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    asked = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        first = alone(base / "alone", asked.steps)
        second, _ = on_cluster(base / "cluster", asked.steps)
        wanted, found = hashes(base / "alone"), hashes(base / "cluster")
    other = sorted(n for n in wanted | found if wanted.get(n) != found.get(n))
    for row in (first, second):
        print(f"{row.what}: {row.seconds:.0f} s, {row.trainings} trainings in the walk")
    measuring.save(
        asked.out,
        begin,
        goals=[
            Goal(what="files with other bits", goal=0, measured=len(other), unit="files"),
            Goal(
                what="nodes killed",
                goal=1,
                measured=second.killed,
                unit="nodes",
                at_least=True,
            ),
        ],
        rows=[asdict(row) for row in (first, second)],
        files=len(wanted),
        other=other,
    )


if __name__ == "__main__":
    main()
