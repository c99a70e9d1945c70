"""Tests of the sparse engine alone; test_fully_connected.py checks its numbers."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.fully_connected import (
    SETTINGS,
    dataset,
    make_job,
    mostly_blank,
    narrow_and_wide,
)

from pipeline.core.models.layers import Conv, ReLU
from pipeline.engines.sparse import engine as sparse
from pipeline.engines.sparse.tiles import MAX_READS, TILE, are_few, arranged
from pipeline.engines.sparse.wiring import wire


def test_a_tile_lists_what_is_read_of_its_rows_that_are_not_blank():
    job = mostly_blank(make_job("several blocks", density=0.5))
    job = narrow_and_wide(job, 300)
    engine = sparse.make([job])
    engine.evaluate("validation")
    split, tiles, reads = (
        engine._splits["validation"],
        engine._tiles["validation"],
        engine._reads,
    )
    width, kept = 16 * len(TILE), job.mask["fc1.weight"]
    images = job.data.validation.images.reshape(300, -1)[split.order]
    num_tiles, num_units = tiles.order.shape
    assert num_tiles == -(-300 // width)
    assert 0 < tiles.starts[-1] < num_tiles * len(reads.rows)
    first_row = np.repeat(tiles.first_words[:num_tiles] * 2 // width, num_units)
    packed = tiles.pixels.reshape(-1, width // 2)
    for visit, number in enumerate(tiles.order.ravel()):
        first = visit // num_units * width
        shown = images[first : first + width].astype(np.float32)
        shown = np.pad(shown, ((0, width - len(shown)), (0, 0)), mode="edge")
        pixels = np.flatnonzero(kept[reads.units[number]])
        lit = np.flatnonzero(shown[:, pixels].any(axis=0))
        listed = slice(tiles.starts[visit], tiles.starts[visit + 1])
        assert tiles.reads[listed].tolist() == lit.tolist()
        bits = shown[:, pixels[lit]].T.copy().view(np.uint32)
        left, right = bits[:, : width // 2] >> 16, bits[:, width // 2 :]
        rows = first_row[visit] + tiles.rows[listed]
        assert np.array_equal(packed[rows], left | right)
    assert (np.diff(np.diff(tiles.starts).reshape(num_tiles, -1)) >= 0).all()
    assert (np.sort(tiles.order) == np.arange(num_units)).all()


def test_reads_name_the_weights_of_live_units():
    job = mostly_blank(make_job("three channels", density=0.5))
    closed = job.mask["fc2.weight"].copy()
    closed[:, 1::2] = False
    start = {"fc2.weight": job.start["fc2.weight"] * closed}
    job = replace(job, mask=job.mask | {"fc2.weight": closed}, start=job.start | start)
    engine = sparse.make([job])
    reads, kept = engine._reads, job.mask["fc1.weight"]
    reaches = job.mask["fc4.weight"].any(axis=0) @ job.mask["fc3.weight"] @ closed
    assert 0 < np.count_nonzero(reaches) < len(reaches)
    assert reads.units.tolist() == np.flatnonzero(reaches).tolist()
    reader, pixel = (of[reaches[np.nonzero(kept)[0]]] for of in np.nonzero(kept))
    assert np.repeat(reads.units, np.diff(reads.starts)).tolist() == reader.tolist()
    values = engine._net.weights.value[reads.weights]
    assert np.array_equal(values, job.start["fc1.weight"][reader, pixel])
    channel = pixel // np.prod(job.data.images.shape[1:])
    assert reads.scales == pytest.approx(1 / np.array(job.data.images.std)[channel])


def test_examples_alike_stand_side_by_side():
    split = narrow_and_wide(make_job("several blocks"), 300).data.validation
    found = arranged(split)
    assert sorted(found.order) == list(range(300))
    assert np.array_equal(found.labels, split.labels[found.order])
    columns = split.images[found.order].any(axis=(1, 2))
    right = columns.shape[1] - columns[:, ::-1].argmax(axis=1)
    assert (np.diff(right - columns.argmax(axis=1)) >= 0).all()


def test_reads_are_listed_if_they_are_few_and_their_rows_have_short_numbers():
    job = make_job("several blocks")
    reads, split = sparse.make([job])._reads, arranged(job.data.validation)
    assert are_few(reads, split)
    many = -(-MAX_READS * 16 * len(TILE) // len(split.order)) + 1
    assert not are_few(reads._replace(rows=np.empty(many, np.uint32)), split)
    wide = split.examples._replace(num_pixels=2**16 + 1)
    assert not are_few(reads, split._replace(examples=wide))


def test_only_what_reaches_a_logit_is_computed():
    masks = [
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool),
        np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool),
        np.array([[1, 0], [0, 0]], dtype=bool),
    ]
    wiring, _, _, _ = wire(masks, dataset((1, 1, 3), 2), 16)
    # Unit 5 reaches no logit, nor do units 1 and 2; 3 is a constant, and stays.
    assert wiring.visits.tolist() == [3, 0, 4, 7, 6]
    assert wiring.first_visits.tolist() == [0, 2, 3, 5]
    assert wiring.units.tolist() == [0, 3, 4, 6, 7]
    assert wiring.first_units.tolist() == [0, 2, 3, 5]
    assert wiring.readers[wiring.reader_starts[0] : wiring.reader_starts[1]] == [4]
    assert wiring.reader_starts[1] == wiring.reader_starts[3]


def test_pixels_that_nobody_reads_are_left_out():
    mask = np.zeros((2, 100), dtype=bool)
    mask[0, [20, 35, 36]] = True
    mask[1, 98] = True
    wiring, _, _, place = wire([mask], dataset((1, 10, 10), 2), 16)
    assert wiring.chunks.tolist() == [20, 36, 84]
    assert wiring.sources[place].tolist() == [0, 1, 2, 3]
    rows = {20: 0, 35: 1, 36: 2, 98: 3}
    pixels = np.add.outer(wiring.chunks, np.arange(16)).ravel()
    assert wiring.places.tolist() == [rows.get(pixel, 4) for pixel in pixels]


def test_weights_on_the_rim_stand_row_by_row_before_those_of_no_use():
    mask = np.ones((3, 9), dtype=bool)
    out = np.array([[1, 0, 1], [1, 0, 0]], dtype=bool)
    job = make_job()
    images = np.zeros((130, 3, 1, 3), np.uint8)
    images[:, 0], images[::40, 1] = 7, 7
    data = dataset((3, 1, 3), 2)
    data = replace(data, train=replace(job.data.train, inputs=images))
    wiring, scaling, _, place = wire([mask, out], data, 16)
    assert wiring.num_core == 3
    assert wiring.rim_ends.tolist() == [3, 3, 3, 6, 6, 6]
    assert scaling.rim_scale == pytest.approx(3 * [1 / 50] + 3 * [1 / 90])
    first, end = wiring.rim_starts[0], wiring.rim_starts[-1]
    assert wiring.sources[first:end].tolist() == 6 * [0, 2]
    order = np.argsort(place)
    assert (order[first:end] % 9).tolist() == [p for p in range(3, 9) for _ in "ab"]
    assert order[end:].tolist() == list(range(9, 18))


def test_blocks_of_rows_keep_their_channels_apart():
    mask = np.ones((2, 330), dtype=bool)
    wiring, _, _, place = wire([mask], dataset((2, 15, 11), 2), 16)
    assert wiring.rows.tolist() == [0, 110, 110, 220]
    assert np.diff(wiring.starts).tolist() == [n for n in (110, 55, 55, 110) for _ in "ab"]
    assert wiring.sources.max() < wiring.block_rows == 110
    assert sorted(place) == list(range(2 * 330))


def test_few_weights_are_read_by_channel():
    mask = np.zeros((2, 297), dtype=bool)
    mask[0, ::40], mask[1, 20::40] = True, True
    wiring, _, _, _ = wire([mask], dataset((3, 9, 11), 2), 16)
    assert wiring.block_rows == 0
    assert len(wiring.rows) == 3


def test_hidden_units_are_read_in_parts_if_they_are_many():
    masks = [np.ones((300, 4), dtype=bool), np.ones((2, 300), dtype=bool)]
    wiring, _, _, _ = wire(masks, dataset((1, 2, 2), 2), 16)
    assert np.diff(wiring.first_parts).tolist() == [1, 3]
    assert wiring.begins_sums.tolist() == [False, True, False, False]
    assert wiring.ends_sums.tolist() == [True, False, False, True]
    assert np.diff(wiring.first_visits).tolist() == [300, 2, 2, 2]


def test_a_pixel_that_equals_the_mean_is_an_input_of_about_0():
    job = make_job(density=1.0)
    images = job.data.train.images.copy()
    images[..., 2, 3] = job.data.images.mean[0]
    split = replace(job.data.train, inputs=images)
    job = replace(job, data=replace(job.data, train=split))
    engine = sparse.make([job])
    engine.advance(1)
    after, before = engine.weights()[0]["fc1.weight"], job.start["fc1.weight"]
    moved = np.abs(after - before).max(axis=0)
    at_mean = 2 * images.shape[3] + 3
    assert moved[at_mean] < 1e-7
    assert np.delete(moved, at_mean).min() > 1e-4


@pytest.mark.parametrize("density", [1.0, 0.02])
def test_a_state_is_in_the_order_of_the_masks(density):
    job = make_job("several blocks", density)
    values = sparse.make([job]).state()["weights/value"]
    expected = [job.start[name][kept] for name, kept in job.mask.items()]
    assert np.array_equal(values[: sum(map(len, expected))], np.concatenate(expected))


def test_pruned_weights_take_no_memory():
    job = make_job("three channels", density=0.3)
    kept = sum(np.count_nonzero(kept) for kept in job.mask.values())
    state = sparse.make([job]).state()
    assert len(state["weights/moment"]) <= kept + 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": (Conv(name="c", inputs=1, outputs=1), ReLU())},
            "not .'Conv', 'ReLU'.;",
        ),
        ({"settings": replace(SETTINGS, device="cuda")}, "on the CPU, not on cuda; give"),
    ],
)
def test_jobs_that_the_engine_cannot_train_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sparse.make([replace(make_job(), **changes)])


def test_labels_beyond_the_logits_are_refused():
    job = make_job()
    wrong = replace(job.data.test, labels=np.array([0, 3, 1]))
    with pytest.raises(ValueError, match=r"labels reach from 0 to 3, but .* has 3 logits"):
        sparse.make([replace(job, data=replace(job.data, test=wrong))])
