"""Linear regression by scikit-learn: ridge, lasso, elastic net, or without a penalty.

All of them minimise the objective of `sklearn.linear_model.ElasticNet`:
`Σ wᵢ (yᵢ - xᵢ·β)² / (2 Σ wᵢ) + alpha · (l1_ratio · ‖β‖₁ + (1 - l1_ratio) / 2 · ‖β‖²)`; for l2 l1_ratio is 0, for l1 it
is 1. With `standardize` the target is scaled too, so that the same alpha means the same for every target.
"""

from __future__ import annotations

import warnings
from typing import Any

import contract
from contract import Session

CHUNK_ITERATIONS = 25
GRAM_COLUMNS = 2000
"""Up to so many features the products of all pairs of them are computed once: an iteration then needs no row."""


class Problem:
    """Features and target without their weighted means, each row times the root of its weight: no intercept is left."""

    def __init__(self, scaled: Any, target: Any, weights: Any):
        import numpy as np

        self.features_mean = np.average(scaled, axis=0, weights=weights)
        self.target_mean = np.average(target, weights=weights)
        self.features = scaled
        self.features -= self.features_mean
        self.target = target - self.target_mean
        if weights is not None:
            root = np.sqrt(weights.astype(np.float64) / np.mean(weights, dtype=np.float64))
            self.features *= root[:, None]
            self.target *= root

    def intercept(self, coefficients: Any) -> float:
        return float(self.target_mean - self.features_mean @ coefficients)


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("linear", request.task, request.parameters)
    penalty = parameters["penalty"]
    at_once = penalty in ("l2", "none")
    import checkpoint
    import dataset
    import linear_model
    import numpy as np
    from scaling import Scale
    from scores import number_scores

    start, stored = 0, {}
    if at_once:
        contract.refuse_resume(request)
    elif request.resume_from:
        head, stored = checkpoint.read(request.resume_from, "linear", request)
        start = int(head["iteration"])
    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

    scale = Scale(fold.features, parameters["standardize"])
    unit = Scale(fold.labels[:, None], parameters["standardize"]).deviation[0]
    problem = Problem(scale.apply(fold.features, np.float64), fold.labels.astype(np.float64) / unit, fold.weights)
    if penalty == "none":
        model = LinearRegression(fit_intercept=False, n_jobs=request.threads)
    elif penalty == "l2":
        model = Ridge(alpha=parameters["alpha"] * fold.rows, fit_intercept=False, solver="cholesky")
    else:
        gram = problem.features.shape[1] <= min(GRAM_COLUMNS, fold.rows)
        model = ElasticNet(
            alpha=parameters["alpha"],
            l1_ratio=1.0 if penalty == "l1" else parameters["l1_ratio"],
            fit_intercept=False,
            precompute=problem.features.T @ problem.features if gram else False,
            tol=parameters["tol"],
            warm_start=True,
            copy_X=False,
        )
        problem.features = np.asfortranarray(problem.features)
    if stored:
        model.coef_ = stored["coef"]
        contract.log("info", f"Goes on after iteration {start}.")

    def step(iterations: int) -> tuple[int, bool]:
        if at_once:
            model.fit(problem.features, problem.target)
            return 1, True
        model.max_iter = iterations
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(problem.features, problem.target)
        return int(model.n_iter_), int(model.n_iter_) < iterations

    def learnt() -> tuple[Any, Any]:
        return np.reshape(model.coef_ * unit, (1, -1)), np.array([problem.intercept(model.coef_) * unit])

    def metrics() -> dict[str, float]:
        weights, bias = learnt()
        return {
            f"{part}_{name}": value
            for part, rows in (("train", fold), ("validation", validation))
            if rows is not None
            for name, value in number_scores(rows, scale.apply(rows.features, np.float64) @ weights[0] + bias[0]).items()
        }

    coefficients = lambda: {"coef": model.coef_}  # noqa: E731
    done = linear_model.solve(session, "linear", start, CHUNK_ITERATIONS, step, metrics, coefficients)
    exported = linear_model.export(request, "linear", scale, *learnt(), fold.features)
    if session.stopping:
        session.leave()
    session.finish(exported, done, done, parameters, linear_model.versions())


if __name__ == "__main__":
    contract.main(train)
