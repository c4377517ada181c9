"""The bootstrap of bench/evaluation.ts with scikit-learn's own metrics and numpy's draws: seconds for some samples."""

import json
import sys
import time

import numpy as np
from sklearn import metrics as m

task, rows, samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(1)


def ece(outcomes, p):
    bins = np.minimum(9, (p * 10).astype(int))
    n = np.bincount(bins, minlength=10)
    return np.abs(np.bincount(bins, p, 10) - np.bincount(bins, outcomes, 10)).sum() / n.sum()


def binary(y, p):
    said = (p >= 0.5).astype(int)
    return [m.roc_auc_score(y, p), m.average_precision_score(y, p), m.log_loss(y, p), m.brier_score_loss(y, p)] + [
        f(y, said)
        for f in (
            m.accuracy_score,
            m.balanced_accuracy_score,
            m.precision_score,
            m.recall_score,
            m.f1_score,
            m.matthews_corrcoef,
        )
    ] + [ece(y, p)]


def multiclass(y, p):
    said = p.argmax(axis=1)
    values = [m.roc_auc_score(y, p, multi_class="ovr"), m.log_loss(y, p), ((p - np.eye(4)[y]) ** 2).sum(axis=1).mean()]
    values += [f(y, said) for f in (m.accuracy_score, m.balanced_accuracy_score, m.matthews_corrcoef)]
    for average in ("macro", "weighted"):
        values += [*m.precision_recall_fscore_support(y, said, average=average, zero_division=0)[:3]]
    return values + [ece((y == said).astype(int), p.max(axis=1))]


def regression(y, p):
    return [
        f(y, p)
        for f in (
            m.root_mean_squared_error,
            m.mean_absolute_error,
            m.mean_absolute_percentage_error,
            m.r2_score,
            m.median_absolute_error,
            m.mean_pinball_loss,
        )
    ]


if task == "binary":
    p = rng.random(rows)
    y, judge = (rng.random(rows) < p).astype(int), binary
elif task == "multiclass":
    p = rng.dirichlet(np.ones(4), rows)
    y, judge = rng.integers(0, 4, rows), multiclass
else:
    p = rng.random(rows) * 3
    y, judge = p + rng.random(rows), regression
start = time.perf_counter()
for _ in range(samples):
    chosen = rng.integers(0, rows, rows)
    judge(y[chosen], p[chosen])
print(json.dumps({"seconds": time.perf_counter() - start}))
