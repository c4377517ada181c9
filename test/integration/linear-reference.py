"""Answers of scikit-learn's linear models to the validation rows of a trainer's request, as JSON on standard output."""

import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

request = json.load(open(sys.argv[1]))
l2 = request["parameters"]["l2"]
features = np.load(request["train"]["features"]).astype(float)
labels = np.load(request["train"]["labels"])
weights = np.load(request["train"]["weights"]).astype(float) if "weights" in request["train"] else np.ones(len(labels))
asked = np.load(request["validation"]["features"]).astype(float)

mean = np.average(features, axis=0, weights=weights)
deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
scaled, asked = (features - mean) / deviation, (asked - mean) / deviation
strength = l2 * weights.sum()
if request["task"] == "regression":
    answers = Ridge(alpha=strength).fit(scaled, labels, sample_weight=weights).predict(asked)
else:
    model = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=100_000)
    answers = model.fit(scaled, labels, sample_weight=weights).predict_proba(asked)
json.dump(np.ravel(answers).tolist(), sys.stdout)
