"""Metrics of problems on standard input, one JSON object per line, by scikit-learn: what Scores must give."""

import json
import sys

import numpy as np
from sklearn import metrics as m
from sklearn.preprocessing import label_binarize

EPSILON = float(np.finfo(np.float32).eps)


def calibration_error(outcomes, probabilities):
    bins = np.minimum(9, np.floor(probabilities * 10))
    return sum(
        (bins == b).mean() * abs(probabilities[bins == b].mean() - outcomes[bins == b].mean()) for b in np.unique(bins)
    )


def binary(y, p, threshold, quantile):
    said = (p >= threshold).astype(int)
    return {
        "roc_auc": m.roc_auc_score(y, p),
        "average_precision": m.average_precision_score(y, p),
        "log_loss": m.log_loss(y, np.clip(p, EPSILON, 1 - EPSILON)),
        "brier_score": m.brier_score_loss(y, p),
        "accuracy": m.accuracy_score(y, said),
        "balanced_accuracy": m.balanced_accuracy_score(y, said),
        "precision": m.precision_score(y, said, zero_division=0),
        "recall": m.recall_score(y, said, zero_division=0),
        "f1": m.f1_score(y, said, zero_division=0),
        "matthews_corrcoef": m.matthews_corrcoef(y, said),
        "expected_calibration_error": calibration_error(y, p),
    }


def multiclass(y, p, threshold, quantile):
    classes = np.arange(p.shape[1])
    said = p.argmax(axis=1)
    result = {
        "roc_auc": m.roc_auc_score(y, p, multi_class="ovr", average="macro", labels=classes),
        "log_loss": m.log_loss(y, p, labels=classes),
        "brier_score": float(((p - label_binarize(y, classes=classes)) ** 2).sum(axis=1).mean()),
        "accuracy": m.accuracy_score(y, said),
        "balanced_accuracy": m.balanced_accuracy_score(y, said),
        "matthews_corrcoef": m.matthews_corrcoef(y, said),
        "expected_calibration_error": calibration_error((y == said).astype(int), p.max(axis=1)),
    }
    for average in ("macro", "weighted"):
        for name, score in (("precision", m.precision_score), ("recall", m.recall_score), ("f1", m.f1_score)):
            result[f"{average}_{name}"] = score(y, said, average=average, zero_division=0)
    return result


def regression(y, p, threshold, quantile):
    return {
        "root_mean_squared_error": m.root_mean_squared_error(y, p),
        "mean_absolute_error": m.mean_absolute_error(y, p),
        "mean_absolute_percentage_error": m.mean_absolute_percentage_error(y, p),
        "r2": m.r2_score(y, p),
        "median_absolute_error": m.median_absolute_error(y, p),
        "mean_pinball_loss": m.mean_pinball_loss(y, p, alpha=quantile),
    }


for line in sys.stdin:
    problem = json.loads(line)
    counts = np.array(problem["counts"])
    y = np.repeat(np.array(problem["labels"]), counts)
    p = np.repeat(np.array(problem["answers"], dtype=np.float64), counts, axis=0)
    judged = {"binary": binary, "multiclass": multiclass, "regression": regression}[problem["task"]](
        y, p, problem["threshold"], problem["quantile"]
    )
    print(json.dumps({name: float(value) for name, value in judged.items()}))
