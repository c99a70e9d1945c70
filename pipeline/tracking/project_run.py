"""Name the run that `mlflow run` has made, which would else stay empty and randomly named.

    python -m pipeline.tracking.project_run

`mlflow run` makes a run of its own before it starts anything, in the experiment *Default*
unless told otherwise. Results are in the experiment of params.yaml, in runs of variants;
so this run says where to find them. The commands of MLproject begin with this.
"""

import os
from pathlib import Path

from pipeline.border import exits, notes
from pipeline.config import params
from pipeline.tracking import experiments
from pipeline.tracking.addresses import TrackingError, store_uri
from pipeline.tracking.formats import NOTE
from pipeline.tracking.store import opened

RUN = "MLFLOW_RUN_ID"


def name_run() -> None:
    """Give the run of this process a name and a description, if it has one."""
    run_id = os.environ.get(RUN)
    if run_id is None:
        return
    experiment = params.load().experiment
    uri = store_uri(Path())
    try:
        with opened(uri) as client:
            client.update_run(run_id, name=f"mlflow run: {experiment}")
            known = client.get_experiment_by_name(experiment)
            where = (
                f"[{experiment}]({experiments.view(uri, known.experiment_id)})"
                if known
                else f"*{experiment}*"
            )
            note = f"The results are in the experiment {where}, in runs of variants."
            client.set_tag(run_id, NOTE, note)
    except TrackingError as error:
        notes.warn(str(error))


if __name__ == "__main__":
    with exits.one_line_errors():
        name_run()
