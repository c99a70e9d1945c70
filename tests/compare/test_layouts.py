"""Compared claims as JSON, markdown and a table."""

import json

import pytest
from helpers.one_claim import (
    EQUIVALENCE,
    FASTER,
    LEAVES,
    WINS,
    checked,
    difference,
)
from helpers.tracked_stores import store

from pipeline.compare import LAYOUTS, compare, summary
from pipeline.compare.claims import load

KEYS = {"claim", "source", "published", "measured", "low", "high", "seeds", "verdict"}


def test_the_json_has_a_row_per_claim_with_numbers_in_full():
    rows = json.loads(LAYOUTS["json"](compare([store()])))
    assert len(rows) == len(load().claims) + 1
    assert all(set(row) >= KEYS for row in rows)
    measured = {row["id"]: row for row in rows}["lenet-dense"]
    assert (measured["published"], measured["seeds"]) == (0.98, 8)


def test_the_markdown_table_has_a_line_per_claim():
    rows = compare([store()])
    lines = LAYOUTS["markdown"](rows).splitlines()
    assert len(lines) == len(rows) + 4
    assert all(line.count("|") == 6 for line in lines[:-2])
    assert lines[-1] == summary(rows)
    assert "| 98.00 % (97.50 % to 98.60 %) | 98.0" in lines[2]
    assert "8 seeds) | agrees: one-sided p = 0.0039 by sign flips (t: " in lines[2]


def test_the_terminal_table_is_plain_text_when_piped():
    text = LAYOUTS["table"](compare([store()]))
    assert "not enough seeds" in text
    assert "[secondary]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (difference(low="0.001", high="0.006"), "+0.10 pp to +0.60 pp"),
        (difference(), "above +0.00 pp"),
        (FASTER, "below 1.00×"),
        (EQUIVALENCE, "± 0.3 pp"),
        (LEAVES, "between 41.1 % and 13.5 %, by 0.2 pp"),
        (WINS, "margins 0.1 pp and one evaluation"),
    ],
)
def test_margins_and_tolerances_are_stated(check, words):
    assert checked(check).accepted == words
