"""The user's own data sets: how sources are read and divided, and what is refused."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.border import user_code
from pipeline.border.user_code import CodeError
from pipeline.core.description import Classes, Images, Tokens, TokensAt, Vectors
from pipeline.data.own.arrays import dataset
from pipeline.data.own.folder import read as read_folder
from pipeline.data.own.read import OwnDataError, read
from pipeline.data.own.source import Source

NPZ = Source(npz="some.npz")
RNG = np.random.default_rng(0)


def table(num=50, **changes):
    arrays = {"inputs": RNG.normal(3, 2, (num, 4)), "labels": np.arange(num) % 3}
    return arrays | changes


def test_vectors_are_divided_and_standardized_by_the_training_part():
    data = dataset(table(), NPZ)
    assert data.description.inputs == Vectors(num_values=4)
    assert data.description.labels == Classes(number=3)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [40, 5, 5]
    assert np.allclose(data.train.inputs.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(data.train.inputs.std(axis=0), 1, atol=1e-5)
    assert data.test.inputs.dtype == np.float32
    raw = dataset(table(), Source(npz="some.npz", standardize=False))
    assert raw.train.inputs.mean() > 2


def test_large_numbers_side_by_side_stay_apart_when_they_are_standardized():
    times = 1.7e9 + np.arange(50.0)[:, None]
    data = dataset({"inputs": times, "labels": np.arange(50) % 2}, NPZ)
    assert data.train.inputs.dtype == np.float32
    assert len(np.unique(data.train.inputs)) == len(data.train)


def test_float32_is_standardized_to_the_bits_of_its_own_statistics():
    values = RNG.normal(3, 2, (300, 4)).astype(np.float32)
    values[:, 3] = 0.1
    arrays = {"inputs": values, "labels": np.arange(300) % 2}
    raw = dataset(arrays, Source(npz="x", standardize=False)).train.inputs
    mean, std = (getattr(raw, name)(axis=0, dtype=np.float64) for name in ("mean", "std"))
    std[3] = 1
    found = dataset(arrays, NPZ).train.inputs
    assert np.array_equal(found, ((raw - mean) / std).astype(np.float32))


def test_a_number_that_differs_by_rounding_alone_is_constant():
    rounded = np.where(np.arange(50) % 2, 0.1 + 0.2, 0.3)
    inputs = np.stack([rounded, RNG.normal(size=50)], axis=1)
    data = dataset(table(inputs=inputs), NPZ)
    assert np.allclose(data.train.inputs[:, 0], 0)


def test_parts_that_are_given_stay_as_they_are():
    arrays = {f"train_{k}": v for k, v in table(30).items()}
    arrays |= {f"test_{k}": v for k, v in table(6).items()}
    data = dataset(arrays, Source(npz="x", validation=0.2))
    assert [len(p) for p in (data.train, data.validation, data.test)] == [24, 6, 6]
    assert data.test.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_images_have_the_statistics_of_the_training_part():
    images = RNG.integers(0, 256, (40, 5, 5), dtype=np.uint8)
    data = dataset({"inputs": images, "labels": np.arange(40) % 2}, NPZ)
    inputs = data.description.inputs
    assert isinstance(inputs, Images)
    assert inputs.shape == (1, 5, 5)
    assert inputs.mean[0] == pytest.approx(data.train.images.mean())
    assert inputs.std[0] == pytest.approx(data.train.images.std())


def test_tokens_have_labels_at_positions():
    tokens = np.stack([np.arange(30), np.arange(30)[::-1], np.full(30, 30)], axis=1)
    arrays = {"inputs": tokens, "labels": tokens[:, :1], "positions": np.array([2])}
    data = dataset(arrays, NPZ)
    assert data.description.inputs == Tokens(length=3, vocabulary=31)
    assert data.description.labels == TokensAt(positions=(2,), vocabulary=31)
    assert data.description.output_shape == (3, 31)


TOKENS = RNG.integers(0, 9, (50, 4))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({}, "there are 2 labels for the 4 tokens of an input; give positions"),
        ({"positions": np.array([0.0, 2.0])}, r"positions are float64 \(2,\); give whole"),
        ({"positions": np.array(3)}, r"positions are int64 \(\); give whole numbers"),
        ({"positions": np.array([2, 0])}, r"positions are \[2, 0\] for 2 labels of 4 tok"),
        ({"positions": np.array([2, 4])}, r"positions are \[2, 4\] for 2 labels of 4 tok"),
        ({"vocabulary": np.array([9])}, r"vocabulary is int64 \(1,\); give one whole nu"),
        ({"vocabulary": np.array(9.5)}, r"vocabulary is float64 \(\); give one whole num"),
    ],
)
def test_positions_and_vocabulary_are_whole_numbers_that_fit(extra, message):
    with pytest.raises(ValueError, match=message):
        dataset({"inputs": TOKENS, "labels": TOKENS[:, :2]} | extra, NPZ)


def test_as_many_labels_as_tokens_need_no_positions():
    asked = Source(npz="x", allow_duplicates=True)
    data = dataset({"inputs": TOKENS, "labels": TOKENS}, asked)
    assert data.description.labels == TokensAt(positions=(0, 1, 2, 3), vocabulary=9)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (table(inputs=np.zeros((50, 0))), r"train inputs are float64 \(50, 0\); give"),
        (
            {"inputs": TOKENS, "labels": TOKENS[:, :0]},
            r"train labels are int64 \(50, 0\); give whole",
        ),
        (
            {"inputs": TOKENS, "labels": np.arange(50) % 2, "positions": np.array([3])},
            r"there are positions, and labels are classes \(N,\)",
        ),
        (table(vocabulary=np.array(9)), "there is a vocabulary, and inputs are float64"),
        (table(x=np.zeros(3)), "there is an array called 'x'; the names are inputs"),
        ({"inputs": np.zeros((3, 2))}, "inputs stands there without its partner"),
        ({"test_inputs": np.zeros((3, 2)), "test_labels": np.arange(3)}, "no training exa"),
        (table(inputs=np.zeros((50, 2, 2))), r"train inputs are float64 \(50, 2, 2\)"),
        (table(labels=np.zeros(50)), r"train labels are float64 \(50,\); give whole"),
        (table(labels=np.arange(49)), "has 50 inputs and 49 labels"),
        (
            table(labels=np.arange(50) % 3 - 1),
            "labels reach down to -1; number",
        ),
        (table(labels=np.arange(50) % 3 * 2), "class 1 of the 5 classes has no training"),
        (table(labels=np.arange(50) * 9), "labels reach up to 441, and there are only"),
        (table(labels=np.zeros(50, int)), "all labels are 0"),
        (table(inputs=np.full((50, 4), np.nan)), "have NaN, infinity or numbers beyond"),
        (table(inputs=np.full((50, 4), 1e39)), "have NaN, infinity or numbers beyond"),
        (
            table(inputs=np.ones((50, 4))),
            "inputs stand among the training inputs, too; .* allow_duplicates: true",
        ),
        (
            table(inputs=np.zeros((50, 8, 8, 3), np.uint8)),
            r"images are \(8, 8, 3\), with channels last",
        ),
        (
            table(inputs=np.zeros((50, 1, 2, 2), np.uint8)),
            "all training pixels of channel 0 have the value 0",
        ),
    ],
)
def test_what_is_wrong_is_one_line(arrays, message):
    with pytest.raises(ValueError, match=message) as refused:
        dataset(arrays, NPZ)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("train", "other"),
    [
        (np.arange(30) % 2, np.arange(30)[:, None] % 2),
        (np.zeros((30, 2), int), np.zeros((30, 3), int)),
    ],
)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_of_another_shape_than_the_training_labels_are_refused(train, other, part):
    tokens = np.arange(90).reshape(30, 3) % 7
    arrays = {"train_inputs": tokens, "train_labels": train}
    arrays |= {f"{part}_inputs": tokens, f"{part}_labels": other}
    with pytest.raises(
        ValueError, match=rf"the {part} labels are .* give all parts one for"
    ):
        dataset(arrays, Source(npz="x", allow_duplicates=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no source given; give exactly one of npz, folder, import"),
        ({"npz": "a", "import_": "b:c"}, "npz and import given; give exactly one"),
        ({"folder": "a"}, "size is needed for a folder, and for nothing else"),
        ({"npz": "a", "size": 3}, "size is needed for a folder, and for nothing else"),
        ({"npz": "a", "options": {"x": 1}}, "options are arguments of an imported"),
        ({"npz": "a", "test": 1.0}, r"test is 1.0; give a share in \(0, 1\)"),
    ],
)
def test_settings_that_do_not_go_together(given, message):
    with pytest.raises(ValueError, match=message):
        Source(**given)


def draw(folder: Path, num: int, mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for number in range(num):
        pixels = RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.png")


def test_a_folder_has_one_folder_per_class(tmp_path):
    for name in ("cat", "dog"):
        draw(tmp_path / "pets" / name, 12)
    data = read("pets", Source(folder="pets", size=8), tmp_path)
    assert data.images.shape == (3, 8, 8)
    assert len(data.train) + len(data.validation) + len(data.test) == 24
    assert data.description.labels == Classes(number=2)


def test_a_folder_may_have_its_parts_and_no_color(tmp_path):
    for part, num in (("train", 6), ("val", 3), ("test", 4)):
        for name in ("cat", "dog"):
            draw(tmp_path / "pets" / part / name, num, mode="L")
    data = read("pets", Source(folder="pets", size=8), tmp_path)
    assert data.images.shape == (1, 8, 8)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [12, 6, 8]


DEEP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000


def deep(folder: Path, kind: str) -> None:
    """Two classes with one image each, of more than 8 bits."""
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        Image.fromarray(DEEP.astype(kind)).save(folder / name / "0.tiff")


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_of_gray_images_of_16_bits_the_upper_8_are_taken(tmp_path, suffix):
    deep(tmp_path, "u2")
    Image.fromarray(DEEP).save(tmp_path / f"cat/1.{suffix}")
    arrays = read_folder(tmp_path, 8)
    assert arrays["inputs"].shape == (3, 1, 8, 8)
    assert (arrays["inputs"] == DEEP >> 8).all()


def test_an_image_of_16_bits_beside_colored_ones_is_as_bright(tmp_path):
    deep(tmp_path, "u2")
    draw(tmp_path / "fox", 1)
    assert (read_folder(tmp_path, 8)["inputs"][:2] == DEEP >> 8).all()


@pytest.mark.parametrize("kind", ["i4", "f4"])
def test_images_without_a_known_range_are_one_line(tmp_path, kind):
    deep(tmp_path / "pets", kind)
    with pytest.raises(
        OwnDataError, match=r"0.tiff has pixels of Pillow.s mode [IF], .* to 8 bits$"
    ):
        read("pets", Source(folder="pets", size=8), tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("text", r"pets/cat/0.txt is no image that Pillow can read; remove it"),
        ("empty", r"pets/fox has no image; add some or remove the class"),
        ("single", r"pets has 1 folders; give one per class, at least two"),
        ("gone", "there is no such file or folder; paths begin at params.yaml"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path, damage, message):
    draw(tmp_path / "pets" / "cat", 4)
    if damage != "single":
        draw(tmp_path / "pets" / "dog", 4)
    if damage == "text":
        (tmp_path / "pets/cat/0.txt").write_text("no image")
    if damage == "empty":
        (tmp_path / "pets/fox").mkdir()
    name = "none" if damage == "gone" else "pets"
    with pytest.raises(OwnDataError, match=rf"^datasets.pets: {name}: .*{message}"):
        read("pets", Source(folder=name, size=8), tmp_path)


def test_a_file_that_is_no_npz_is_one_line(tmp_path):
    (tmp_path / "some.npz").write_text("no arrays")
    with pytest.raises(OwnDataError, match=r"some.npz: it is no file of numpy arrays"):
        read("mine", NPZ, tmp_path)


MODULE = '''
"""A user's module."""
from . import helper
def load(num):
    return helper.arrays(num)
def odd():
    return 3
def bad():
    raise RuntimeError("two\\nlines")
'''
HELPER = """
import numpy as np
def arrays(num):
    return {"inputs": np.arange(2.0 * num).reshape(num, 2), "labels": np.arange(num) % 2}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    name = f"package{abs(hash(tmp_path)) % 10**9}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "mod.py").write_text(MODULE)
    (folder / "helper.py").write_text(HELPER)
    (folder / "other.py").write_text("broken(")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_function_gives_arrays(tmp_path, package):
    source = Source(import_=f"{package}.mod:load", options={"num": 40})
    assert len(read("mine", source, tmp_path).train) == 32


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mod:odd", "it returns int; return a dict of arrays"),
        ("mod:bad", "bad fails: RuntimeError: two lines"),
        ("mod:none", "has no function none"),
        ("none:load", "importing .*none fails: ModuleNotFoundError"),
        ("mod.load", "is no function; write package.module:function"),
    ],
)
def test_a_function_that_gives_none_is_one_line(tmp_path, package, function, message):
    source = Source(import_=f"{package}.{function}")
    with pytest.raises((OwnDataError, CodeError), match=message) as refused:
        read("mine", source, tmp_path)
    assert "\n" not in str(refused.value)


def test_code_behind_a_function_is_what_it_imports_from_its_package(tmp_path, package):
    def names(module):
        return [p.name for p in user_code.files_behind(module, root=tmp_path)]

    assert names(f"{package}.mod") == ["__init__.py", "helper.py", "mod.py"]
    before = user_code.digest_behind(f"{package}.mod", root=tmp_path)
    (tmp_path / package / "other.py").write_text("more")
    assert user_code.digest_behind(f"{package}.mod", root=tmp_path) == before
    (tmp_path / package / "helper.py").write_text(HELPER + "# edited\n")
    assert user_code.digest_behind(f"{package}.mod", root=tmp_path) != before
    assert user_code.packages([f"{package}.mod", "json"], root=tmp_path) == [Path(package)]
    assert json  # installed packages are not watched


def test_code_behind_a_function_is_what_lies_beside_params_yaml_too(tmp_path, package):
    name = f"top{package}"
    (tmp_path / f"{name}.py").write_text(
        f"import json, {name}parts\nfrom {package} import helper\nimport pipeline.cli\n"
    )
    (tmp_path / f"{name}parts.py").write_text("found = 1\n")
    (tmp_path / "json").mkdir()  # of files that are no modules
    found = user_code.files_behind(name, root=tmp_path)
    beside = ["__init__.py", "helper.py"]
    assert [str(path) for path in found] == sorted(
        [f"{name}.py", f"{name}parts.py", *(f"{package}/{file}" for file in beside)]
    )


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A package of folders without an ``__init__.py``; Python imports it all the same."""
    name = f"bare{abs(hash(tmp_path)) % 10**9}"
    files = {
        "nets.py": f"from {name}.parts.deep import layer\nfrom . import widths\n",
        "parts/deep.py": "from ..packed import found\nlayer = found\n",
        "packed/__init__.py": "from .beside import found\n",
        "packed/beside.py": "found = 1\n",
        "packed.py": "raise ImportError('the folder comes before it')\n",
        "widths.py": "",
        "widths/other.py": "raise ImportError('the file comes before the folder')\n",
        "unused.py": "",
    }
    for file, text in files.items():
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_code_behind_a_function_is_found_without_init_files(tmp_path, bare):
    user_code.make_importable(tmp_path)
    import_module(f"{bare}.nets")
    imported = {
        Path(module.__file__).relative_to(tmp_path)
        for name, module in sys.modules.items()
        if name.startswith(bare) and module.__file__
    }
    found = user_code.files_behind(f"{bare}.nets", root=tmp_path)
    assert found == sorted(imported)
    assert len(found) == 5
    assert user_code.file_of(f"{bare}.nets", root=tmp_path) == Path(bare, "nets.py")
    assert user_code.packages([f"{bare}.nets"], root=tmp_path) == [Path(bare)]


@pytest.mark.parametrize("part", ["nets", "parts/deep", "packed/__init__", "packed/beside"])
def test_an_edit_without_init_files_is_seen(tmp_path, bare, part):
    before = user_code.digest_behind(f"{bare}.nets", root=tmp_path)
    file = tmp_path / bare / f"{part}.py"
    file.write_text(file.read_text() + "# edited\n")
    assert user_code.digest_behind(f"{bare}.nets", root=tmp_path) != before


def test_a_folder_is_no_module_with_functions(tmp_path, bare):
    with pytest.raises(CodeError, match=rf"^there is no file of a module {bare} in "):
        user_code.files_behind(bare, root=tmp_path)
