import synthetic

from pipeline import winning
from pipeline.tables import records, rows


def table(root, **facts):
    synthetic.fabricate(root, variants=("ticket",), **facts)
    plan = synthetic.active(variants=("ticket",), rounds=2, seeds=range(3))
    return rows(records(root, plan))


def test_every_round_of_a_table_is_tested(tmp_path):
    tests = winning.tests_of(table(tmp_path, seeds=range(3)), evaluate_every=100)
    assert [round(test.density, 3) for test in tests] == [0.8, 0.641]
    assert [test.num_seeds for test in tests] == [3, 3]


def test_diverged_seeds_are_left_out(tmp_path):
    diverged = [("ticket", 2, 0), ("dense", 0, 1)]
    found = table(tmp_path, seeds=range(3), diverged=diverged)
    tests = winning.tests_of(found, evaluate_every=100)
    assert [test.num_seeds for test in tests] == [2, 1]
