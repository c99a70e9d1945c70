import pytest

from pipeline.results.costs import before, multiply_adds

MODEL = {"name": "mlp", "widths": [5], "init": "glorot-normal"}
"""on digits: 64 × 5 + 5 × 10 weights"""
TASK = {"data": "digits", "model": MODEL, "train": {"batch_size": 10}}
OWN = {"mask": "own", "schedule": "iterative"}
TAKEN = {"mask": "ticket", "schedule": None}
THETA0 = {"to": "theta0", "step": None}
KEPT = {"fc1.weight": 100, "fc2.weight": 7}


def recipe(prune=OWN, source=None, **rewind):
    return TASK | {"prune": prune, "rewind": THETA0 | rewind, "mask_source": source}


DENSE = TASK | {"prune": None, "rewind": None, "mask_source": None}
CONTROL = recipe(TAKEN, OWN, to="reinit")


def found(training, **recipes):
    """Every training has a result; those of a variant come from its recipe."""
    return before(training, lambda one: DENSE if one[0] == "dense" else recipes[one[0]])


def test_the_dense_network_needs_no_training_before_it():
    assert found(("dense", 0)) == []


def test_an_iterative_round_needs_all_rounds_before_it():
    expected = [("dense", 0), ("ticket", 1), ("ticket", 2)]
    assert found(("ticket", 3), ticket=recipe()) == expected


def test_a_one_shot_round_needs_the_dense_network_only():
    one_shot = recipe({"mask": "own", "schedule": "one-shot"})
    assert found(("one", 3), one=one_shot) == [("dense", 0)]
    continued = recipe(one_shot["prune"], to="trained")
    assert found(("one", 3), one=continued) == [("dense", 0)]


def test_a_gradual_round_needs_no_training_before_it():
    assert found(("slow", 3), slow=recipe({"mask": "own", "schedule": "gradual"})) == []


def test_a_control_needs_the_trainings_that_its_ticket_needed():
    assert found(("reinit", 2), reinit=CONTROL, ticket=recipe()) == [
        ("dense", 0),
        ("ticket", 1),
    ]


def test_a_control_of_a_gradual_mask_needs_the_training_that_made_it():
    gradual = {"mask": "own", "schedule": "gradual"}
    control = recipe(TAKEN, gradual)
    assert found(("reinit", 2), reinit=control, ticket=recipe(gradual)) == [("ticket", 2)]
    early = recipe(TAKEN, gradual, to="early", step=3)
    assert found(("late", 2), late=early, ticket=recipe(gradual)) == [
        ("dense", 0),
        ("ticket", 2),
    ]


def test_a_control_that_trains_on_needs_its_own_rounds_too():
    control = recipe(TAKEN, OWN, to="trained")
    assert found(("tuned", 2), tuned=control, ticket=recipe()) == [
        ("dense", 0),
        ("ticket", 1),
        ("tuned", 1),
    ]


@pytest.mark.parametrize(
    "other",
    [None, recipe() | {"train": {"batch_size": 20}}, recipe(OWN | {"scope": "global"})],
)
def test_a_training_that_is_missing_or_has_other_settings_makes_the_cost_unknown(other):
    results = {("reinit", 2): CONTROL, ("dense", 0): DENSE, ("ticket", 1): other}
    assert before(("reinit", 2), results.get) is None


def test_a_training_costs_three_forward_passes_per_example_and_step():
    facts = {"steps": 50, "kept": KEPT}
    assert multiply_adds(recipe(), facts) == 3 * 10 * 50 * 107
    assert multiply_adds(recipe(to="early", step=20), facts) == 3 * 10 * 30 * 107
    looks = recipe(to="early-sign-reinit", step=20)
    assert multiply_adds(looks, facts) == 3 * 10 * 50 * 107


def test_frozen_weights_act_and_so_all_of_them_count():
    facts = {"steps": 50, "kept": KEPT}
    assert multiply_adds(recipe(pruned="freeze-init"), facts) == 3 * 10 * 50 * (320 + 50)


def test_kernels_without_a_mask_count_in_full():
    facts = {"steps": 50, "kept": {"fc1.weight": 100}}
    assert multiply_adds(recipe(), facts) == 3 * 10 * 50 * (100 + 50)


def test_a_mask_that_changed_counts_step_by_step():
    facts = {"steps": 50, "kept": KEPT, "kept_steps": {"fc1.weight": 50 * 100 + 3}}
    assert multiply_adds(recipe(), facts) == 3 * 10 * (50 * 107 + 3)


def test_a_look_at_gradients_costs_a_pass_that_computes_those_of_pruned_weights_too():
    facts = {"steps": 50, "kept": KEPT, "kept_steps": {"fc1.weight": 50 * 100}}
    looks = multiply_adds(recipe(), facts | {"gradient_looks": 4})
    assert looks - multiply_adds(recipe(), facts) == 4 * 10 * (2 * 107 + 320)
