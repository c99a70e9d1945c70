"""Choose the runs to read, and say which are missing.

People delete runs and tags in MLflow's page. So a run counts only if it says what it is
of, a child run only if it is finished and its run is there.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.artifacts.paths import DENSE
from pipeline.config import params
from pipeline.tracking.held import Held, held
from pipeline.tracking.kinds import KINDS, NUMBERS, TrackedKind
from pipeline.tracking.runs import Tree

if TYPE_CHECKING:
    from mlflow.entities import Run

Runs = Held | Literal["current", "all"]
"""the runs of a workspace; those that the store marks as current; or every run"""


def asked_for(experiment: str | None, root: Path = Path()) -> tuple[str, Runs]:
    """The experiment to read, and which of its runs, for who asks in a workspace.

    Args:
        experiment: its name; None = that of params.yaml, which has to be there then.
        root: of the workspace.

    Returns:
        The runs of the workspace, if the experiment is its own.
    """
    if experiment is not None and not (root / params.FILE).exists():
        return experiment, "current"
    settings = params.load(root)
    if experiment in (None, settings.experiment):
        return settings.experiment, held(settings, root)
    assert experiment is not None
    return experiment, "current"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs are read."""

    runs: Runs

    @property
    def held(self) -> Held | None:
        """The runs of a workspace, if these are asked for."""
        return None if isinstance(self.runs, str) else self.runs

    @property
    def all_runs(self) -> bool:
        """Whether every run is read."""
        return self.runs == "all"

    def chains(self, runs: Iterable["Run"], rounds: Iterable["Run"]) -> list[Tree]:
        """Chains with their rounds; round 0 is borrowed from the dense network's chain.

        A dense network stands for itself only if no other chain has it.
        """
        trees = _trees(runs, rounds, KINDS["chain"])
        found = []
        for tree in filter(self._is_chosen, trees.values()):
            dense = trees.get(tree.run.data.tags.get("dense", ""))
            first = [] if dense is None or dense is tree else dense.children[:1]
            own = [c for c in tree.children if not (first and _round(c) == 0)]
            children = [*first, *(child for child in own if self._is_held(tree, child))]
            found.append(replace(tree, children=children))
        taken = {
            t.run.data.tags.get("dense")
            for t in found
            if t.run.data.tags["variant"] != DENSE
        }
        return [t for t in found if t.run.data.tags["key"] not in taken]

    def others(
        self, kind: TrackedKind, runs: Iterable["Run"], children: Iterable["Run"]
    ) -> list[Tree]:
        """Runs of another kind than chains, such as analyses with their places."""
        trees = _trees(runs, children, kind)
        return [
            replace(tree, children=[c for c in tree.children if self._is_held(tree, c)])
            for tree in filter(self._is_chosen, trees.values())
        ]

    def lacking(
        self, found: Sequence[Tree], variants: Collection[str] | None
    ) -> tuple[str, ...]:
        """The runs that should be among the chosen ones and are not, by name.

        Args:
            found: the runs that were chosen, with their children.
            variants: only of these; None = of all.
        """
        names: list[str] = []
        for tree in found:
            tags = tree.run.data.tags
            if variants is None or tags.get("variant", tags.get("of")) in variants:
                there = {_place(child) for child in tree.children}
                wanted = self._wanted(tree)
                names += [f"{tree.run.info.run_name} {w}" for w in wanted if w not in there]
        known = {tree.run.data.tags["key"] for tree in found}
        known |= {tree.run.data.tags.get("dense", "") for tree in found}
        for key, run in (self.held or {}).items():
            variant = key.split("/")[1]
            if key not in known and (variants is None or variant in variants):
                names.append(run.name)
        return tuple(dict.fromkeys(names))

    def _wanted(self, tree: Tree) -> Iterator[str]:
        """The children that a run should have, as people call them."""
        tags = tree.run.data.tags
        if self.held is not None:
            names: Iterable[str] = self.held[tags["key"]].children
        elif self.all_runs or "current" not in tags:
            names = tree.recorded
        else:
            names = [n for n in tree.recorded if _in_span(n, tags)]
        is_chain = "variant" in tags
        yield from (f"round {name}" if is_chain else name for name in names)

    def _is_chosen(self, tree: Tree) -> bool:
        tags = tree.run.data.tags
        if self.held is not None:
            return tags["key"] in self.held
        return self.all_runs or tags.get("current") == "true"

    def _is_held(self, tree: Tree, child: "Run") -> bool:
        if self.held is not None:
            name = child.data.tags.get(child.data.tags["kind"])
            return name in self.held[tree.run.data.tags["key"]].children
        return self.all_runs or child.data.tags.get("current") == "true"


def _in_span(name: str, tags: Mapping[str, str]) -> bool:
    """Whether a child run is among those that the run's tag calls current."""
    span = next((tags[n] for n in tags if n.startswith("current_")), "")
    first, dash, last = span.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and name.isdecimal():
        return int(first) <= int(name) <= int(last)
    return name in span.split(", ")


def _trees(
    runs: Iterable["Run"], children: Iterable["Run"], kind: TrackedKind
) -> dict[str, Tree]:
    """Key -> the run of that key with most children, each round or place once."""
    mine: dict[str, list[Run]] = defaultdict(list)
    for child in children:
        if _says(child, kind.child_tags) and "density" in child.data.metrics:
            mine[child.data.tags.get("mlflow.parentRunId", "")].append(child)
    found: dict[str, Tree] = {}
    for run in runs:
        if _says(run, kind.tags):
            whole = Tree(run=run, children=mine[run.info.run_id])
            kept = list(whole.complete(kind.child).values())
            tree = Tree(run=run, children=sorted(kept, key=_round))
            other = found.get(run.data.tags["key"])
            if other is None or len(other.children) < len(kept):
                found[run.data.tags["key"]] = tree
    return found


def _says(run: "Run", names: Sequence[str]) -> bool:
    """Whether a run has these tags, and numbers where there have to be some."""
    tags = run.data.tags
    return all(n in tags and (n not in NUMBERS or tags[n].isdecimal()) for n in names)


def _is_round(child: "Run") -> bool:
    return bool(child.data.tags.get("kind") == "round")


def _round(child: "Run") -> int:
    return int(child.data.tags["round"])


def _place(child: "Run") -> str:
    tags = child.data.tags
    return f"round {tags['round']}" if _is_round(child) else tags.get(tags["kind"], "")
