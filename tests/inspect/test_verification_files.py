"""Verify finds every artifact that is damaged: each kind of file, in every field.

Two checks look at a file: what it must hold, as computed from the others, and the bytes
that DVC has recorded. The second finds everything; the first needs no dvc.lock, and finds
all but numbers that nothing else in the artifacts tells, which are listed here.
"""

import contextlib
import errno
import io
import json
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import experiment, standings
from helpers.experiment import CONNECTION, INSTABILITY
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.inspect import verification
from pipeline.inspect.verification import recorded, results
from pipeline.inspect.verification.looking import Subject, said
from pipeline.plan import fingerprints, plan_file, records
from pipeline.plan.items import Item, Plan, items_of

_OWN = experiment.raw()["variants"]["ticket"]
EARLY = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}
CHANGES: dict[str, Any] = {
    "rounds": 1,
    "analyses": {"stable": INSTABILITY | {"steps": [1]}, "near": CONNECTION},
    "tasks__main__train__steps": 4,
    "variants": {
        "ticket": _OWN | {"rewind": EARLY},
        "slow": _OWN | {"prune": _OWN["prune"] | {"schedule": "gradual"}},
        "first": _OWN
        | {"prune": _OWN["prune"] | {"schedule": "at-init", "criterion": "snip"}},
        "scored": _OWN
        | {
            "prune": {
                "mask": "own",
                "schedule": "edge-popup",
                "scope": "global",
                "fraction": {"fc": 0.4, "output": 0.4},
                "scores": {"optimizer": "sgd", "lr": 0.5, "momentum": 0.9},
            }
        },
    },
    "approximations": {"strong": experiment.APPROXIMATION},
}
UNKNOWN = (
    r"results/.*/curves.parquet (loss|accuracy) .*",
    r"results/.*/result.json seeds.\d.kept_steps\..* other",
    r"timing/.*(seconds|steps_per_s|host|cpu|started|ended|versions\.\w+) (other|text)",
    r"lines/.*/lines.parquet (loss|error) .*",
    r"lines/.*/lines.json seeds\.\d\.0\.(?!statistics).*",
    r"lines/.*/lines.json seeds\.\d\.0 (extra|missing)",
    r"copies/.* fact (?!density|kept|collapsed|start|mask|trained).*",
)
"""numbers of which only the recorded bytes tell that they have changed"""

Mutation = tuple[str, bytes]


@pytest.fixture(scope="module")
def damaged_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An experiment with every kind of file, which is the working directory."""
    root = tmp_path_factory.mktemp("verified")
    experiment.write(root, **CHANGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        experiment.run()
        standings.record(Path())
        yield root


@pytest.fixture(scope="module")
def known(damaged_root: Path) -> tuple[Settings, Plan]:
    settings = params.load()
    return settings, plan_file.check(settings)


def arrays_of(path: Path) -> Iterator[Mutation]:
    """Changes of a safetensors file: every tensor, every fact."""
    arrays, facts = files.load_arrays(path), files.load_facts(path)

    def written(arrays: dict[str, Any], facts: object) -> bytes:
        return bytes(save(arrays, metadata={"facts": json.dumps(facts, sort_keys=True)}))

    for name, values in arrays.items():
        for change, new in changed_arrays(values):
            kept = arrays | ({name: new} if new is not None else {})
            if new is None:
                del kept[name]
            yield f"{name} {change}", written(kept, facts)
    yield "extra tensor", written(arrays | {"more": np.ones(1, np.float32)}, facts)
    for change, new_facts in changed_json(facts):
        yield f"fact {change}", written(arrays, new_facts)
    yield "no facts", bytes(save(arrays))
    yield from bytes_of(path)


def changed_arrays(values: NDArray[Any]) -> Iterator[tuple[str, Any]]:
    yield "missing", None
    yield "flat", values.reshape(-1) if values.ndim > 1 else values[None]
    yield "shorter", np.ascontiguousarray(values[:-1])
    yield "of another type", values.astype(np.float16 if values.dtype != bool else np.uint8)
    for place in {0, values.size - 1}:
        new = values.copy()
        if values.dtype == bool:
            new.flat[place] = not new.flat[place]
        elif values.dtype.kind == "f":
            new.flat[place] += 1e-3
        else:
            new.flat[place] ^= 1
        yield f"other at {place}", new
    if values.dtype.kind == "f":
        new = values.copy()
        new.flat[0] = np.nan
        yield "nan", new


def changed_json(value: object, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below, changed in turn, with its place."""
    if isinstance(value, dict) and value:
        for key in value:
            yield f"{where}{key} missing", {k: v for k, v in value.items() if k != key}
            if where == "seeds." and key != max(value):
                continue  # a seed is like the other
            for name, inner in changed_json(value[key], f"{where}{key}."):
                yield name, value | {key: inner}
        yield f"{where.removesuffix('.') or 'it'} extra", value | {"more": 1}
    elif isinstance(value, list) and value:
        for name, inner in changed_json(value[0], f"{where}0."):
            yield name, [inner, *value[1:]]
        yield f"{where.removesuffix('.')} shorter", value[:-1]
    else:
        yield f"{where.removesuffix('.')} other", other(value)
        yield f"{where.removesuffix('.')} list", [value]
        yield f"{where.removesuffix('.')} text", f"{value}!"


def other(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        # A time stays one, and a digest a digest.
        return re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 8), value, count=1) + (
            "" if re.search(r"\d", value) else "x"
        )
    return [1] if isinstance(value, list) else {"more": 1}


def json_of(path: Path) -> Iterator[Mutation]:
    for name, value in changed_json(json.loads(path.read_text())):
        yield name, files.json_text(value).encode()
    yield "a list", b"[]"
    yield "null", b"null"
    yield from bytes_of(path)


def parquet_of(path: Path) -> Iterator[Mutation]:
    with pq.ParquetFile(path) as opened:
        table = opened.read()

    def written(table: pa.Table) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()

    rows = table.to_pylist()
    for name in table.column_names:
        for place in sorted({0, len(rows) // 2, len(rows) - 1}):
            new = deepcopy(rows)
            new[place][name] = other(new[place][name])
            yield f"{name} {place}", written(pa.Table.from_pylist(new, table.schema))
        yield f"no column {name}", written(table.drop([name]))
    yield "a row less", written(table.slice(0, len(rows) - 1))
    yield "a row twice", written(pa.concat_tables([table, table.slice(0, 1)]))
    yield "other order", written(table.take(list(reversed(range(len(rows))))))
    yield from bytes_of(path)


def bytes_of(path: Path) -> Iterator[Mutation]:
    content = path.read_bytes()
    yield "empty", b""
    yield "cut off", content[: len(content) // 2]
    yield "garbage", b"\x80" * len(content)


MUTATIONS = {".safetensors": arrays_of, ".json": json_of, ".parquet": parquet_of}


def files_of(item: Item) -> Sequence[Path]:
    outs = [item.path(field) for field in item.kind.writes]
    found = [f for out in outs for f in ([out] if out.is_file() else sorted(out.iterdir()))]
    # A seed is like the other, and a copy too.
    return [f for f in found if "s0" not in f.name.split(".")[0] and "-b." not in f.name]


CASES = [
    ("data", 0),
    ("init", 0),
    ("train", 0),
    ("early", 0),
    ("prune", 0),
    ("rewind", 0),
    ("retrain", 0),
    ("retrain", 1),
    ("retrain", 3),
    ("copies", 0),
    ("lines", 0),
    ("lines", 1),
    ("approximations", 0),
]


def test_undamaged_files_are_found_to_be_so(known: tuple[Settings, Plan]) -> None:
    found = verification.verify(*known)
    assert {f.subject: f.broken for f in found if f.broken} == {}
    looked_at = {f.subject for f in found if f.promise == verification.CONTENTS}
    every = {
        str(path)
        for path in Path("artifacts").rglob("*.*")
        if path.is_file() and not path.is_relative_to(fingerprints.FOLDER)
    }
    assert looked_at == every | {str(results.TABLE), str(results.SUMMARY)}


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_every_change_of_a_file_is_found(
    known: tuple[Settings, Plan], kind: str, number: int
) -> None:
    settings, plan = known
    refuse_unnoticed(settings, list(items_of(plan, kind))[number])


def own_data() -> dict[str, Any]:
    """Settings with data of the user's of every kind, and a mask from a file."""
    main = experiment.raw()["tasks"]["main"]
    sources: dict[str, Any] = {
        "vectors": {"npz": "vectors.npz"},
        "images": {"npz": "images.npz"},
        "tokens": {"arithmetic": {"operation": "x + y", "modulus": 13}},
    }
    by_tokens = {"data": "tokens", "model": {"name": "token-mlp", "widths": [4, 4]}}
    fixed = {"prune": {"mask": {"file": "mask.safetensors"}}, "rewind": {"to": "theta0"}}
    return {
        "rounds": 1,
        "datasets": sources,
        "tasks": {"main": main}
        | {name: main | {"data": name} for name in ("vectors", "images")}
        | {"tokens": main | by_tokens},
        "variants": {"fixed": fixed | {"tasks": ["main"]}},
    }


@pytest.fixture(scope="module")
def given_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment in which every stage that reads a file of the user's has run."""
    root = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(root / "vectors.npz", inputs=rng.random((60, 4)), labels=labels)
    images = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(root / "images.npz", inputs=images, labels=labels)
    save_file({"fc1.weight": rng.random((8, 64)) < 0.5}, root / "mask.safetensors")
    with contextlib.chdir(root):
        experiment.write(Path(), **own_data())
        for item in items_of(plan_file.check(params.load()), "data", "own", "given"):
            experiment.STAGES[item.kind.name].run(item.key)
        standings.record(Path())
    return root


@pytest.mark.parametrize("number", range(4))
def test_every_change_of_what_was_read_from_the_user_is_found(
    given_root: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(given_root)
    settings = params.load()
    every = list(items_of(plan_file.check(settings), "own", "given"))
    assert len(every) == 4
    refuse_unnoticed(settings, every[number])


def refuse_unnoticed(settings: Settings, item: Item) -> None:
    """Change each file of an instance in every way; the two checks have to find it."""
    raw = params.resolved()
    outs = [item.path(field) for field in item.kind.writes]
    in_bytes = list(recorded.outputs([item.stage], outs))
    wrong: list[str] = []
    num = 0
    for path in files_of(item):
        content = path.read_bytes()
        name = path.relative_to("artifacts").as_posix()
        for change, new in MUTATIONS[path.suffix](path):
            what = f"{name} {change}"
            assert new != content, f"{what} changes nothing"
            path.write_bytes(new)
            num += 1
            subject = Subject(settings=settings, item=item, raw=raw, datasets={})
            found = [p for p, look in verification.contents_of(subject) if said(p, look)]
            if path not in found and not any(re.fullmatch(one, what) for one in UNKNOWN):
                wrong.append(f"{what}: contents ({found})")
            by_bytes = [out for out, look in in_bytes if look()]
            if len(by_bytes) != 1 or by_bytes[0] not in (path, path.parent):
                wrong.append(f"{what}: bytes")
        path.write_bytes(content)
    assert wrong == []
    assert num >= 20


@pytest.mark.parametrize("path", [results.TABLE, results.SUMMARY])
def test_every_change_of_a_table_is_found(known: tuple[Settings, Plan], path: Path) -> None:
    settings, _ = known
    content = path.read_bytes()
    try:
        for place in range(0, len(content) - 1, 29):
            new = bytearray(content)
            new[place] ^= 1
            path.write_bytes(new)
            found = [p for p, look in results.of_tables(settings) if said(p, look)]
            assert found == [path], place
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("path", [results.TABLE, results.SUMMARY])
@pytest.mark.parametrize("folder", [False, True])
def test_a_table_that_is_not_there_is_found_beside_all_else(
    known: tuple[Settings, Plan], path: Path, *, folder: bool
) -> None:
    content = path.read_bytes()
    try:
        path.unlink()
        if folder:
            path.mkdir()
        found = verification.verify(*known)
        assert {f.subject for f in found if f.broken} == {str(path)}
        assert len([f for f in found if f.subject == str(path)]) == 2
    finally:
        files.remove(path)
        path.write_bytes(content)


def test_a_file_that_the_system_does_not_give_is_found() -> None:
    def refused() -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "a.json")

    assert said(Path("a.json"), refused).startswith("Permission denied")


@pytest.mark.parametrize(
    ("lock", "said_of_it"),
    [
        (None, "is missing"),
        ("", "is damaged"),
        ("stages: [", "is damaged"),
        ("stages: 1", "is damaged"),
        ("schema: '2.0'\nstages: {}", "is not recorded in dvc.lock; run `dvc repro`"),
    ],
)
def test_a_lock_that_is_damaged_or_lacks_outputs_is_found(
    known: tuple[Settings, Plan], lock: str | None, said_of_it: str
) -> None:
    content = records.FILE.read_bytes()
    try:
        records.FILE.unlink()
        if lock is not None:
            records.FILE.write_text(lock)
        looks = list(verification.bytes_of(known[1]))
        assert all(said_of_it in said(*one) for one in looks)
        outs = sum(len(item.kind.writes) for item in items_of(known[1])) + 2
        assert len(looks) == (outs if "recorded" in said_of_it else 1)
    finally:
        records.FILE.write_bytes(content)


def test_a_folder_in_the_place_of_a_file_is_found(known: tuple[Settings, Plan]) -> None:
    settings, plan = known
    path = next(items_of(plan, "train")).path("trained") / "s1.mask.safetensors"
    content = path.read_bytes()
    try:
        files.remove(path)
        path.mkdir()
        found = {f.subject for f in verification.verify(settings, plan) if f.broken}
        assert {str(path), str(path.parent)} <= found
    finally:
        files.remove(path)
        path.write_bytes(content)
