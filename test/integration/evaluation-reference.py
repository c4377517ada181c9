"""What stands behind an evaluation, by scikit-learn, scipy and Fairlearn's definitions; one JSON object per line."""

import json
import sys

import numpy as np
from scipy import stats
from sklearn import metrics as m
from sklearn.linear_model import LogisticRegression


def fairness(y, p, threshold, groups):
    said = (p >= threshold).astype(int)
    frame = {}
    for g in np.unique(groups):
        rows = groups == g
        frame[g] = {
            "selection": said[rows].mean(),
            "tpr": said[rows & (y == 1)].mean(),
            "fpr": said[rows & (y == 0)].mean(),
            "accuracy": m.accuracy_score(y[rows], said[rows]),
        }

    def column(name):
        return np.array([one[name] for one in frame.values()])

    def difference(name):
        return column(name).max() - column(name).min()

    def ratio(name):
        return column(name).min() / column(name).max()

    # fairlearn.metrics: demographic_parity_* of selection_rate; equalized_odds_* the worse of both rates.
    return {
        "demographic_parity_difference": difference("selection"),
        "demographic_parity_ratio": ratio("selection"),
        "equalized_odds_difference": max(difference("tpr"), difference("fpr")),
        "equalized_odds_ratio": min(ratio("tpr"), ratio("fpr")),
        "accuracy_difference": difference("accuracy"),
    }


def details(y, said, labels):
    precision, recall, f1, support = m.precision_recall_fscore_support(y, said, labels=labels, zero_division=0)
    return {
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": m.confusion_matrix(y, said, labels=labels).tolist(),
    }


problem = json.loads(sys.stdin.read())
y = np.array(problem["labels"])
p = np.array(problem["probabilities"])
groups = np.array(problem["groups"])
several = np.array(problem["several"])
classes = np.array(problem["classes"])
log_odds = np.log(p / (1 - p)).reshape(-1, 1)
line = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(log_odds, y)
a, b = np.array(problem["first"]), np.array(problem["second"])
welch = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
truth, predicted = np.array(problem["truth"]), np.array(problem["predicted"])
print(
    json.dumps(
        {
            "fairness": fairness(y, p, problem["threshold"], groups),
            "binary": details(y, (p >= problem["threshold"]).astype(int), [0, 1]),
            "multiclass": details(classes, several.argmax(axis=1), np.arange(several.shape[1])),
            "calibration": {"slope": float(line.coef_[0][0]), "intercept": float(line.intercept_[0])},
            "welch": {
                "p": float(welch.pvalue),
                "effect": float(np.sqrt(2) * (a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) + b.var(ddof=1))),
            },
            "corrected": stats.false_discovery_control(problem["ps"]).tolist(),
            "tails": [float(stats.t.sf(t, df)) for t, df in problem["tails"]],
            "residuals": {
                "bias": float((predicted - truth).mean()),
                "standardDeviation": float((predicted - truth).std()),
                "quantiles": np.quantile(predicted - truth, problem["quantiles"]).tolist(),
                "pinball": [float(m.mean_pinball_loss(truth, predicted, alpha=q)) for q in problem["quantiles"]],
            },
        }
    )
)
