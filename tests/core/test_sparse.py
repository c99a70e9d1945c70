"""What is special about the sparse engine; its numbers are in test_fully_connected.py."""

from dataclasses import replace

import numpy as np
import pytest
from fully_connected import SETTINGS, dataset, make_job, narrow_and_wide

from pipeline.core.models.layers import Conv, ReLU
from pipeline.core.training.sparse import engine as sparse
from pipeline.core.training.sparse.tiles import make_tiles
from pipeline.core.training.sparse.wiring import wire


def test_examples_that_leave_the_same_pixels_0_share_a_group():
    job = narrow_and_wide(make_job("several blocks"), 1500)
    wiring, _ = wire([job.mask["fc1.weight"], job.mask["fc2.weight"]], job.data)
    tiles = make_tiles(job.data.validation, job.data, wiring, (0,) * 4)
    assert tiles.num_tiles.tolist() == [3] * 8
    assert tiles.num_rows[0] < 200 < tiles.num_rows[-1]
    blank = replace(job.data.validation, images=0 * job.data.validation.images)
    tiles = make_tiles(blank, job.data, wiring, (0,) * 4)
    assert set(tiles.num_rows) == {1}
    photographs = make_job("several blocks").data.train
    tiles = make_tiles(photographs, job.data, wiring, (0,) * 4)
    assert tiles.num_tiles.tolist() == [3]
    assert np.array_equal(tiles.labels, photographs.labels)


def test_only_what_reaches_a_logit_is_computed():
    masks = [
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool),
        np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool),
        np.array([[1, 0], [0, 0]], dtype=bool),
    ]
    wiring, _ = wire(masks, dataset((1, 1, 3), 2))
    # Unit 5 reaches no logit, nor do units 1 and 2; 3 is a constant, and stays.
    assert wiring.visits.tolist() == [3, 0, 4, 7, 6]
    assert wiring.readers[wiring.reader_starts[0] : wiring.reader_starts[1]] == [4]
    assert wiring.reader_starts[1] == wiring.reader_starts[3]


def test_pixels_that_nobody_reads_are_left_out():
    mask = np.zeros((2, 100), dtype=bool)
    mask[0, [20, 35, 36]] = True
    mask[1, 98] = True
    wiring, order = wire([mask], dataset((1, 10, 10), 2))
    assert wiring.chunks.tolist() == [20, 36, 84]
    assert wiring.sources[np.argsort(order)].tolist() == [0, 15, 16, 46]


def test_blocks_of_rows_keep_their_channels_apart():
    wiring, order = wire([np.ones((2, 297), dtype=bool)], dataset((3, 9, 11), 2))
    assert wiring.rows.tolist() == [0, 0, 128, 128, 256]
    assert np.diff(wiring.starts).tolist() == [
        n for n in (99, 29, 70, 58, 41) for _ in "ab"
    ]
    assert wiring.sources.max() < wiring.block_rows == 128
    assert sorted(order) == list(range(2 * 297))


def test_few_weights_are_read_by_channel():
    mask = np.zeros((2, 297), dtype=bool)
    mask[:, ::20] = True
    wiring, _ = wire([mask], dataset((3, 9, 11), 2))
    assert wiring.block_rows == 0
    assert len(wiring.rows) == 3


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
def test_what_it_cannot_train_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sparse.make([replace(make_job(), **changes)])


def test_labels_beyond_the_logits_are_refused():
    job = make_job()
    wrong = replace(job.data.test, labels=np.array([0, 3, 1]))
    with pytest.raises(ValueError, match=r"labels reach from 0 to 3, but .* has 3 logits"):
        sparse.make([replace(job, data=replace(job.data, test=wrong))])
