"""DVC restores a stage that was run before, unless something before it is made anew."""

from helpers.experiment import settings

from pipeline.plan import compiler
from pipeline.plan.items import items_of
from pipeline.walk.restorable import with_all_before


def test_masks_of_networks_that_train_anew_are_not_restored() -> None:
    """Their own inputs files have no training setting, so that they were run before."""
    plan = compiler.compile_plan(settings(), [(0, 1)])
    every = {item.stage for item in items_of(plan)}
    trained = {item.stage for item in items_of(plan, "train", "retrain")}
    dense = {item.stage for item in items_of(plan, "train")}
    prepared = {item.stage for item in items_of(plan, "data", "init")}
    assert with_all_before(plan, every - trained - prepared, prepared) == set()
    first = with_all_before(plan, every - trained, dense)
    assert "prune@main-ticket-r01-s0-1" in first
    assert "prune@main-ticket-r02-s0-1" not in first
    assert with_all_before(plan, every - prepared, prepared) == every - prepared
