"""Text as data: characters are cut into sequences, and each is asked for the next one."""

import re

import numpy as np
import pytest

from pipeline.core.description import Tokens, TokensAt
from pipeline.data.own import sentences
from pipeline.data.own.read import OwnDataError, read
from pipeline.data.own.source import Source
from pipeline.data.own.text import Text


def test_labels_are_the_characters_one_further_and_no_part_sees_another(tmp_path):
    (tmp_path / "some.txt").write_text("".join(chr(97 + n % 23) for n in range(101)) + "é")
    source = Source(
        text=Text(length=4, file="some.txt"),
        validation=0.2,
        test=0.3,
        allow_duplicates=True,
    )
    data = read("some", source, tmp_path)
    assert data.description.inputs == Tokens(length=4, vocabulary=24)
    assert data.description.labels == TokensAt(positions=(0, 1, 2, 3), vocabulary=24)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [12, 4, 7]
    for part in (data.train, data.validation, data.test):
        assert (part.labels[:, :-1] == part.inputs[:, 1:]).all()
        assert (part.labels[:-1, -1] == part.inputs[1:, 0]).all()
    begins = (0, 51, 71)
    for begin, part in zip(begins, (data.train, data.validation, data.test), strict=True):
        assert (part.inputs.ravel() == (begin + np.arange(part.inputs.size)) % 23).all()


def test_a_longer_generated_text_begins_with_a_shorter_one():
    assert sentences.text(5_000).startswith(sentences.text(100))
    assert len(sentences.text(100)) == 100


def test_verbs_agree_with_their_nouns_across_clauses():
    every = sentences.text(60_000).split(". ")[:-1]
    assert len(set(every)) > 1_000
    plural = {sentences.PLURALS.get(noun, f"{noun}s") for noun in sentences.NOUNS}
    noun = rf"(?:\w+ )?({'|'.join([*sentences.NOUNS, *plural])})"
    article = "(?:the|a|every|two|some)"
    verb = f"({'|'.join(sentences.WITH_OBJECT + sentences.WITHOUT_OBJECT)})(s?)"
    apart = 0
    for sentence in every:
        pattern = rf"{article} {noun} that {article} {noun} {verb} {verb}\b.*"
        if found := re.fullmatch(pattern, sentence):
            outer, inner, _, ending_in, _, ending_out = found.groups()
            assert (ending_in == "") is (inner in plural), sentence
            assert (ending_out == "") is (outer in plural), sentence
            apart += ending_in != ending_out
    assert apart > 10


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": 1, "characters": 5_000}, "length is 1; give 2 or more"),
        ({"length": 9}, "file is None and characters is None; give a file, or"),
        ({"length": 9, "file": "a", "characters": 5_000}, "file is a and characters is"),
        ({"length": 9, "characters": 10}, "characters is 10; give a thousand to"),
    ],
)
def test_settings_that_do_not_go_together(given, message):
    with pytest.raises(ValueError, match=message):
        Text(**given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "it is no text in UTF-8; save it as such"),
        (b"", "the train part has 0 of the 0 characters, and a sequence takes 10; give"),
        (b"abc" * 9, "the validation part has 3 of the 27 characters, and a sequence"),
        (None, "there is no such file or folder"),
    ],
)
def test_a_file_that_is_no_such_text_is_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "some.txt").write_bytes(content)
    source = Source(text=Text(length=9, file="some.txt"))
    with pytest.raises(OwnDataError, match=rf"^datasets.some: some.txt: {message}"):
        read("some", source, tmp_path)


def test_a_generated_text_that_is_too_short_is_one_line(tmp_path):
    source = Source(text=Text(length=400, characters=3_000))
    with pytest.raises(
        OwnDataError, match=r"^datasets.some: sentences: the validation part has"
    ):
        read("some", source, tmp_path)
