"""The saved view "Compare variants" in the MLflow UI: filter, columns, grouped charts.

MLflow keeps a saved view as an experiment tag in the format that its browser application
writes (as of MLflow 3.17). A version that does not know the format ignores the tag.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

from pipeline.results.tables import Row

KEY = "lt-pipeline"
"""``?viewStateShareKey=lt-pipeline`` behind the experiment's address opens the view"""
FILTER = 'tags.current = "true" and tags.kind = "chain"'
GROUPED_BY = ("task", "variant")
"""tags; means over several tasks would say nothing"""
COLUMNS = (
    "tags.`task`",
    "tags.`seed`",
    "metrics.`density`",
    "metrics.`test_accuracy`",
    "metrics.`test_accuracy_early_stop`",
    "metrics.`early_stop_step`",
    "tags.`winning_density`",
    "params.`train.lr`",
    "tags.`diverged`",
)
CHARTS = ("test_accuracy", "test_accuracy_early_stop", "early_stop_step")
SECTIONS = {
    "step": "By round",
    "density": "Against density (weights remaining)",
}
SAVED_AT = 1_577_836_800_000
"""ms since 1970; fixed, so that the same view gives the same tag"""


def saved_view(rows: Sequence[Row]) -> dict[str, str]:
    """The experiment tag of a view whose axes suit these rows."""
    state = {
        "searchFilter": FILTER,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": COLUMNS,
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOWALL",
        "compareRunSections": [
            _entry(axis, name=name, display=True, isReordered=False)
            for axis, name in SECTIONS.items()
        ],
        "compareRunCharts": [
            _chart(metric, axis, rows) for axis in SECTIONS for metric in CHARTS
        ],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": tag} for tag in GROUPED_BY],
        },
        "groupsExpanded": {},
    }
    packed = zlib.compress(json.dumps(state).encode())
    view = {
        "name": "Compare variants",
        "createdAt": SAVED_AT,
        "updatedAt": SAVED_AT,
        "state": f"deflate;{base64.b64encode(packed).decode()}",
    }
    return {f"mlflow.sharedViewState.{KEY}": json.dumps(view)}


def _chart(metric: str, axis: str, rows: Sequence[Row]) -> dict[str, Any]:
    values = [row[metric] for row in rows if row[metric] is not None]
    low, high = min(values, default=0), max(values, default=1)
    room = 0.05 * (high - low) or 0.01
    bounds = {"yMin": low - room, "yMax": high + room}
    by_step = axis == "step"
    if not by_step:  # density falls to the right, as in the paper
        bounds |= {"xMin": 1.02, "xMax": 0}
    return _entry(
        f"{axis}-{metric}",
        type="LINE",
        runsCountToCompare=20,
        metricSectionId=f"{KEY}-{axis}",
        displayName=metric,
        metricKey=metric,
        selectedMetricKeys=[metric],
        lineSmoothness=0,
        xAxisScaleType="linear",
        scaleType="linear",
        range=bounds,
        xAxisKey="step" if by_step else "metric",
        selectedXAxisMetricKey="" if by_step else axis,
        yAxisKey="metric",
        yAxisExpressions=[],
        ignoreOutliers=False,
        useGlobalXaxisKey=False,
        useGlobalLineSmoothing=True,
    )


def _entry(uuid: str, /, **facts: object) -> dict[str, Any]:
    return {"uuid": f"{KEY}-{uuid}", "deleted": False, "isGenerated": False, **facts}
