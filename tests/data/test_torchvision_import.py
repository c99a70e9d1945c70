"""torchvision is imported with and without its operators.

Each case has its own process, because imports and operators cannot be undone.
"""

import os
import subprocess
import sys
from pathlib import Path

# A torchvision that fails as the wheel does beside a CPU-only torch.
BROKEN = """
import torch.library
@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold): ...
"""
# One whose operators are there.
WORKING = """
import torch.library
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
OTHER_ERROR = "raise RuntimeError('operator torchvision::roi_align does not exist')"


def run(code, *, torchvision=None, folder=None):
    """Run code in a new process, with the given text as torchvision if there is one."""
    search = [str(Path(__file__).parents[2])]
    if torchvision is not None:
        package = folder / "torchvision"
        package.mkdir()
        (package / "__init__.py").write_text(torchvision)
        (package / "datasets.py").write_text("MNIST = 'stand-in'")
        search.insert(0, str(folder))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(search)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_torchvision_can_be_used():
    done = run(
        "from pipeline.data.torchvision_import import datasets\n"
        "print(datasets().MNIST.__module__, datasets().CIFAR10.__module__)"
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        "torchvision.datasets.mnist",
        "torchvision.datasets.cifar",
    ]


def test_missing_operators_are_declared_and_the_import_repeated(tmp_path):
    done = run(
        "import torch, pipeline.data.torchvision_import as cure\n"
        "print(cure.datasets().MNIST, len(cure._declared))\n"
        "print(torch.ops.torchvision.nms.default._schema)",
        torchvision=BROKEN,
        folder=tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("stand-in 1\ntorchvision::nms(Tensor dets")


def test_nothing_is_changed_if_the_operators_load(tmp_path):
    done = run(
        "import sys, pipeline.data.torchvision_import as cure\n"
        "import torchvision\n"
        "print(cure.datasets().MNIST, len(cure._declared))\n"
        "assert sys.modules['torchvision'] is torchvision",
        torchvision=WORKING,
        folder=tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout == "stand-in 0\n"


def test_any_other_error_is_passed_on(tmp_path):
    done = run(
        "from pipeline.data.torchvision_import import datasets; datasets()",
        torchvision=OTHER_ERROR,
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert "torchvision::roi_align does not exist" in done.stderr
