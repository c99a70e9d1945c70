"""Looks are declared before results are looked at; a later change makes them open-ended."""

from helpers import synthetic
from helpers.toy_store import EXPERIMENT

from pipeline.core.looks import DEFAULT, Looks
from pipeline.tracking import read
from pipeline.tracking.looks import TAG, declared_looks, looks_tag
from pipeline.tracking.write import Asked, write

OTHER = Looks(at=(24,))


def after(*declared, stored=0):
    """The tags after these looks were declared with so many seeds, and so many stored."""
    tags = {}
    for looks, num_seeds in declared:
        tags = {TAG: looks_tag(tags, looks, range(num_seeds), lambda: range(stored))}
    return tags


def test_results_without_a_declaration_have_the_default():
    assert declared_looks({}) == DEFAULT


def test_the_declaration_is_what_is_read_back():
    assert declared_looks(after((OTHER, 0))) == OTHER
    assert declared_looks(after((OTHER, 0), (OTHER, 24))) == OTHER
    assert declared_looks(after((Looks(at=()), 3))).open


def test_a_change_before_the_first_look_is_a_declaration():
    assert declared_looks(after((DEFAULT, 4), (OTHER, 7))) == OTHER


def test_a_change_with_results_to_look_at_makes_the_experiment_open_ended():
    assert declared_looks(after((DEFAULT, 4), (OTHER, 8))).open
    assert declared_looks(after((DEFAULT, 8), (OTHER, 8), (DEFAULT, 8))).open
    assert declared_looks(after((Looks(at=()), 1), (DEFAULT, 2))).open


def test_seeds_that_the_store_alone_holds_were_looked_at_too():
    assert declared_looks(after((DEFAULT, 0), (OTHER, 1), stored=8)).open
    assert declared_looks(after((DEFAULT, 0), (OTHER, 1), stored=7)) == OTHER


def test_results_of_a_version_that_declared_none_were_looked_at_by_default():
    assert declared_looks(after((OTHER, 1), stored=8)).open
    assert after((DEFAULT, 1), stored=8) == {TAG: "[[8, 10, 12]]"}


def test_a_workspace_with_fewer_seeds_than_the_store_declares_nothing_new(root):
    few = synthetic.active(seeds=(0,))
    two = Looks(at=(2,))
    asked = Asked(experiment=EXPERIMENT, active=few, places=(), targets=(), looks=two)
    write(root, None, asked)
    assert read(None, EXPERIMENT, root=root).looks.open
