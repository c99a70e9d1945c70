"""The summary run of an experiment: its settings, tables and figures in one place."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.artifacts import contents, files, paths
from pipeline.border.root import enclosing
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.plan import compiler, items
from pipeline.results.tables import round_results
from pipeline.tracking import experiments
from pipeline.tracking.addresses import store_uri
from pipeline.tracking.chains import digest_of
from pipeline.tracking.formats import NOTE, flag
from pipeline.tracking.notes import merged
from pipeline.tracking.runs import dvc_experiment_tag
from pipeline.tracking.source_tags import source_tags
from pipeline.tracking.store import find_runs, locked, opened
from pipeline.tracking.timing import timing_of
from pipeline.tracking.write import SUMMARY

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TRACKED = paths.FOLDER / "tracked.txt"
"""what the stage ``track`` leaves: the digest of the results that it wrote and drew"""
FIGURES = Path("figures")
"""where the stage ``track`` draws them, and `lt-pipeline plot` as well"""
DRAWN = Path(".lt/drawn.json")
"""which files there the stage has drawn, and of which results"""
TABLES = (Path("results/rounds.csv"), Path("results/summary.json"))
FILES_TAG = "files"
"""the tag with the digest of the files that the run has"""
PLACE = ("workers", "data")
"""settings that decide no result"""


def results_digest(root: Path = Path()) -> str:
    """The SHA-256 of the plan and of all results: what was tracked and drawn."""
    content = hashlib.sha256((root / items.plan_path(root)).read_bytes())
    for file in [*contents.result_files(root), *contents.approximation_files(root)]:
        content.update(file.read_bytes())
    for file in contents.line_files(root):
        content.update(file.read_bytes())
        content.update(file.with_suffix(".parquet").read_bytes())
    return content.hexdigest()


def note_drawn(drawn: Iterable[Path], root: Path = Path()) -> None:
    """Note which files the stage ``track`` has drawn of the results that are here."""
    known = [[str(file), _sha256(root / file)] for file in drawn]
    files.save_json(root / DRAWN, {"results": results_digest(root), "files": known})


def figures_of_results(root: Path = Path()) -> list[Path]:
    """The files that the stage ``track`` drew of the results that are here.

    Those that were drawn over or deleted since then are left out.
    """
    path = root / DRAWN
    if not path.exists():
        return []
    noted = files.load_json(path)
    with files.understood(path):
        known = {root / name: digest for name, digest in noted["files"]}
        if noted["results"] != results_digest(root):
            return []
    return [file for file, digest in known.items() if _sha256(file) == digest]


def _sha256(file: Path) -> str:
    """The SHA-256 of a file; empty where there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def summarize(
    root: Path, uri: str | None, settings: Settings, figures: Sequence[Path]
) -> None:
    """Write the summary run of an experiment that is tracked.

    There is one for each state of the settings. It holds params.yaml, all settings with
    their defaults, the tables and the figures.

    Args:
        root: of the workspace.
        uri: the store, as for ``track``.
        settings: of the workspace.
        figures: their files, drawn of the results that the workspace has now.

    Raises:
        TrackingError: the store cannot be used.
    """
    uri = store_uri(root, uri)
    resolved = params.resolved(root)
    decisive = {n: value for n, value in resolved.items() if n not in PLACE}
    key = f"{SUMMARY}@{digest_of(decisive)}"
    tables = [root / table for table in TABLES if (root / table).exists()]
    kept = [root / params.FILE, *tables, *figures]
    marks = enclosing(root) == root.resolve()
    with locked(root), opened(uri) as client:
        number = experiments.number_of(client, settings.experiment)
        run = _run(client, number, key, root, marks=marks)
        note = merged(run.data.tags.get(NOTE, ""), _note(settings))
        experiment = dvc_experiment_tag(run, os.environ.get("DVC_EXP_NAME", ""))
        tags = {NOTE: note, "current": flag(marks), **_facts(root, settings), **experiment}
        for name, value in tags.items():
            if run.data.tags.get(name) != value:
                client.set_tag(run.info.run_id, name, value)
        digest = _digest(kept)
        stays = experiments.is_reachable(run.info.artifact_uri, uri)
        if run.data.tags.get(FILES_TAG) != digest and stays:
            _upload(client, run, root, kept, resolved)
            client.set_tag(run.info.run_id, FILES_TAG, digest)
        if run.info.status != "FINISHED":
            client.set_terminated(run.info.run_id, "FINISHED")


def _run(
    client: "MlflowClient", number: str, key: str, root: Path, *, marks: bool
) -> "Run":
    """The summary run of this key, new or as it is; those of other keys are not current."""
    found = find_runs(client, number, f"tags.kind = '{SUMMARY}'")
    for run in found if marks else ():
        if run.data.tags.get("key") != key and run.data.tags.get("current") == "true":
            client.set_tag(run.info.run_id, "current", "false")
    mine = [run for run in found if run.data.tags.get("key") == key]
    if mine:
        return mine[0]
    tags = {"kind": SUMMARY, "key": key, **source_tags(root)}
    return client.create_run(number, run_name=SUMMARY, tags=tags)


def _facts(root: Path, settings: Settings) -> dict[str, str]:
    """System facts: on which processors the results were made, and how long it took."""
    results = round_results(root, compiler.active(settings))
    trainings = list({(one.folder, one.seed): one for one in results}.values())
    timings = [(timing_of(root, one), one.seed) for one in trainings]
    cpus = {timing.machine.get("cpu", "") for timing, _ in timings} - {""}
    entries = [timing.of_seed(seed) for timing, seed in timings]
    known = [entry["seconds"] for entry in entries if "seconds" in entry]
    return {
        "trainings": str(len(trainings)),
        "training_seconds": f"{sum(known):.1f}",
        **({"cpu": "; ".join(sorted(cpus))} if cpus else {}),
    }


def _note(settings: Settings) -> str:
    return (
        f"The settings, tables and figures of **{settings.experiment}**, as a workspace "
        "held them when it wrote this: see *Artifacts*. The numbers are in the runs of the "
        "variants."
    )


def _upload(
    client: "MlflowClient",
    run: "Run",
    root: Path,
    kept: Iterable[Path],
    resolved: dict[str, object],
) -> None:
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "settings.json"
        whole.write_text(json.dumps(resolved, indent=2) + "\n", encoding="utf-8")
        client.log_artifact(run_id, str(whole))
    for file in kept:
        below = file.parent.name if file.parent.resolve() != root.resolve() else None
        client.log_artifact(run_id, str(file), below)


def _digest(kept: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for file in kept:
        content.update(file.name.encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:12]
