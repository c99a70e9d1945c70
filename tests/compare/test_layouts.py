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
    shifted,
)
from helpers.tracked_stores import store

from pipeline.compare import LAYOUTS, compare, run_here, summary, why_left_out
from pipeline.compare.claims import load

KEYS = {"claim", "source", "published", "measured", "low", "high", "seeds", "verdict"}


def test_the_json_has_a_row_per_claim_with_numbers_in_full():
    rows = json.loads(LAYOUTS["json"](compare([store()])))
    assert len(rows) == len(load().claims) + 1
    assert all(set(row) >= KEYS for row in rows)
    measured = {row["id"]: row for row in rows}["lenet-dense"]
    assert (measured["published"], measured["seeds"]) == (0.98, 8)


def test_the_markdown_tables_have_a_line_per_claim_below_their_experiment():
    rows = compare([store()])
    lines = LAYOUTS["markdown"](rows).splitlines()
    claims = [line for line in lines if line.startswith("| ") and "| claim |" not in line]
    assert len([line for line in lines if "| claim |" in line]) == 2
    assert len(claims) == len(rows) + 0
    assert all(line.count("|") == 6 for line in claims)
    assert (lines[0], lines[-1]) == ("**toy**", f"verdicts: {summary(rows)}")
    assert "| 98.00 % (97.50 % to 98.60 %) | 98.0" in claims[0]
    assert "8 seeds) | agrees: one-sided p = 0.0039 by sign flips (t: " in claims[0]


def test_source_tags_are_explained():
    lines = LAYOUTS["markdown"](compare([store()])).splitlines()
    assert lines[-2].startswith("sources: [paper] read in the paper; [paper-blind] read in")
    assert "[memory] recalled, and seen in no source" in lines[-2]


def test_what_was_run_is_shown_and_why_the_rest_does_not_fit():
    rows = compare([store(steps=8000)])
    shown = run_here(rows)
    assert {row.verdict for row in shown}.isdisjoint({"not run", "not comparable"})
    first, *parts = why_left_out(rows)
    left_out = len(rows) - len(shown)
    assert first == (
        f"{left_out} claims fit no run here (`lt-pipeline compare --all` lists all):"
    )
    assert parts[0] == (
        "  16 need other settings than the nearest run has: "
        "steps is 8,000 (needed: 10,000 or more)"
    )
    assert parts[-1].endswith(" need a model, data set or variant that no run here has")
    assert sum(int(part.split()[0]) for part in parts) == left_out


def test_a_count_says_how_many_verdicts_chance_may_have_given():
    rows = compare([store()])
    judged = sum(row.judged for row in rows)
    assert judged > 5
    assert f"{judged} were tested at 5% each, so that up to {judged / 20:.1f} wrong" in (
        summary(rows)
    )
    assert "tested" not in summary(compare([]))


def test_a_mean_lies_in_the_range_that_is_printed():
    falls = shifted("reinit", -0.003, noise=0.002, at=(0.0, 0.7))
    rows = compare([store(accuracy=falls, seeds=range(10))])
    ranged = [r for r in rows if r.measured is not None and r.low is not None]
    assert len(ranged) > 5
    assert all(row.low <= row.measured <= row.high for row in ranged)


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
