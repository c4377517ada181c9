"""Two real sets that come with PyPI packages, as CSV: diamonds (plotnine, 53,940 rows), digits (scikit-learn, 1,797)."""

import sys
from pathlib import Path

from plotnine.data import diamonds
from sklearn.datasets import load_digits

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
diamonds.to_csv(folder / "diamonds.csv", index_label="id")
digits = load_digits(as_frame=True).frame
digits["target"] = digits["target"].map(lambda digit: f"digit {digit}")
digits.to_csv(folder / "digits.csv", index_label="id")
