from helpers import synthetic

from pipeline.core.looks import DEFAULT
from pipeline.results import winning
from pipeline.results.tables import round_results, rows


def table(root, **facts):
    synthetic.fabricate(root, variants=("ticket",), **facts)
    plan = synthetic.active(variants=("ticket",), rounds=2, seeds=range(4))
    return rows(round_results(root, plan))


def better_than_dense(found):
    """The same rows, with tickets that win where they did not diverge."""
    better = {"test_accuracy_early_stop": 0.99, "early_stop_step": 500}
    return [row | (better if row["round"] and not row["diverged"] else {}) for row in found]


def test_every_round_of_a_table_is_tested(tmp_path):
    tests = winning.tests_of(
        table(tmp_path, seeds=range(3)), evaluate_every=100, looks=DEFAULT
    )
    assert [round(test.density, 3) for test in tests] == [0.8, 0.641]
    assert [test.num_seeds for test in tests] == [3, 3]


def test_a_diverged_ticket_does_not_win_and_a_diverged_dense_network_leaves_no_pair(
    tmp_path,
):
    diverged = [("ticket", 2, 0), ("dense", 0, 1)]
    found = table(tmp_path, seeds=range(3), diverged=diverged)
    tests = winning.tests_of(found, evaluate_every=100, looks=DEFAULT)
    assert [test.num_seeds for test in tests] == [2, 2]
    won = better_than_dense(found)
    tests = winning.tests_of(won, evaluate_every=100, looks=DEFAULT)
    assert [test.num_wins for test in tests] == [2, 1]


def test_the_smallest_winner_says_how_sure_it_is_and_of_how_many_seeds(tmp_path):
    found = better_than_dense(table(tmp_path, seeds=range(4)))
    found = winning.smallest_winning(found, evaluate_every=100)
    assert found is not None
    assert (round(found.density, 3), found.num_seeds, found.shown) == (0.641, 4, False)
    assert found.confidence.startswith("wins in 4 of 4 seeds")


def test_without_a_winning_density_there_is_no_winner(tmp_path):
    synthetic.fabricate(tmp_path, variants=("reinit",), seeds=range(3))
    plan = synthetic.active(variants=("reinit",), rounds=2, seeds=range(3))
    found = rows(round_results(tmp_path, plan))
    assert winning.smallest_winning(found, evaluate_every=100) is None
