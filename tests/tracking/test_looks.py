"""Looks are declared before results are looked at; a later change makes them open-ended."""

from pipeline.core.looks import DEFAULT, Looks
from pipeline.tracking.looks import TAG, declared_looks, looks_tag

OTHER = Looks(at=(24,))


def after(*declared):
    """The tags after these looks were declared with so many seeds."""
    tags = {}
    for looks, num_seeds in declared:
        tags = {TAG: looks_tag(tags, looks, num_seeds)}
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
