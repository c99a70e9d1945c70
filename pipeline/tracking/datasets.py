"""The data sets behind results, as MLflow's inputs of runs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.artifacts import files, paths

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DIGEST = 36
"""characters of a digest that MLflow takes"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedData:
    """A prepared data set."""

    name: str
    digest: str
    """the first characters of that of its arrays"""
    profile: str
    """examples per split, as JSON"""
    source: str
    """its file below the root, as JSON"""


def data_of(root: Path, name: str) -> TrackedData | None:
    """The prepared data set of that name; None where its file is not here."""
    path = paths.data_file(name)
    return _read(root.resolve() / path, name, str(path)) if (root / path).exists() else None


@cache
def _read(file: Path, name: str, shown: str) -> TrackedData:
    return TrackedData(
        name=name,
        digest=files.load_facts(file)["digest"][:DIGEST],
        profile=json.dumps(files.dataset_sizes(file)),
        source=json.dumps({"uri": shown}),
    )


def log(client: "MlflowClient", run: "Run", data: Iterable[TrackedData]) -> None:
    """Name data sets as inputs of a run, unless it has them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = run.inputs.dataset_inputs if run.inputs else []
    known = {(one.dataset.name, one.dataset.digest) for one in inputs}
    new = [
        DatasetInput(
            Dataset(one.name, one.digest, "local", one.source, profile=one.profile),
            [InputTag("mlflow.data.context", "training")],
        )
        for one in data
        if (one.name, one.digest) not in known
    ]
    if new:
        client.log_inputs(run.info.run_id, datasets=new)
