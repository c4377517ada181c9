"""The metrics that trainers report: log loss and area under the ROC curve of classes, root mean squared error of numbers."""

from __future__ import annotations

import numpy as np
from dataset import Fold


def class_scores(fold: Fold, probabilities: np.ndarray) -> dict[str, float]:
    """`log_loss`, and for two classes `auc`, of probabilities `[n, classes]`. Rows count by their weights."""
    if fold.weights is not None and fold.weights.sum() == 0:
        return {}
    chosen = np.clip(probabilities[np.arange(fold.rows), fold.labels].astype(np.float64), 1e-15, 1.0)
    metrics = {"log_loss": float(np.average(-np.log(chosen), weights=fold.weights))}
    if probabilities.shape[1] == 2 and 0 < fold.labels.sum() < fold.rows:
        from sklearn.metrics import roc_auc_score

        metrics["auc"] = float(roc_auc_score(fold.labels, probabilities[:, 1], sample_weight=fold.weights))
    return metrics


def number_scores(fold: Fold, predictions: np.ndarray) -> dict[str, float]:
    """`rmse` of predictions `[n]`, in the unit of the target."""
    if fold.weights is not None and fold.weights.sum() == 0:
        return {}
    squares = (predictions - fold.labels.astype(np.float64)) ** 2
    return {"rmse": float(np.sqrt(np.average(squares, weights=fold.weights)))}


def scores(fold: Fold, answers: np.ndarray) -> dict[str, float]:
    """Of answers as the ONNX model gives them: `[n, classes]`, or for numbers `[n, 1]`."""
    return class_scores(fold, answers) if fold.labels.dtype == np.int32 else number_scores(fold, answers[:, 0])


def softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)
