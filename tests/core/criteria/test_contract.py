"""Every criterion fulfills the contract of criteria, and gives known answers."""

import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core import criteria, seeding
from pipeline.core.batches import Batch
from pipeline.core.criteria import CRITERIA
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.description import of_images
from pipeline.core.models.layers import Conv, Flatten, Linear
from pipeline.core.registry import Registry

NETWORK = (
    Conv(name="conv", inputs=2, outputs=2, kernel=1),
    Flatten(),
    Linear(name="fc", inputs=2, outputs=2),
)
MASK = {
    "conv.weight": np.array([[[[True]], [[False]]], [[[True]], [[True]]]]),
    "fc.weight": np.array([[True, False], [False, True]]),
}
THETA0 = {
    "conv.weight": np.array([[[[0.1]], [[0.2]]], [[[-0.3]], [[0.4]]]], np.float32),
    "conv.bias": np.array([0.0, 0.0], np.float32),
    "fc.weight": np.array([[0.5, -0.6], [0.7, -0.8]], np.float32),
    "fc.bias": np.array([0.0, 0.0], np.float32),
}
TRAINED = {
    "conv.weight": np.array([[[[-1.0]], [[0.0]]], [[[0.25]], [[2.0]]]], np.float32),
    "conv.bias": np.array([9.0, 9.0], np.float32),
    "fc.weight": np.array([[0.0, 0.0], [-0.0, -3.0]], np.float32),
    "fc.bias": np.array([9.0, 9.0], np.float32),
}


def copied(arrays):
    return {name: values.copy() for name, values in arrays.items()}


def same(a, b):
    return list(a) == list(b) and all(a[name].tobytes() == b[name].tobytes() for name in a)


def stream():
    return seeding.generator(0, "mask_sample")


def evidence(**changes):
    return replace(
        Evidence(
            network=NETWORK,
            data=of_images((2, 1, 1), classes=2),
            begun=THETA0,
            trained=TRAINED,
            mask=MASK,
            batches=never,
            rng=stream(),
        ),
        **changes,
    )


def never(size):
    raise AssertionError(f"asked for batches of {size}")


def examples(size):
    """40 examples of two classes, as images of one pixel and two channels."""
    rng = np.random.default_rng(0)
    for _ in range(40 // size or 1):
        images = rng.standard_normal((size, 2, 1, 1)).astype(np.float32)
        yield Batch(images, rng.integers(2, size=size))


def score(name, **changes):
    needed = {"batches": examples} if criteria.CRITERIA[name].needs_batches else {}
    return criteria.score(name, evidence(**(needed | changes)))


@pytest.fixture(params=[name for name, record in CRITERIA.items() if not record.cut])
def name(request):
    return request.param


@pytest.mark.parametrize("name", [name for name, record in CRITERIA.items() if record.cut])
def test_a_criterion_without_scores_says_so(name):
    with pytest.raises(ValueError, match=f"^the criterion '{name}' gives no scores$"):
        criteria.score(name, evidence())


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
    begun, trained, mask = copied(THETA0), copied(TRAINED), copied(MASK)
    scores = score(name, trained=trained, begun=begun, mask=mask)
    for values in scores.values():
        values[...] = 7
    assert same(begun, THETA0)
    assert same(trained, TRAINED)
    assert same(mask, MASK)


def test_the_same_arguments_give_the_same_scores(name):
    assert same(score(name), score(name))


def test_values_of_pruned_weights_do_not_matter(name):
    begun, trained = copied(THETA0), copied(TRAINED)
    for tensor, kept in MASK.items():
        begun[tensor][~kept] = -9
        trained[tensor][~kept] = 9
    assert same(score(name, trained=trained, begun=begun), score(name))


def test_the_order_of_the_dictionaries_does_not_matter(name):
    turned = score(name, mask=dict(reversed(MASK.items())))
    assert same(dict(reversed(turned.items())), score(name))


def test_only_a_criterion_that_draws_takes_from_the_stream(name):
    rng = stream()
    score(name, rng=rng)
    drew = rng.random() != stream().random()
    assert drew == CRITERIA[name].draws


def test_a_diverged_training_gives_nan_on_kept_weights_only(name):
    lost = {tensor: np.full_like(values, np.nan) for tensor, values in TRAINED.items()}
    for tensor, values in score(name, trained=lost).items():
        kept = MASK[tensor]
        assert not np.any(np.isnan(values[~kept]))
        assert np.all(np.isnan(values[kept])) == CRITERIA[name].needs_trained


def test_a_criterion_reads_only_the_evidence_that_it_needs(name):
    needs = CRITERIA[name]
    bare = {} if needs.needs_trained else {"trained": {}}
    bare |= {} if needs.needs_batches else {"batches": None}
    bare |= {} if needs.draws else {"rng": None}
    assert same(score(name, **bare), score(name))


def test_missing_evidence_is_named(name):
    needs = CRITERIA[name]
    for is_needed, change, thing in (
        (needs.needs_trained, {"trained": {}}, "trained weights"),
        (needs.needs_batches, {"batches": None}, "training batches"),
        (needs.draws, {"rng": None}, "a random stream"),
    ):
        if is_needed:
            message = f"^the criterion '{name}' needs {thing}; give them$"
            with pytest.raises(ValueError, match=message):
                score(name, **change)


def test_magnitude_is_the_size_of_the_trained_weights():
    scores = score("magnitude")
    assert scores["conv.weight"].ravel().tolist() == [1.0, 0.0, 0.25, 2.0]
    assert scores["fc.weight"].ravel().tolist() == [0.0, 0.0, 0.0, 3.0]


def test_an_unknown_criterion_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"^unknown criterion: magnitud; did you mean mag"):
        score("magnitud")


def test_a_criterion_that_needs_batches_gets_them_in_the_size_it_asks_for(monkeypatch):
    record = criteria.Criterion(module="invented", needs_trained=False, needs_batches=True)
    seen = []

    def by_gradient(given):
        seen.extend(given.batches(7))
        return {name: kept.astype(np.float32) for name, kept in given.mask.items()}

    module = types.SimpleNamespace(by_gradient=by_gradient)
    monkeypatch.setitem(sys.modules, "pipeline.core.criteria.invented", module)
    found = Registry("criterion", criteria.__name__, {"by-gradient": record})
    monkeypatch.setattr(criteria, "CRITERIA", found)
    given = {"trained": {}, "batches": lambda size: iter(range(size))}
    score("by-gradient", **given)
    assert seen == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="'by-gradient' needs training batches; give"):
        score("by-gradient", batches=None)


def test_a_criterion_is_imported_on_use():
    code = (
        "import sys; from pipeline.core import criteria; "
        "criteria.CRITERIA.file_of('magnitude'); "
        "sys.exit('pipeline.core.criteria.magnitude' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
