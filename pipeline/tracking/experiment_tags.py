"""Tags of an MLflow experiment: its description, its saved view, its order of tasks."""

import json
from collections.abc import Sequence

from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import rows
from pipeline.tracking.analyses import TrackedAnalysis
from pipeline.tracking.approximations import TrackedApproximation
from pipeline.tracking.chains import Chain
from pipeline.tracking.formats import NOTE, network_and_data
from pipeline.tracking.saved_view import saved_view

TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
"""makes MLflow open the experiment on its table of runs without asking first"""
TASKS = "tasks"
"""the tag with the tasks in the order of params.yaml, which the runs do not keep"""


def experiment_tags(
    name: str,
    chains: Sequence[Chain],
    analyses: Sequence[TrackedAnalysis],
    approximations: Sequence[TrackedApproximation],
) -> dict[str, str]:
    """All tags of an experiment.

    Args:
        name: of the experiment.
        chains: in the order of the plan.
        analyses: of the experiment.
        approximations: of the experiment.
    """
    networks = sorted({network_and_data(chain.first.settings) for chain in chains})
    named = dict.fromkeys(chain.first.variant for chain in chains)
    variants = [name for name in named if name != DENSE] or list(named)
    seeds = {chain.first.seed for chain in chains}
    last = max((chain.rounds[-1].round for chain in chains), default=0)
    about = _about_analyses(analyses) + _about_approximations(approximations)
    text = f"""**{name}**: {"; ".join(networks)}. Variants {", ".join(variants)}; \
{len(seeds)} seeds; {last} rounds of pruning.

One run per variant and seed, with `step` = round (0 is the dense network, which is a \
variant of its own, too); its child runs, one per round, hold the learning curves.

- **Views → Compare variants** (top right) groups by task and variant, mean and min–max \
over seeds; its chart view draws accuracy and early-stop step by round and against density.
- Only what the workspace held that wrote last: filter `tags.current = "true"`; without \
the child runs: `tags.kind = "chain"`. Results of earlier settings and of temporary \
experiments (`tags.dvc_experiment`) stay with `current = "false"`.
- Rounds are found by their settings: `params.train.lr = "0.01" and metrics.density < 0.05`.
- The same as figures for a paper: `lt-pipeline plot`.{about}"""
    table = rows(record for chain in chains for record in chain.rounds)
    tasks = json.dumps(list(dict.fromkeys(chain.first.task for chain in chains)))
    return {NOTE: text, TASKS: tasks, **TRAINING_VIEW, **saved_view(table)}


def _about_analyses(analyses: Sequence[TrackedAnalysis]) -> str:
    names = list(dict.fromkeys(one.places[0].analysis for one in analyses))
    if not names:
        return ""
    return f"""
- Analyses {", ".join(names)}: `tags.kind = "analysis"`, one run per seed with `step` = \
round (step k for the dense network); child runs, one per place, hold the lines."""


def _about_approximations(approximations: Sequence[TrackedApproximation]) -> str:
    names = list(dict.fromkeys(one.first.approximation for one in approximations))
    if not names:
        return ""
    return f"""
- Approximations {", ".join(names)}: `tags.kind = "approximation"`, one run per seed with \
`step` = round of the target; child runs, one per target."""
