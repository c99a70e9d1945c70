"""Everything: the dense network as a control, whatever the mask was."""

import numpy as np

from pipeline.core.arrays import Mask
from pipeline.core.transforms.given import Given


def transform(given: Given) -> Mask:
    """Keep every weight of the tensors that the mask has: its density is 1.

    With a start that looks at the other variant's, it asks whether what that start is
    explains a result without the mask (Minegishi et al. 2023, arXiv:2310.19470: dense
    networks with the norm of a ticket).
    """
    return {name: np.ones(kept.shape, np.bool_) for name, kept in given.mask.items()}
