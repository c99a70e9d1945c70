"""Splits, normalization and data orders."""

import numpy as np
import pytest

from pipeline.core import seeding
from pipeline.core.batches import (
    BatchOrder,
    Dataset,
    Split,
    normalize,
    order,
    shuffled_batches,
    split_positions,
)
from pipeline.core.description import of_images


def divide(labels, **sizes):
    rng = seeding.generator(0, "split")
    return split_positions(np.asarray(labels), rng=rng, **sizes)


def test_a_split_uses_every_example_once():
    parts = divide(np.zeros(100), validation=20, test=30, stratified=False)
    assert [len(part) for part in parts] == [50, 20, 30]
    assert sorted(np.concatenate(parts)) == list(range(100))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_a_split_is_the_same_every_time():
    once = divide(np.zeros(10), validation=3, test=2, stratified=False)
    assert [part.tolist() for part in once] == [[0, 3, 4, 5, 7], [1, 8, 9], [2, 6]]


def test_a_stratified_split_keeps_the_shares_of_unequal_classes():
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    for part in divide(labels, validation=20, test=30, stratified=True):
        share = np.bincount(labels[part], minlength=3)
        assert np.abs(share - len(part) * np.array([0.6, 0.3, 0.1])).max() <= 1


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="none are left for training; take fewer"):
        divide(np.zeros(5), validation=3, test=2, stratified=False)


def test_an_epoch_shows_every_example_once():
    assert sorted(order(7, seed=1, round=2, copy=0, epoch=3)) == list(range(7))


@pytest.mark.parametrize("change", ["seed", "round", "copy", "epoch"])
def test_seed_round_copy_and_epoch_each_change_the_order(change):
    key = {"seed": 1, "round": 2, "copy": 3, "epoch": 4}
    other = key | {change: 9}
    assert order(50, **key).tolist() != order(50, **other).tolist()


def test_a_copy_may_have_a_name():
    named = order(50, seed=0, round=0, copy="late-rewind", epoch=0)
    assert named.tolist() != order(50, seed=0, round=0, copy=0, epoch=0).tolist()


def test_batches_follow_the_epochs_and_drop_the_incomplete_one():
    batches = BatchOrder(7, 3, seed=0, round=1, copy=2)
    first, second = (
        order(7, seed=0, round=1, copy=2, epoch=epoch).tolist() for epoch in (0, 1)
    )
    assert batches.batch(0).tolist() == first[:3]
    assert batches.batch(1).tolist() == first[3:6]
    assert batches.batch(2).tolist() == second[:3]


@pytest.mark.parametrize(("first", "count"), [(0, 9), (1, 1), (1, 4), (5, 0), (3, 4)])
def test_many_steps_at_once_are_the_single_steps(first, count):
    at_once = BatchOrder(7, 3, seed=0, round=0).indices(first, count)
    singly = BatchOrder(7, 3, seed=0, round=0)
    assert at_once.shape == (count, 3)
    assert at_once.dtype == np.int64
    assert at_once.tolist() == [singly.batch(first + i).tolist() for i in range(count)]


def test_a_batch_does_not_depend_on_what_was_asked_before():
    batches = BatchOrder(7, 3, seed=0, round=0)
    forward = [batches.batch(step).tolist() for step in range(6)]
    backward = [batches.batch(step).tolist() for step in reversed(range(6))]
    assert forward == backward[::-1]


def test_writing_into_a_batch_does_not_change_the_order():
    batches = BatchOrder(7, 3, seed=0, round=0)
    before = batches.batch(0).tolist()
    batches.batch(0)[:] = -1
    assert batches.batch(0).tolist() == before


@pytest.mark.parametrize("size", [0, 8])
def test_a_batch_larger_than_the_data_is_refused(size):
    with pytest.raises(ValueError, match=f"batch_size {size} does not fit 7"):
        BatchOrder(7, size, seed=0, round=0)


def test_normalizing_uses_each_channels_own_statistics():
    images = np.array([[[[0, 10]], [[6, 8]]]], dtype=np.uint8)  # (1, 2, 1, 2)
    normalized = normalize(images, mean=(5.0, 7.0), std=(5.0, 0.5))
    assert normalized.dtype == np.float32
    assert normalized.tolist() == [[[[-1.0, 1.0]], [[-2.0, 2.0]]]]


def ten_examples():
    """Each image is its label, over and over."""
    labels = np.arange(10)
    images = np.broadcast_to(labels[:, None, None, None], (10, 1, 2, 2)).astype(np.uint8)
    split = Split(inputs=images, labels=labels)
    return Dataset(
        train=split,
        validation=split,
        test=split,
        description=of_images((1, 2, 2), classes=10, mean=(4.0,), std=(2.0,)),
    )


def test_shuffled_batches_hold_every_example_once():
    found = list(shuffled_batches(ten_examples(), 3, seeding.generator(0, "score_batch")))
    whole, rest = ((3, 1, 2, 2), (3,)), ((1, 1, 2, 2), (1,))
    assert [(b.inputs.shape, b.labels.shape) for b in found] == [whole] * 3 + [rest]
    labels = np.concatenate([batch.labels for batch in found])
    assert set(labels.tolist()) == set(range(10))
    assert labels.tolist() != sorted(labels)
    images = np.concatenate([batch.inputs for batch in found])
    assert images.dtype == np.float32
    assert images[:, 0, 1, 1].tolist() == ((labels - 4) / 2).tolist()


@pytest.mark.parametrize("size", [0, 11])
def test_shuffled_batches_of_an_impossible_size_are_refused(size):
    with pytest.raises(ValueError, match=f"no batch of {size} in 10 .*; take 1 to 10"):
        next(shuffled_batches(ten_examples(), size, seeding.generator(0, "score_batch")))
