"""What a training runs on: host, processor, versions."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "numpy", "numba")
"""which compute"""


def machine() -> dict[str, Any]:
    """Host, processor and versions, for the timing files."""
    return {"host": platform.node(), "cpu": _cpu_name(), "versions": versions()}


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that compute."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in LIBRARIES
    }


def processor(device: str) -> str:
    """What of a processor, or of the device of a training, decides how it computes."""
    if device != "cpu":
        import torch

        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    known = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(known[:2]) or f"{platform.machine()} {platform.processor()}"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
