"""One thin file per DVC stage: read artifacts, call the core, write artifacts.

``python -m pipeline.stages.NAME`` imports this package before the stage's own imports,
which take up to a second. So the stage follows its dvc from here on.
"""

from pipeline.run.executors import lifeline

lifeline.watch_dvc()
