"""Sentences of a small generated language, after Elman 1991.

"Distributed representations, simple recurrent networks, and grammatical structure": verbs
agree with their nouns in number, across clauses that begin with "that" and lie in each
other. So there is something to remember, nothing is downloaded, and every machine has the
same text, which texts that come with libraries would not promise.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from pipeline.core import seeding

Number = Literal["one", "many"]
NOUNS = (
    "dog",
    "cat",
    "boy",
    "girl",
    "bird",
    "teacher",
    "farmer",
    "king",
    "sailor",
    "child",
    "singer",
    "robot",
    "doctor",
    "horse",
    "painter",
    "wolf",
)
WITH_OBJECT = (
    "see",
    "hear",
    "follow",
    "like",
    "help",
    "find",
    "call",
    "lead",
    "fear",
    "know",
    "visit",
    "paint",
)
WITHOUT_OBJECT = (
    "run",
    "sing",
    "sleep",
    "wait",
    "laugh",
    "swim",
    "dance",
    "work",
    "shine",
    "fall",
)
ADJECTIVES = (
    "old",
    "young",
    "small",
    "happy",
    "quiet",
    "clever",
    "tired",
    "brave",
    "green",
    "gentle",
)
ADVERBS = ("often", "never", "slowly", "again", "today", "loudly")
ARTICLES = {"one": ("the", "a", "every"), "many": ("the", "two", "some")}
PLURALS = {"child": "children", "wolf": "wolves"}
"""of the nouns that have more than an s"""
CLAUSES = 0.3
"""chance that a noun has a clause of its own; half of it inside of a clause, and so on"""


def text(characters: int) -> str:
    """So many characters of sentences, from stream ``text`` of seed 0.

    A longer text begins with a shorter one. A character holds 0.48 nats on average, which
    no network's loss falls below; from the four before it alone it takes 0.63.

    >>> text(60)
    'a robot that knows the doctor likes the robot. some teachers'
    """
    speaker = _Speaker(seeding.generator(0, "text"))
    found: list[str] = []
    size = 0
    while size < characters:
        found.append(" ".join(speaker.sentence()) + ". ")
        size += len(found[-1])
    return "".join(found)[:characters]


class _Speaker:
    """Makes sentences word by word."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._numbers = _numbers(rng)

    def sentence(self) -> Iterator[str]:
        """Its words: a noun with what belongs to it, and a verb that agrees."""
        number = self._number()
        yield from self._noun(number, CLAUSES)
        yield from self._verb(number, CLAUSES)

    def _noun(self, number: Number, clauses: float) -> Iterator[str]:
        yield self._word(ARTICLES[number])
        if self._happens(0.3):
            yield self._word(ADJECTIVES)
        noun = self._word(NOUNS)
        yield noun if number == "one" else PLURALS.get(noun, f"{noun}s")
        if self._happens(clauses):
            yield "that"
            if self._happens(0.5):
                yield from self._verb(number, clauses / 2)
            else:
                other = self._number()
                yield from self._noun(other, clauses / 2)
                yield _agreeing(self._word(WITH_OBJECT), other)

    def _verb(self, number: Number, clauses: float) -> Iterator[str]:
        if self._happens(0.5):
            yield _agreeing(self._word(WITH_OBJECT), number)
            yield from self._noun(self._number(), clauses)
            return
        yield _agreeing(self._word(WITHOUT_OBJECT), number)
        if self._happens(0.3):
            yield self._word(ADVERBS)

    def _number(self) -> Number:
        return "one" if self._happens(0.5) else "many"

    def _happens(self, chance: float) -> bool:
        return next(self._numbers) < chance

    def _word(self, words: tuple[str, ...]) -> str:
        return words[int(next(self._numbers) * len(words))]


def _numbers(rng: np.random.Generator) -> Iterator[float]:
    """Numbers in [0, 1), drawn in blocks: one call each would take ten times as long."""
    while True:
        yield from rng.random(4096).tolist()


def _agreeing(verb: str, number: Number) -> str:
    return f"{verb}s" if number == "one" else verb
