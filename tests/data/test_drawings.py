"""Generated drawings: the same on every machine, in shape like MNIST, and to be learned."""

import hashlib

import numpy as np
import pytest

from pipeline.core.description import Classes
from pipeline.data.own.drawings import Drawings, arrays
from pipeline.data.own.read import OwnDataError, read
from pipeline.data.own.source import Source


def test_more_images_begin_with_those_of_fewer_and_their_bits_are_known():
    few, more = (arrays(Drawings(images=number)) for number in (100, 1100))
    assert few["inputs"].shape == (100, 1, 28, 28)
    assert (more["inputs"][:100] == few["inputs"]).all()
    digest = hashlib.sha256(few["inputs"].tobytes()).hexdigest()
    assert digest.startswith("81c6405df207d187")


def test_drawings_are_a_data_set_of_ten_equal_classes(tmp_path):
    data = read("some", Source(drawings=Drawings(images=200), test=0.25), tmp_path)
    assert data.description.images.shape == (1, 28, 28)
    assert data.description.labels == Classes(number=10)
    assert np.bincount(data.test.labels).tolist() == [5] * 10
    assert [len(p) for p in (data.train, data.validation, data.test)] == [130, 20, 50]


def test_the_nearest_mean_tells_most_classes_but_not_all():
    """They can be learned, and the simplest rule is not enough."""
    found = arrays(Drawings(images=1000))
    images, labels = found["inputs"].reshape(1000, -1) / 255, found["labels"]
    means = np.stack([images[:500][labels[:500] == c].mean(axis=0) for c in range(10)])
    far = ((images[500:, np.newaxis] - means) ** 2).sum(axis=2)
    right = (far.argmin(axis=1) == labels[500:]).mean()
    assert 0.5 < right < 0.9


def test_a_number_of_images_out_of_range_is_one_line():
    with pytest.raises(ValueError, match="images is 99; give a hundred to a million"):
        Drawings(images=99)


def test_more_than_one_source_is_one_line():
    with pytest.raises(ValueError, match="npz and drawings given; give exactly one of"):
        Source(npz="some.npz", drawings=Drawings(images=100))


def test_shares_that_leave_nothing_are_one_line(tmp_path):
    source = Source(drawings=Drawings(images=100), validation=0.9, test=0.9)
    with pytest.raises(OwnDataError, match=r"^datasets.some: drawings: "):
        read("some", source, tmp_path)
