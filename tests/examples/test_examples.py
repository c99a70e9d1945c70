"""Each folder of examples/ runs to its end at two steps, from a copy in an empty folder."""

import importlib
import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import experiment
from helpers.workspace import ROOT
from ruamel.yaml import YAML

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.data.facts import FACTS
from pipeline.inspect import verification
from pipeline.plan import plan_file
from pipeline.stages import data, results

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/params.yaml"))
MAKERS = {
    "image-folder": "make_images",
    "mask-from-file": "make_mask",
    "photographs": "make_images",
    "tabular": "make_table",
}
SHARED = {"photographs": "image-folder"}
"""example -> the example whose files it uses, too"""
SLOW = {"torchvision-resnet", "photographs", "mask-from-file"}
"""eleven million weights, and more; or stages that other tests run"""


def copy_of(example: str, folder: Path) -> None:
    """The example beside a dvc.yaml, cut to one round of two steps."""
    for one in (SHARED.get(example, example), example):
        shutil.copytree(ROOT / "examples" / one, folder, dirs_exist_ok=True)
    (folder / "pipeline").mkdir()
    (folder / "dvc.yaml").touch()
    raw = params.parse_yaml((folder / params.FILE).read_text())
    raw |= {"rounds": 1, "seeds": [0], "workers": 1}
    for task in raw["tasks"].values():
        task["train"] |= {"steps": 2, "evaluate_every": 1, "batch_size": 8}
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False  # inside { } DVC takes no name with a colon
    with (folder / params.FILE).open("w") as opened:
        writer.dump(raw, opened)


def forget(package: str) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        del sys.modules[name]


def made(module: str) -> ModuleType:
    forget(module)
    return importlib.import_module(module)


@pytest.fixture
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    forget("mine")
    yield
    forget("mine")


def noise() -> Dataset:
    rng = np.random.default_rng(0)

    def part(num: int) -> Split:
        images = rng.integers(0, 256, (num, 3, 32, 32), dtype=np.uint8)
        return Split(inputs=images, labels=np.arange(num) % 10)

    known = FACTS["cifar-10"].description.images
    description = of_images((3, 32, 32), classes=10, mean=known.mean, std=known.std)
    return Dataset(
        train=part(16), validation=part(8), test=part(8), description=description
    )


@pytest.mark.usefixtures("_in_its_folder")
@pytest.mark.parametrize(
    "example",
    [pytest.param(e, marks=pytest.mark.slow) if e in SLOW else e for e in EXAMPLES],
)
def test_an_example_runs_to_its_end_at_two_steps(example: str, tmp_path: Path) -> None:
    copy_of(example, tmp_path)
    if example in MAKERS:
        made(MAKERS[example]).main()
    current = plan_file.write(params.load(), tmp_path)
    for name in current["data"]:
        if name == "digits":
            data.run(name)
        else:
            files.save_dataset(paths.data_file(name), noise())
    experiment.run_prepared()
    results.run()
    for stage in ("train", "retrain"):
        for item in current[stage].values():
            (result,) = Path(str(item["results"])).glob("*.json")
            assert files.load_json(result)["seeds"]["0"]["steps"] == 2
    looks = verification.contents(params.load(), current)
    assert [problem for _, look in looks if (problem := look())] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_dvc_reads_an_example_and_its_writer_leaves_it_readable(example: str) -> None:
    text = (ROOT / "examples" / example / params.FILE).read_text()
    written = io.StringIO()
    writer = YAML()  # as for `dvc exp run -S`
    writer.dump(writer.load(text), written)
    for one in (text, written.getvalue()):
        assert YAML(typ="safe").load(one) == params.parse_yaml(text)


def test_there_are_examples() -> None:
    assert set(MAKERS) | SLOW < set(EXAMPLES)
