"""One thin file per DVC stage: read artifacts, call the core, write artifacts.

``python -m pipeline.stages.NAME`` imports this package before the stage's own imports,
which take up to a second. So the stage follows its dvc from here on, and goes to the server
of stages if there is one.
"""

from pipeline.run.executors import lifeline, served

lifeline.watch_dvc()
served.hand_over(lifeline.dvc())
