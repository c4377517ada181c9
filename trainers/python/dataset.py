"""The matrices that a request names, checked before anything is trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contract import Request, TrainerError

CHUNK_ROWS = 65536


METRIC_ROWS = 10_000
"""Where each look at the training metrics would cost as much as the training itself, so many rows are looked at."""


@dataclass(frozen=True)
class Fold:
    """Features float32 `[n, f]`, labels int32 (classes) or float32 (regression) `[n]`, weights float32 or none."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None

    @property
    def rows(self) -> int:
        return int(self.features.shape[0])

    def spread(self, rows: int = METRIC_ROWS) -> Fold:
        """At most so many rows, evenly spread over all."""
        step = max(1, -(-self.rows // rows))
        weights = None if self.weights is None else self.weights[::step]
        return Fold(np.ascontiguousarray(self.features[::step]), self.labels[::step], weights)


def load(path: Path, what: str, dtype: str, ndim: int) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TrainerError(f"The {what} cannot be read as .npy: {error}") from error
    if array.dtype != np.dtype(dtype) or array.ndim != ndim or not array.flags.c_contiguous:
        raise TrainerError(f"The {what} must be a C-ordered {dtype} array with {ndim} dimension(s), not {array.dtype} {array.shape}.")
    return np.asarray(array)


def check_finite(features: np.ndarray, names: list[str], what: str, missing: bool) -> None:
    bad = np.zeros(features.shape[1], dtype=bool)
    for start in range(0, features.shape[0], CHUNK_ROWS):
        chunk = features[start : start + CHUNK_ROWS]
        # A sum is one pass without a temporary, and is finite for all data that are not extreme.
        if not np.isfinite(np.sum(chunk, dtype=np.float64)):
            bad |= (np.isinf(chunk) if missing else ~np.isfinite(chunk)).any(axis=0)
    if bad.any():
        columns = [f'"{names[i]}"' for i in np.flatnonzero(bad)[:5]]
        more = f" and {int(bad.sum()) - 5} more" if bad.sum() > 5 else ""
        raise TrainerError(
            f"The {what} hold {'' if missing else 'missing or '}infinite values in {', '.join(columns)}{more}. "
            "Impute them before training (the pipeline's features do it by default)."
        )


def load_fold(request: Request, part: str, missing: bool = False) -> Fold | None:
    """The `train` or `validation` part; none where the request has no validation part.

    `missing`: whether the trainer takes NaN for a missing value.
    """
    train = part == "train"
    features_path = request.train_features if train else request.validation_features
    labels_path = request.train_labels if train else request.validation_labels
    if features_path is None or labels_path is None:
        return None
    what = "training" if train else "validation"
    features = load(features_path, f"{what} features", "float32", 2)
    labels = load(labels_path, f"{what} labels", "float32" if request.task == "regression" else "int32", 1)
    weights_path = request.train_weights if train else request.validation_weights
    weights = load(weights_path, f"{what} weights", "float32", 1) if weights_path else None
    rows, columns = features.shape
    if rows == 0 or columns == 0:
        raise TrainerError(f"The {what} features are empty ({rows} rows, {columns} columns).")
    if columns != len(request.feature_names):
        raise TrainerError(f"The {what} features have {columns} columns but {len(request.feature_names)} names.")
    if len(labels) != rows or (weights is not None and len(weights) != rows):
        raise TrainerError(f"The {what} features, labels and weights have different numbers of rows.")
    check_finite(features, request.feature_names, f"{what} features", missing)
    if request.task == "regression":
        if not np.isfinite(labels).all():
            raise TrainerError(f"The {what} labels hold missing or infinite values.")
    else:
        if labels.min() < 0 or labels.max() >= len(request.class_names):
            raise TrainerError(f"The {what} labels must be class indices from 0 to {len(request.class_names) - 1}.")
        if train and len(np.unique(labels)) < 2:
            raise TrainerError("The training labels hold a single class; a classifier needs at least two.")
    if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise TrainerError(f"The {what} weights must be finite, not negative, and not all zero.")
    return Fold(features, labels, weights)

