"""Draw images of three shapes into images/train, images/val and images/test."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZES = {"train": 80, "val": 20, "test": 40}
"""images of each class"""


def main() -> None:
    """Draw every image at a random place, in a random color, on noise."""
    rng = np.random.default_rng(0)
    for part, num in SIZES.items():
        for shape in ("circle", "cross", "square"):
            folder = Path("images", part, shape)
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(num):
                _draw(shape, rng).save(folder / f"{number:03}.png")


def _draw(shape: str, rng: np.random.Generator) -> Image.Image:
    image = Image.fromarray(rng.integers(0, 90, (24, 24, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    left, top = (int(v) for v in rng.integers(1, 11, 2))
    box = (left, top, left + 11, top + 11)
    color = tuple(int(v) for v in rng.integers(120, 256, 3))
    if shape == "circle":
        pen.ellipse(box, fill=color)
    elif shape == "square":
        pen.rectangle(box, fill=color)
    else:
        pen.line(box, fill=color, width=3)
        pen.line((box[0], box[3], box[2], box[1]), fill=color, width=3)
    return image


if __name__ == "__main__":
    main()
