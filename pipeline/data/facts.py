"""Facts about each data set: shapes, sizes, checksums."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.description import of_images
from pipeline.data.known import Known


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetFacts(Known):
    """A built-in data set, and how its files are read.

    Pixel statistics are those of the official training images, if there are any.
    """

    name: str
    layout: Literal["scikit-learn", "idx", "cifar", "emnist", "svhn", "folders"]
    """the format: shipped with scikit-learn, files that torchvision reads, or folders of
    images, train/ and val/ with a folder per class in each, where val/ is the test set"""
    reader: str
    """torchvision's class that reads it; empty for the others"""
    folder: str
    """its folder below the data root, as in torchvision; empty where scikit-learn has it"""
    computes_statistics: bool = False
    """whether pixel statistics are computed from the training part when it is read, in
    place of those in the description"""
    checksums: Mapping[str, str]
    """file name -> official md5; of IDX files also the md5 of the unpacked file"""


_ALL = (
    DatasetFacts(
        name="digits",
        layout="scikit-learn",
        description=of_images((1, 8, 8), classes=10, mean=(4.8995,), std=(6.0266,)),
        num_train=1_197,
        num_validation=300,
        num_test=300,
        reader="",
        folder="",
        checksums={},
    ),
    DatasetFacts(
        name="mnist",
        layout="idx",
        description=of_images(
            (1, 28, 28), classes=10, mean=(0.1307 * 255,), std=(0.3081 * 255,)
        ),
        num_train=55_000,
        num_validation=5_000,
        num_test=10_000,
        reader="MNIST",
        folder="MNIST/raw",
        checksums={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    DatasetFacts(
        name="fashion-mnist",
        layout="idx",
        description=of_images(
            (1, 28, 28), classes=10, mean=(0.2860 * 255,), std=(0.3530 * 255,)
        ),
        num_train=55_000,
        num_validation=5_000,
        num_test=10_000,
        reader="FashionMNIST",
        folder="FashionMNIST/raw",
        checksums={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    DatasetFacts(
        name="cifar-10",
        layout="cifar",
        description=of_images(
            (3, 32, 32),
            classes=10,
            mean=(0.4914 * 255, 0.4822 * 255, 0.4465 * 255),
            std=(0.2470 * 255, 0.2435 * 255, 0.2616 * 255),
        ),
        num_train=45_000,
        num_validation=5_000,
        num_test=10_000,
        reader="CIFAR10",
        folder="cifar-10-batches-py",
        checksums={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    DatasetFacts(
        name="kmnist",
        layout="idx",
        description=of_images((1, 28, 28), classes=10),
        num_train=55_000,
        num_validation=5_000,
        num_test=10_000,
        reader="KMNIST",
        folder="KMNIST/raw",
        computes_statistics=True,
        checksums={
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
    ),
    DatasetFacts(
        name="emnist-letters",
        layout="emnist",
        description=of_images((1, 28, 28), classes=26),
        num_train=114_800,
        num_validation=10_000,
        num_test=20_800,
        reader="EMNIST",
        folder="EMNIST/raw",
        computes_statistics=True,
        checksums={
            "gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e",
        },
    ),
    DatasetFacts(
        name="svhn",
        layout="svhn",
        description=of_images((3, 32, 32), classes=10),
        num_train=68_257,
        num_validation=5_000,
        num_test=26_032,
        reader="SVHN",
        folder="",
        computes_statistics=True,
        checksums={
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
    ),
    DatasetFacts(
        name="cifar-100",
        layout="cifar",
        description=of_images((3, 32, 32), classes=100),
        num_train=45_000,
        num_validation=5_000,
        num_test=10_000,
        reader="CIFAR100",
        folder="cifar-100-python",
        computes_statistics=True,
        checksums={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
    DatasetFacts(
        name="imagenet",
        layout="folders",
        description=of_images(
            (3, 224, 224),
            classes=1000,
            mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
            std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        ),
        num_train=1_271_167,
        num_validation=10_000,
        num_test=50_000,
        reader="",
        folder="imagenet",
        checksums={},
    ),
)
FACTS: dict[str, DatasetFacts] = {facts.name: facts for facts in _ALL}
"""name -> facts"""
