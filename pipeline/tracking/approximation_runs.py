"""Turn an approximation into the content of an MLflow run and its child runs.

Facts are logged under their names in approximation.json, at step = round of the target;
those of a layer with the layer's name behind a slash: ``error_median/fc1.weight``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.tracking.approximations import TargetResult, TrackedApproximation
from pipeline.tracking.datasets import data_of
from pipeline.tracking.formats import (
    markdown_table,
    name_of,
    network_and_data,
    params,
    weights_remaining,
)
from pipeline.tracking.kinds import CHILDREN
from pipeline.tracking.round_metrics import MetricValue
from pipeline.tracking.run_contents import ChildContent, Hashes, RunContent, artifact_tags
from pipeline.tracking.timing import Timing, timing_of

KIND = "approximation"
FACTS = (
    "epsilon",
    "error_median",
    "error_p99",
    "within",
    "target_accuracy",
    "accuracy",
    "agreement",
    "logit_difference",
    "target_weights",
    "weights_drawn",
    "weights_kept",
    "units_drawn",
    "kept_to_target",
)
"""the metrics of a target; the table that is read back has the same columns"""
SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "error_median": ".1e",
        "error_p99": ".1e",
        "epsilon": ".1e",
        "within": ".4f",
        "target_accuracy": ".4f",
        "accuracy": ".4f",
        "kept_to_target": ".1f",
    }
)
"""columns of the note -> their format"""


def of_approximation(
    root: Path, approximation: TrackedApproximation, hashes: Hashes
) -> RunContent:
    """The run of an approximation with one seed; its child runs are the targets.

    Their time is that at which the training of the target ended.

    Args:
        root: the folder with ``artifacts``.
        approximation: of the workspace.
        hashes: of artifacts.
    """
    by_name = {target.name: target for target in approximation.targets}
    network, name = approximation.first.network, approximation.first.approximation
    settings = params(approximation.first.settings)
    own = {"task": network.task, KIND: name, "seed": str(network.seed)}
    data = data_of(root, name_of(network.settings["data"]))

    def child(where: str) -> ChildContent:
        target = by_name[where]
        timing = timing_of(root, target.network)
        kept = artifact_tags(("approximations",), target.path, hashes)
        return ChildContent(
            name=f"{approximation.name}-{where}",
            started=timing.ended,
            ended=timing.ended,
            params={**settings, **own, CHILDREN[KIND]: where},
            tags={
                **_target_tags(target, timing),
                **kept,
                "result": approximation.digests[where],
            },
            metrics=lambda: _metrics(target, timing),
            curves=list,
        )

    return RunContent(
        name=approximation.name,
        key=approximation.key,
        kind=KIND,
        child_tag=CHILDREN[KIND],
        digests=approximation.digests,
        started=timing_of(root, network).ended,
        params={**settings, **own},
        tags={
            **_tags(approximation),
            **timing_of(root, approximation.targets[-1].network).machine,
        },
        note=_note(approximation),
        data=[data] if data else [],
        child=child,
    )


def _metrics(target: TargetResult, timing: Timing) -> list[MetricValue]:
    facts = target.facts
    values = {name: facts[name] for name in FACTS}
    for layer, account in facts["layers"].items():
        values |= {f"{name}/{layer}": value for name, value in account.items()}
    values |= {"density": target.network.facts["density"], "round": target.network.round}
    return [
        MetricValue(
            name=name,
            value=float(value),
            timestamp=timing.ended,
            step=target.network.round,
        )
        for name, value in values.items()
    ]


def _tags(approximation: TrackedApproximation) -> dict[str, str]:
    network, settings = approximation.first.network, approximation.first.settings
    asked = settings[KIND]
    densities = (target.network.facts["density"] for target in approximation.targets)
    return {
        "kind": KIND,
        "key": approximation.key,
        "task": network.task,
        KIND: approximation.first.approximation,
        "of": asked["of"],
        "construction": asked["construction"],
        "candidates": str(asked["candidates"]),
        "seed": str(network.seed),
        "data": name_of(settings["data"]),
        "model": name_of(settings["model"]),
        "densities": ", ".join(weights_remaining(density) for density in densities),
        "results": json.dumps(approximation.digests),
    }


def _target_tags(target: TargetResult, timing: Timing) -> dict[str, str]:
    network = target.network
    return {
        "kind": CHILDREN[KIND],
        "task": network.task,
        KIND: target.approximation,
        "seed": str(network.seed),
        CHILDREN[KIND]: target.name,
        "round": str(network.round),
        "weights_remaining": weights_remaining(network.facts["density"]),
        **timing.machine,
    }


def _note(approximation: TrackedApproximation) -> str:
    first = approximation.first
    asked = first.settings[KIND]
    head = (
        f"**{first.approximation}**: {asked['of']} with seed {first.network.seed} on "
        f"{network_and_data(first.settings)}, sought in a random network by construction "
        f"{asked['construction']} with {asked['candidates']} candidates per weight."
    )
    cells = [
        [
            target.name,
            weights_remaining(target.network.facts["density"]),
            *(format(target.facts[name], shown) for name, shown in SHOWN.items()),
        ]
        for target in approximation.targets
    ]
    columns = ("target", "weights remaining", *(n.replace("_", " ") for n in SHOWN))
    return f"{head}\n\n{markdown_table(columns, cells)}"
