"""What every criterion promises, and the answers of each."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import criteria, seeding

MASK = {
    "conv.weight": np.array([[[[True, False], [True, True]]]]),
    "fc.weight": np.array([[True, False, False, True]]),
}
THETA0 = {
    "conv.weight": np.array([[[[0.1, 0.2], [-0.3, 0.4]]]], np.float32),
    "conv.bias": np.array([0.0], np.float32),
    "fc.weight": np.array([[0.5, -0.6, 0.7, -0.8]], np.float32),
}
TRAINED = {
    "conv.weight": np.array([[[[-1.0, 0.0], [0.25, 2.0]]]], np.float32),
    "conv.bias": np.array([9.0], np.float32),
    "fc.weight": np.array([[0.0, 0.0, -0.0, -3.0]], np.float32),
}

BLIND = {"large-init", "random", "small-init"}
"""criteria that do not look at the trained weights"""


def copied(arrays):
    return {name: values.copy() for name, values in arrays.items()}


def same(a, b):
    return list(a) == list(b) and all(a[name].tobytes() == b[name].tobytes() for name in a)


def stream():
    return seeding.generator(0, "mask_sample")


def score(name, trained=TRAINED, theta0=THETA0, mask=MASK):
    return criteria.score(name, theta0=theta0, trained=trained, mask=mask, rng=stream())


@pytest.fixture(params=criteria.CRITERIA)
def name(request):
    return request.param


def test_scores_have_the_tensors_and_shapes_of_the_mask(name):
    scores = score(name)
    assert list(scores) == list(MASK)
    for tensor, values in scores.items():
        assert values.shape == MASK[tensor].shape
        assert np.issubdtype(values.dtype, np.floating)


def test_scores_are_finite_and_zero_where_pruned(name):
    for tensor, values in score(name).items():
        assert np.all(np.isfinite(values))
        assert np.all(values[~MASK[tensor]] == 0)


def test_arguments_are_left_unchanged(name):
    theta0, trained, mask = copied(THETA0), copied(TRAINED), copied(MASK)
    scores = score(name, trained, theta0, mask)
    for values in scores.values():
        values[...] = 7
    assert same(theta0, THETA0)
    assert same(trained, TRAINED)
    assert same(mask, MASK)


def test_the_same_arguments_give_the_same_scores(name):
    assert same(score(name), score(name))


def test_values_of_pruned_weights_do_not_matter(name):
    theta0, trained = copied(THETA0), copied(TRAINED)
    for tensor, kept in MASK.items():
        theta0[tensor][~kept] = -9
        trained[tensor][~kept] = 9
    assert same(score(name, trained, theta0), score(name))


def test_the_order_of_the_dictionaries_does_not_matter(name):
    turned = score(name, mask=dict(reversed(MASK.items())))
    assert same(dict(reversed(turned.items())), score(name))


def test_only_a_criterion_that_draws_takes_from_the_stream(name):
    rng = stream()
    criteria.score(name, theta0=THETA0, trained=TRAINED, mask=MASK, rng=rng)
    drew = rng.random() != stream().random()
    assert drew == (name in criteria.DRAWING)


def test_a_diverged_training_gives_nan_on_kept_weights_only(name):
    lost = {tensor: np.full_like(values, np.nan) for tensor, values in TRAINED.items()}
    for tensor, values in score(name, trained=lost).items():
        kept = MASK[tensor]
        assert not np.any(np.isnan(values[~kept]))
        assert np.all(np.isnan(values[kept])) == (name not in BLIND)


def test_the_file_of_a_criterion_exists(name):
    folder = Path(criteria.__file__).parent
    assert (folder / criteria.file_of(name)).is_file()
    assert find_spec(criteria.CRITERIA[name]) is not None


def test_magnitude_is_the_size_of_the_trained_weights():
    scores = score("magnitude")
    assert scores["conv.weight"].tolist() == [[[[1.0, 0.0], [0.25, 2.0]]]]
    assert scores["fc.weight"].tolist() == [[0.0, 0.0, 0.0, 3.0]]


def test_an_unknown_criterion_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"'magnitud'; .*did you mean 'magnitude'\?"):
        score("magnitud")
    with pytest.raises(ValueError, match=r"unknown criterion 'snap'; the criteria are"):
        criteria.file_of("snap")


def test_a_criterion_that_draws_is_refused_without_a_stream():
    with pytest.raises(ValueError, match=r"'random' draws its scores; give it a stream"):
        criteria.score("random", theta0=THETA0, trained=TRAINED, mask=MASK)


def test_a_criterion_is_imported_on_use():
    code = (
        "import sys; from pipeline.core import criteria; "
        "criteria.file_of('magnitude'); "
        "sys.exit('pipeline.core.criteria.magnitude' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
