"""Train one round and write its weights, masks, results, curves and timing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, parquet, paths
from pipeline.core.models.totals import sizes
from pipeline.plan.items import Item
from pipeline.run import trainings
from pipeline.run.finished import Finished
from pipeline.run.sources import Source


def run(
    item: Item, source: Source, settings: dict[str, Any], *, at_once: int | None
) -> None:
    """Train all seeds of an instance and write its artifacts.

    Args:
        item: which round of which variant, and where its files lie.
        source: what to train.
        settings: what stands behind the result, recorded with it.
        at_once: trainings side by side; None = as many as cores.
    """
    started = datetime.now(UTC)
    done = trainings.run(source, at_once=at_once)
    # Timing is first: a round is tracked as soon as its results are there.
    by_seed = {one.seed: one for one in done}
    files.save_json(item.path("timing"), trainings.timing(by_seed, started))
    _write(item, source, done, _result(item, source, settings, done))
    trainings.forget(source)


def show(
    item: Item, source: Source, settings: dict[str, Any], one: Finished, below: Path
) -> None:
    """Write the result of one finished seed, as the stage will, for those who look on.

    Args:
        item: which round of which variant.
        source: of the training.
        settings: what stands behind the result.
        one: the finished seed.
        below: folder that stands for the root.
    """
    ended = datetime.now(UTC)
    started = ended - timedelta(seconds=one.timing["seconds"])
    group = f"s{one.seed}"
    files.save_json(
        below / item.path("timing").parent / f"{group}.json",
        trainings.timing({one.seed: one}, started),
    )
    results = below / item.path("results").parent / group
    _write_results(results, [one], _result(item, source, settings, [one]))


def _result(
    item: Item, source: Source, settings: dict[str, Any], done: list[Finished]
) -> dict[str, Any]:
    """The content of result.json."""
    return {
        "task": item["task"],
        "variant": item["variant"],
        "round": item.number("round"),
        "engine": done[0].engine,
        "settings": settings,
        **sizes(source.network(), done[0].facts["kept"]),
        "seeds": {one.seed: one.facts | _before(source, one) for one in done},
    }


def _write(
    item: Item, source: Source, done: list[Finished], result: dict[str, Any]
) -> None:
    """Collect the finished seeds into the artifacts of the instance."""
    with files.atomic_folder(item.path("trained")) as folder:
        for one in done:
            for part in source.parts:
                name = paths.seed_file(one.folder, one.seed, part)
                files.copy(name, folder / name.name)
    _write_results(item.path("results"), done, result)


def _write_results(results: Path, done: list[Finished], result: dict[str, Any]) -> None:
    """Write the facts and the learning curves of finished seeds."""
    with files.atomic_folder(results) as folder:
        files.save_json(folder / "result.json", result)
        curves = [parquet.load_curves(one.folder / f"s{one.seed}.parquet") for one in done]
        parquet.save_curve_table(folder / "curves.parquet", curves)


def _before(source: Source, one: Finished) -> dict[str, Any]:
    """The hash of θ₀ behind a start, and what its mask was pooled from."""
    theta0 = files.load_facts(paths.seed_file(source.starts, one.seed))["theta0"]
    return {"theta0": str(theta0)} | pooled_from(source.masks, one.seed)


def pooled_from(masks: Path | None, seed: int) -> dict[str, Any]:
    """The rounds that joined the pool of a mask, as its file says; else nothing."""
    known = files.load_facts(files.mask_file(masks, seed)) if masks else {}
    return {"pool": known["pool"]} if "pool" in known else {}
