import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from pipeline.core.description import of_images
from pipeline.data.facts import FACTS
from pipeline.data.raw import DataError, read, read_as
from pipeline.data.torchvision_import import datasets as torchvision_datasets

REPOSITORY = Path(__file__).parents[2]
NUM_POOL, NUM_TEST = 8, 3
IDX_NAMES = {
    "train-images-idx3-ubyte": (NUM_POOL, 28, 28),
    "train-labels-idx1-ubyte": (NUM_POOL,),
    "t10k-images-idx3-ubyte": (NUM_TEST, 28, 28),
    "t10k-labels-idx1-ubyte": (NUM_TEST,),
}
CIFAR_COUNTS = {f"data_batch_{i}": 2 for i in range(1, 6)} | {"test_batch": NUM_TEST}


def real_data_root():
    root = Path(os.environ.get("LT_DATA_ROOT") or REPOSITORY.parent / "shared/data")
    if not root.is_dir():
        pytest.skip(f"no raw data at {root}; set LT_DATA_ROOT")
    return root


def idx_bytes(shape):
    """An IDX file in which every image and its label carry the example's number."""
    number = np.arange(shape[0], dtype=np.uint8).reshape(-1, *[1] * (len(shape) - 1))
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()
    return header + np.broadcast_to(number, shape).tobytes()


def tiny(facts, contents, **sizes):
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in contents}
    return replace(facts, checksums=checksums, num_test=NUM_TEST, **sizes)


def write(folder, contents):
    folder.mkdir(parents=True)
    for name, content in contents:
        (folder / name).write_bytes(content)


def tiny_mnist(folder, *, packed=True):
    """Facts and files of an MNIST of 8 + 3 images."""
    contents = []
    for name, shape in IDX_NAMES.items():
        content = idx_bytes(shape)
        contents.append((f"{name}.gz", gzip.compress(content, mtime=0)))
        contents.append((name, content))
    write(folder, [(n, c) for n, c in contents if n.endswith(".gz") == packed])
    return tiny(FACTS["mnist"], contents, num_train=6, num_validation=2)


def tiny_cifar(folder):
    """Facts and files of a CIFAR-10 of 10 + 3 images, labelled by their red pixels."""
    contents = [("batches.meta", pickle.dumps({"label_names": ["zero", "one"]}))]
    for i, (name, count) in enumerate(CIFAR_COUNTS.items()):
        pixels = np.zeros((count, 3, 32, 32), dtype=np.uint8)
        pixels[:, 0] = i
        pixels[:, 2, :, 31] = 200
        batch = {"data": pixels.reshape(count, -1), "labels": [i] * count}
        contents.append((name, pickle.dumps(batch)))
    write(folder, contents)
    return tiny(FACTS["cifar-10"], contents, num_train=8, num_validation=2)


def zipped_letters(folder):
    """Facts and archive of letters; the number of each is its first pixel and its label."""
    archive = folder / "gzip.zip"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for part, num in (("train", 8), ("test", NUM_TEST)):
            images = (
                np.random.default_rng(0).integers(0, 99, (num, 28, 28)).astype(np.uint8)
            )
            images[:, 0, 0] = labels = np.arange(num, dtype=np.uint8)
            for word, kind, array in (("images", 3, images), ("labels", 1, labels + 1)):
                header = bytes([0, 0, 8, array.ndim])
                header += np.array(array.shape, dtype=">i4").tobytes()
                name = f"gzip/emnist-letters-{part}-{word}-idx{kind}-ubyte.gz"
                opened.writestr(name, gzip.compress(header + array.tobytes()))
    content = [("gzip.zip", archive.read_bytes())]
    return tiny(FACTS["emnist-letters"], content, num_train=6, num_validation=2)


def test_letters_are_read_out_of_the_archive_and_count_from_0(tmp_path):
    facts = zipped_letters(tmp_path / "EMNIST/raw")
    data = read_as(facts, root=tmp_path, download=False)
    assert data.test.labels.tolist() == [0, 1, 2]
    assert data.test.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert data.images.mean == (pytest.approx(data.train.images.mean()),)


def test_house_numbers_are_read_without_the_extra_set(tmp_path):
    contents = []
    for part, num in (("train", 8), ("test", NUM_TEST)):
        labels = np.arange(num, dtype=np.uint8) + 1
        images = np.zeros((32, 32, 3, num), np.uint8)
        images[0, 1] = labels
        file = tmp_path / f"{part}_32x32.mat"
        scipy.io.savemat(file, {"X": images, "y": labels[:, None]})
        contents.append((file.name, file.read_bytes()))
    facts = tiny(FACTS["svhn"], contents, num_train=6, num_validation=2)
    data = read_as(facts, root=tmp_path, download=False)
    assert data.test.images.shape == (NUM_TEST, 3, 32, 32)
    assert data.test.labels.tolist() == [1, 2, 3]
    assert data.test.images[:, 0, 0, 1].tolist() == [1, 2, 3]


def test_cifar_100_is_read_with_its_fine_labels(tmp_path):
    folder = tmp_path / "cifar-100-python"
    contents = [("meta", pickle.dumps({"fine_label_names": [str(i) for i in range(100)]}))]
    for name, num in (("train", 8), ("test", NUM_TEST)):
        pixels = np.random.default_rng(0).integers(0, 256, (num, 3072)).astype(np.uint8)
        batch = {"data": pixels, "fine_labels": list(range(90, 90 + num))}
        contents.append((name, pickle.dumps(batch)))
    write(folder, contents)
    facts = tiny(FACTS["cifar-100"], contents, num_train=6, num_validation=2)
    data = read_as(facts, root=tmp_path, download=False)
    assert data.test.labels.tolist() == [90, 91, 92]
    assert len(data.images.std) == 3


def numbers(split):
    """The example numbers, after checking that image and label agree."""
    assert (split.images == split.labels[:, None, None, None]).all()
    return split.labels.tolist()


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_packed_or_unpacked_and_nothing_is_written(tmp_path, packed):
    facts = tiny_mnist(tmp_path / "MNIST/raw", packed=packed)
    before = sorted(tmp_path.rglob("*"))
    data = read_as(facts, root=tmp_path, download=False)
    assert sorted(tmp_path.rglob("*")) == before
    assert data.images.shape == (1, 28, 28)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(8))
    assert len(data.validation) == 2
    assert numbers(data.test) == [0, 1, 2]
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64


def test_fashion_mnist_lies_in_a_folder_of_its_own(tmp_path):
    facts = tiny_mnist(tmp_path / "FashionMNIST/raw")
    fashion = FACTS["fashion-mnist"]
    facts = replace(facts, reader=fashion.reader, folder=fashion.folder)
    assert numbers(read_as(facts, root=tmp_path, download=False).test) == [0, 1, 2]


def test_missing_files_are_named_with_what_to_do(tmp_path):
    with pytest.raises(DataError) as error:
        read("mnist", root=tmp_path, download=False)
    assert str(error.value) == (
        f"mnist: {tmp_path}/MNIST/raw/train-images-idx3-ubyte.gz not found; set "
        "LT_DATA_ROOT (or data.root in params.yaml) to the folder that holds "
        "MNIST/raw, or set data.download: true"
    )


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_is_refused(tmp_path, packed):
    facts = tiny_mnist(tmp_path / "MNIST/raw", packed=packed)
    name = "t10k-labels-idx1-ubyte" + (".gz" if packed else "")
    (tmp_path / "MNIST/raw" / name).write_bytes(b"cut off")
    with pytest.raises(DataError, match=rf"{name} is damaged: md5 \w+ instead of \w+;"):
        read_as(facts, root=tmp_path, download=False)


def test_cifar_images_have_their_channels_first(tmp_path):
    facts = tiny_cifar(tmp_path / "cifar-10-batches-py")
    data = read_as(facts, root=tmp_path, download=False)
    assert data.images.shape == (3, 32, 32)
    for part in (data.train, data.validation, data.test):
        assert (part.images[:, 0] == part.labels[:, None, None]).all()
        assert (part.images[:, 2, :, 31] == 200).all()
        assert (part.images[:, 1:, :, :31] == 0).all()
    assert sorted([*data.train.labels, *data.validation.labels]) == sorted(
        [0, 1, 2, 3, 4] * 2
    )
    assert data.test.labels.tolist() == [5, 5, 5]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "loaded")


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_no_pickle_is_loaded_that_fails_its_checksum(tmp_path, name):
    facts = tiny_cifar(tmp_path / "cifar-10-batches-py")
    trap = Trap(tmp_path / "trapped")
    (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(trap))
    with pytest.raises(DataError, match=f"{name} is damaged"):
        read_as(facts, root=tmp_path, download=False)
    assert not trap.path.exists()


def test_digits_come_with_scikit_learn_and_are_divided_evenly(tmp_path):
    data = read("digits", root=tmp_path / "absent", download=False)
    facts = FACTS["digits"]
    known = facts.description.images
    assert [len(data.train), len(data.validation), len(data.test)] == [1197, 300, 300]
    assert data.description == facts.description
    assert data.train.images.max() == 16
    for part in (data.validation, data.test):
        assert np.bincount(part.labels).min() >= 28
    assert data.train.images.mean() == pytest.approx(known.mean[0], abs=1e-4)
    assert data.train.images.std() == pytest.approx(known.std[0], abs=1e-4)


def test_the_split_of_the_digits_is_pinned():
    data = read("digits", root=Path("absent"), download=False)
    positions = hashlib.sha256(data.test.images.tobytes()).hexdigest()
    assert positions.startswith("367be64b085fbb58")


def test_an_unknown_data_set_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(DataError, match=r"unknown data set 'places'.*'cifar-10'.*'digi"):
        read("places", root=tmp_path, download=False)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder and the address that serves it, on the loopback interface."""
    folder = tmp_path / "mirror"
    handler = partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_missing_files_are_downloaded_if_that_is_allowed(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    facts = tiny_mnist(folder)
    packed = [(n, md5) for n, md5 in facts.checksums.items() if n.endswith(".gz")]
    reader = torchvision_datasets().MNIST
    monkeypatch.setattr(reader, "mirrors", [address])
    monkeypatch.setattr(reader, "resources", packed)
    root = tmp_path / "new/root"
    assert numbers(read_as(facts, root=root, download=True).test) == [0, 1, 2]
    assert [path.name for path in root.iterdir()] == ["MNIST"]
    monkeypatch.setattr(reader, "mirrors", [])
    assert numbers(read_as(facts, root=root, download=True).test) == [0, 1, 2]


def test_a_failed_download_is_one_line_with_what_to_do(tmp_path, monkeypatch):
    nobody_listens = "http://127.0.0.1:1/"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(torchvision_datasets().MNIST, "mirrors", [nobody_listens])
    with pytest.raises(DataError, match=r"cannot download into .*ref.* set LT_DATA_R"):
        read("mnist", root=tmp_path / "new/root", download=True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    with pytest.raises(DataError):
        read("mnist", root=tmp_path, download=True)
    assert list(tmp_path.glob("**")) == [
        tmp_path,
        tmp_path / "MNIST",
        tmp_path / "MNIST/raw",
    ]


def test_a_download_into_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="or is writable"):
        read("cifar-10", root=tmp_path / "file", download=True)


def test_the_facts_are_known_without_torch_or_scikit_learn():
    code = (
        "import sys, pipeline.data.raw, pipeline.data.facts\n"
        "sys.exit(any(n in sys.modules for n in ('torch', 'sklearn', 'torchvision')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


def tiny_imagenet(folder, parts):
    """Facts and files of an ImageNet of two classes, 8 pixels wide."""
    for part, num in parts.items():
        for name in ("n01440764", "n01443537"):
            (folder / "imagenet" / part / name).mkdir(parents=True)
            for number in range(num):
                pixels = np.full((9, 9, 3), number + 1, np.uint8)
                pixels[0, 0, 0] = 200
                file = folder / "imagenet" / part / name / f"{number}.JPEG"
                Image.fromarray(pixels).save(file)
    shape = of_images((3, 8, 8), classes=2)
    sizes = {"num_train": 6, "num_validation": 2, "num_test": 4}
    return replace(FACTS["imagenet"], description=shape, **sizes)


def test_folders_of_images_have_their_test_set_in_val(tmp_path):
    facts = tiny_imagenet(tmp_path, {"train": 4, "val": 2})
    data = read_as(facts, root=tmp_path, download=False)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [6, 2, 4]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert data.test.images.shape == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "imagenet not found; set LT_DATA_ROOT .* it cannot be downloaded"),
        ({"train": 4}, "the validation part of .* has 0 images instead of 4"),
        (
            {"train": 3, "val": 2},
            "the train part of .* has 6 images instead of 8; complete",
        ),
        ({"val": 2}, "has validation and no train/; add it"),
    ],
)
def test_folders_that_lack_images_are_refused_in_one_line(tmp_path, parts, message):
    facts = tiny_imagenet(tmp_path, parts)
    with pytest.raises(DataError, match=f"^imagenet: .*{message}"):
        read_as(facts, root=tmp_path, download=False)


@pytest.mark.parametrize(
    "name",
    ["mnist", "fashion-mnist", "kmnist", "cifar-10", "cifar-100", "svhn", "emnist-letters"],
)
def test_the_checksums_are_those_of_torchvision(name):
    reader = getattr(torchvision_datasets(), FACTS[name].reader)
    if name == "emnist-letters":
        files = [("gzip.zip", reader.md5)]
    elif name == "svhn":
        files = [reader.split_list[part][1:] for part in ("train", "test")]
    elif name.startswith("cifar"):
        files = [*reader.train_list, *reader.test_list]
        files.append([reader.meta["filename"], reader.meta["md5"]])
    else:
        files = reader.resources
    assert dict(files).items() <= FACTS[name].checksums.items()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "train_labels"),
    [("mnist", [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]), ("cifar-10", [6, 9, 9, 4, 1, 1, 2, 7])],
)
def test_real_data_has_the_known_labels_and_statistics(name, train_labels):
    data = read(name, root=real_data_root(), download=False)
    facts = FACTS[name]
    known = facts.description.images
    assert [len(data.train), len(data.validation), len(data.test)] == [
        facts.num_train,
        5_000,
        10_000,
    ]
    pool = np.concatenate([data.train.images, data.validation.images])
    assert pool.mean(axis=(0, 2, 3)) / 255 == pytest.approx(
        np.array(known.mean) / 255, abs=5e-5
    )
    assert pool.std(axis=(0, 2, 3)) / 255 == pytest.approx(
        np.array(known.std) / 255, abs=5e-5
    )
    # Both parts keep the raw order: merging them gives the raw labels back.
    train, validation = data.train.labels.tolist(), data.validation.labels.tolist()
    for label in train_labels:
        part = train if train[0] == label else validation
        assert part.pop(0) == label
