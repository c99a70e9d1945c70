"""Describe the examples of a data set: the kinds of their inputs and of their labels.

Networks are built for a description, and everything that has to know of examples (engines,
evaluations, costs, the plan) reads it there. Loss and accuracy follow from the labels.
"""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """Raw pixels, uint8 (N, C, H, W), which are normalized when a batch is made."""

    shape: tuple[int, int, int]
    """(C, H, W)"""
    mean: tuple[float, ...]
    """mean of the raw pixel values, one per channel (MNIST: .1307 × 255)"""
    std: tuple[float, ...]
    """standard deviation of the raw pixel values, one per channel, above 0"""

    @property
    def num_values(self) -> int:
        """Numbers in one example."""
        return prod(self.shape)

    def __str__(self) -> str:
        """The kind and the size, for messages."""
        return f"images of {'×'.join(str(size) for size in self.shape)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Vectors:
    """Numbers, float32 (N, F), which networks see as they are."""

    num_values: int
    """numbers in one example, F"""

    def __str__(self) -> str:
        """The kind and the size, for messages."""
        return f"vectors of {self.num_values} numbers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Sequences of tokens, int64 (N, L), each token in 0 … vocabulary - 1."""

    length: int
    """tokens in one example, L"""
    vocabulary: int
    """number of different tokens"""

    def __str__(self) -> str:
        """The kind and the size, for messages."""
        return f"sequences of {self.length} out of {self.vocabulary} tokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class Classes:
    """One class per example, int64 (N,), each in 0 … number - 1.

    A network gives logits (B, number). The loss is the mean cross-entropy.
    """

    number: int
    """of classes"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokensAt:
    """Tokens to be found at some positions of each sequence, int64 (N, P).

    A network gives logits (B, L, vocabulary), one row per position of the sequence, of
    which these positions are scored. The loss is the mean cross-entropy over examples and
    positions, and accuracy the share of tokens that are right.
    """

    positions: tuple[int, ...]
    """positions in the sequence, ascending, counted from 0"""
    vocabulary: int
    """number of different tokens"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Actions:
    """The actions to choose from at each step of an episode in an environment.

    An example is an episode: its input is the first observation, its label the seed of the
    environment, int64 (N,). A network reads observations and gives logits (B, number).
    Accuracy is the mean return, as a fraction between the least and the greatest one, and
    the loss is 1 minus it.
    """

    number: int
    """of actions"""
    environment: str
    """name and version, as gymnasium has them: CartPole-v1"""
    returns: tuple[float, float]
    """the least and the greatest return of an episode"""


Inputs = Images | Vectors | Tokens
Labels = Classes | TokensAt | Actions


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What the examples of a data set are."""

    inputs: Inputs
    labels: Labels

    @property
    def images(self) -> Images:
        """The inputs, for what can take images only.

        Raises:
            ValueError: if they are something else.
        """
        if not isinstance(self.inputs, Images):
            raise ValueError(
                f"it takes images, and the data are {self.inputs}; take the model mlp "
                "(for images and vectors), or import one of your own"
            )
        return self.inputs

    @property
    def num_classes(self) -> int:
        """The number of classes or actions, for what can choose one of several only.

        Raises:
            ValueError: if labels are tokens.
        """
        if isinstance(self.labels, TokensAt):
            raise ValueError(
                "it tells classes, and the labels are tokens at positions of a sequence; "
                "import a model of your own"
            )
        return self.labels.number

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of a network's output for one example."""
        if not isinstance(self.labels, TokensAt):
            return (self.labels.number,)
        assert isinstance(self.inputs, Tokens), "checked where data are read"
        return (self.inputs.length, self.labels.vocabulary)


def of_images(
    shape: tuple[int, int, int],
    *,
    classes: int,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Description:
    """Describe images in classes.

    Args:
        shape: (C, H, W).
        classes: their number.
        mean: of raw pixel values, per channel; None = 0, which leaves them as they are.
        std: likewise; None = 1.

    >>> of_images((1, 28, 28), classes=10).output_shape
    (10,)
    """
    channels = shape[0]
    inputs = Images(
        shape=shape, mean=mean or (0.0,) * channels, std=std or (1.0,) * channels
    )
    return Description(inputs=inputs, labels=Classes(number=classes))
