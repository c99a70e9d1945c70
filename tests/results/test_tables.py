import json

import pytest
from helpers import synthetic

from pipeline.artifacts import files
from pipeline.results.tables import COLUMNS, round_results, rounds_csv, rows, summary


def rows_below(root, **plan):
    return rows(round_results(root, synthetic.active(**plan)))


def test_every_variant_has_the_dense_round_and_its_own(tmp_path):
    synthetic.fabricate(tmp_path, rounds=2, seeds=(0, 1))
    found = [
        (r["variant"], r["seed"], r["round"])
        for r in rows_below(tmp_path, rounds=2, seeds=(0, 1))
    ]
    assert found == [
        (variant, seed, number)
        for variant in ("ticket", "reinit")
        for seed in (0, 1)
        for number in (0, 1, 2)
    ]


def test_a_row_counts_exactly(tmp_path):
    synthetic.fabricate(tmp_path)
    row = rows_below(tmp_path)[1]
    assert list(row) == list(COLUMNS)
    assert (row["round"], row["kept"], row["prunable"]) == (1, 213060, 266200)
    assert row["density"] == 213060 / 266200


def test_only_results_of_the_plan_are_read(tmp_path):
    synthetic.fabricate(tmp_path, tasks=("main", "other"), rounds=3, seeds=(0, 1, 2))
    found = rows_below(tmp_path, variants=("ticket",), rounds=2, seeds=(0, 2))
    assert {r["task"] for r in found} == {"main"}
    assert {r["variant"] for r in found} == {"ticket"}
    assert {r["round"] for r in found} == {0, 1, 2}
    assert {r["seed"] for r in found} == {0, 2}


def test_a_task_without_variants_has_its_dense_network(tmp_path):
    synthetic.fabricate(tmp_path, tasks=("main", "longer"), rounds=1)
    plan = synthetic.active(rounds=1) | {"longer": {"dense": (range(0), (0, 1))}}
    table = [row for row in rows(round_results(tmp_path, plan)) if row["task"] == "longer"]
    assert [(r["variant"], r["round"], r["seed"]) for r in table] == [
        ("dense", 0, 0),
        ("dense", 0, 1),
    ]
    assert list(summary(table)["longer"]) == ["dense"]


def test_missing_results_are_left_out(tmp_path):
    assert rows_below(tmp_path) == []
    assert rounds_csv([]) == ",".join(COLUMNS) + "\n"
    assert summary([]) == {}


def test_the_same_training_in_two_folders_is_refused(tmp_path):
    synthetic.fabricate(tmp_path, seeds=(0, 1))
    synthetic.fabricate(tmp_path, seeds=(1,))
    with pytest.raises(files.ArtifactError, match="both hold seed 1 with"):
        rows_below(tmp_path)


def test_csv_has_full_numbers_empty_cells_for_none_and_true_or_false(tmp_path):
    synthetic.fabricate(tmp_path, seeds=(0,), diverged={("ticket", 1, 0)})
    dense, failed = rounds_csv(rows_below(tmp_path, seeds=(0,))).splitlines()[1:3]
    result = files.load_json(tmp_path / "artifacts/results/main/dense/r00/s0/result.json")
    facts = result["seeds"]["0"]
    assert dense == ",".join(
        [
            "main,ticket,0,0,1.0,266200,266200",
            str(facts["early_stop_step"]),
            "false",
            *(repr(facts[name]) for name in COLUMNS[9:14]),
            "2000,false,0,95832000000,0",
        ]
    )
    assert failed == (
        "main,ticket,1,0,0.8003756574004508,213060,266200,,,,,,,,2000,true,0,"
        "76701600000,95832000000"
    )


def test_layers_that_collapsed_are_counted(tmp_path):
    synthetic.fabricate(tmp_path, rounds=1, seeds=(0,))
    path = tmp_path / "artifacts/results/main/ticket/r01/s0/result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    result["seeds"]["0"]["collapsed"] = ["fc1.weight", "fc2.weight"]
    path.write_text(json.dumps(result), encoding="utf-8")
    table = rows_below(tmp_path, variants=("ticket",), rounds=1, seeds=(0,))
    assert [row["collapsed_layers"] for row in table] == [0, 2]


def test_a_controls_cost_includes_the_trainings_of_its_ticket(tmp_path):
    synthetic.fabricate(tmp_path, rounds=2, seeds=(0,))
    table = {
        (r["variant"], r["round"]): (r["multiply_adds"], r["find_multiply_adds"])
        for r in rows_below(tmp_path, rounds=2, seeds=(0,))
    }
    dense, first, second = (
        3 * 60 * 2000 * sum(synthetic.kept(round).values()) for round in range(3)
    )
    for variant in ("ticket", "reinit"):
        assert table[variant, 0] == (dense, 0)
        assert table[variant, 1] == (first, dense)
        assert table[variant, 2] == (second, dense + first)


def test_a_missing_training_makes_the_cost_of_later_rounds_unknown(tmp_path):
    synthetic.fabricate(tmp_path, rounds=2, seeds=(0,))
    (tmp_path / "artifacts/results/main/ticket/r01/s0/result.json").unlink()
    table = rows_below(tmp_path, variants=("reinit",), rounds=2, seeds=(0,))
    assert [row["find_multiply_adds"] is None for row in table] == [False, False, True]


def test_a_training_with_other_settings_is_not_part_of_the_cost(tmp_path):
    synthetic.fabricate(tmp_path, rounds=2, seeds=(0,))
    synthetic.fabricate(tmp_path, variants=("ticket",), rounds=1, seeds=(0,), lr=0.1)
    table = rows_below(tmp_path, variants=("reinit",), rounds=2, seeds=(0,))
    assert [row["find_multiply_adds"] is None for row in table] == [False, True, True]


def test_summary_has_means_of_the_last_round_over_seeds_that_did_not_diverge(tmp_path):
    synthetic.fabricate(tmp_path, seeds=(0, 1, 2), diverged={("reinit", 2, 1)})
    table = rows_below(tmp_path, seeds=(0, 1, 2))
    tree = summary(table)
    assert set(tree["main"]) == {"dense", "ticket", "reinit"}
    leaf = tree["main"]["reinit"]
    known = [
        r["test_accuracy"]
        for r in table
        if (r["variant"], r["round"]) == ("reinit", 2) and not r["diverged"]
    ]
    assert leaf["diverged"] == 1
    assert leaf["density"] == 0.640639
    assert leaf["test_accuracy"] == pytest.approx(sum(known) / 2, rel=1e-5)
    assert "diverged" not in tree["main"]["ticket"]
    json.dumps(tree, allow_nan=False)


def row(variant, number, density, accuracy, seed=0):
    numbers = dict.fromkeys(COLUMNS) | {"density": density, "test_accuracy": accuracy}
    return numbers | {
        "task": "main",
        "variant": variant,
        "round": number,
        "seed": seed,
        "diverged": accuracy is None,
    }


def test_summary_names_the_smallest_density_at_the_dense_accuracy():
    table = [row("ticket", 0, 1.0, 0.9), row("ticket", 1, 0.5, 0.91)]
    table += [row("ticket", 2, 0.25, 0.9), row("ticket", 3, 0.1, 0.8)]
    leaf = summary(table)["main"]["ticket"]
    assert (leaf["density"], leaf["density_at_dense_accuracy"]) == (0.1, 0.25)


def test_the_smallest_density_need_not_be_that_of_the_last_round():
    table = [row("ticket", 0, 1.0, 0.9), row("ticket", 1, 0.2, 0.9)]
    table += [row("ticket", 2, 0.5, 0.9)]
    assert summary(table)["main"]["ticket"]["density_at_dense_accuracy"] == 0.2


@pytest.mark.parametrize("variant", ["continued", "ticket"])  # dense is between them
def test_the_smallest_density_is_there_whatever_the_name_of_the_variant(variant):
    table = [row(variant, 0, 1.0, 0.9), row(variant, 1, 0.5, 0.91)]
    assert summary(table)["main"][variant]["density_at_dense_accuracy"] == 0.5
    assert list(summary(table)["main"]) == ["dense", variant]


def test_seeds_that_diverged_are_left_out_of_the_dense_network_beside_them():
    table = [row("ticket", 0, 1.0, 0.95, seed=0), row("ticket", 0, 1.0, 0.99, seed=1)]
    table += [row("ticket", 1, 0.5, None, seed=0), row("ticket", 1, 0.5, 0.98, seed=1)]
    leaf = summary(table)["main"]["ticket"]
    assert leaf["density_at_dense_accuracy"] is None
    assert leaf["test_accuracy"] == 0.98


def test_a_variant_that_never_reaches_the_dense_accuracy_has_null_there():
    table = [row("ticket", 0, 1.0, 0.9), row("ticket", 1, 0.5, None)]
    leaf = summary(table)["main"]["ticket"]
    assert leaf["density_at_dense_accuracy"] is None
    assert leaf["test_accuracy"] is None
    assert leaf["diverged"] == 1
