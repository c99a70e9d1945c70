"""Describe the machine of a training: host, processor, versions."""

import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "numpy", "numba")
"""which compute"""
VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""environment variables by which the libraries choose how they compute"""


def machine() -> dict[str, Any]:
    """Host, processor and versions, for the timing files."""
    return {"host": platform.node(), "cpu": _cpu_name(), "versions": versions()}


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that compute."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    """They stay as they are in a process, and each is read from a file."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in LIBRARIES
    }


def processor(device: str) -> str:
    """The processor, or a training's device, as far as it decides how it computes."""
    if device != "cpu":
        import torch

        return torch.cuda.get_device_name(device)
    shown = ("model name", "flags", "Features")
    known = [line for line in _cpu_lines() if line.startswith(shown)]
    return "\n".join(known[:2]) or f"{platform.machine()} {platform.processor()}"


def variables() -> dict[str, str]:
    """Those of ``VARIABLES`` that are set here, with their values."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def _cpu_name() -> str:
    names = (li.partition(":")[2].strip() for li in _cpu_lines() if "model name" in li)
    return next(names, platform.processor())


def _cpu_lines() -> list[str]:
    """The description of the processor by Linux."""
    info = Path("/proc/cpuinfo")
    return info.read_text().splitlines() if info.exists() else []
