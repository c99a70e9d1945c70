"""Stage ``data``: read a raw data set, split it, and keep it in one file.

python -m pipeline.stages.data mnist
"""

import os
import sys
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.border import exits
from pipeline.border import root as repository
from pipeline.config import params
from pipeline.data import raw


def run(name: str) -> None:
    """Read, check and save the data set; needs no raw data once it is in the cache."""
    access = params.load().data
    root = Path(os.environ.get("LT_DATA_ROOT") or access.root).expanduser()
    if not root.is_absolute():
        root = repository.enclosing(Path.cwd()) / root
    data = raw.read(name, root=root, download=access.download)
    files.save_dataset(paths.data_file(name), data)


if __name__ == "__main__":
    with exits.one_line_errors():
        run(sys.argv[1])
