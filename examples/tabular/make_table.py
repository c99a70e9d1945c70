"""Write scikit-learn's table of breast tumors as tumors.npz."""

import numpy as np
from sklearn.datasets import load_breast_cancer


def main() -> None:
    """Thirty numbers per tumor, and its class: 0 malignant, 1 benign."""
    table = load_breast_cancer()
    np.savez("tumors.npz", inputs=table.data, labels=table.target)


if __name__ == "__main__":
    main()
