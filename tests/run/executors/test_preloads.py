"""What workers share ends their server at once, and no other process."""

import subprocess
import sys

import pytest

from pipeline.run.executors.preloads import quick_end

IMPORT = f"import {quick_end.__name__}"


@pytest.mark.parametrize(("begin", "code"), [("", 3), (f"{quick_end.SERVER}; ", 0)])
def test_only_the_server_ends_without_its_exit_code(begin: str, code: int) -> None:
    command = [sys.executable, "-c", f"{begin}{IMPORT}; raise SystemExit(3)"]
    assert subprocess.run(command, check=False).returncode == code
