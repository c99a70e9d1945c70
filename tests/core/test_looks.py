"""Several looks together are wrong as often as one."""

import numpy as np
import pytest

from pipeline.core import look_levels
from pipeline.core.looks import ALPHA, DEFAULT, Looks


def test_a_look_is_reached_with_its_seeds():
    assert Looks(at=(6, 9)).reached(8) == (6,)
    assert Looks(at=(6, 9)).reached(30) == (6, 9)
    assert (Looks(at=(6, 9)).first, DEFAULT.first) == (6, 8)


def test_one_look_needs_no_correction():
    assert Looks(at=(24,)).level == ALPHA


@pytest.mark.parametrize(
    ("at", "known"),
    [((8, 10, 12), 0.0258), ((8, 12), 0.0310), ((6, 9, 12), 0.0227), ((6, 12), 0.0284)],
)
def test_the_levels_are_those_of_the_table(at, known):
    """methods-2.md, sections 11.1 and 11.4, by other simulations."""
    assert look_levels.common(at) == pytest.approx(known, abs=0.0008)


def test_the_default_level_is_the_one_that_is_found():
    assert DEFAULT.level == pytest.approx(look_levels.common(DEFAULT.at), abs=0.0005)


def test_open_ended_looks_have_a_level_of_their_own():
    assert Looks(at=()).open
    assert Looks(at=()).level == ALPHA
    assert Looks(at=()).reached(4) == ()


def test_looks_in_words():
    assert str(DEFAULT) == "8, 10, 12"
    assert str(Looks(at=())) == "open-ended"
    assert np.isclose(DEFAULT.level, 0.0258)
