"""Logistic regression by scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import contract
from contract import Session, TrainerError

CHUNK_ITERATIONS = 25
SAGA_WORK = 2e8
"""Multiplications between two reports where the penalty is not smooth: about a second."""

ABSENT_CLASS_INTERCEPT = -1e4
"""The softmax of it is 0 in float32: a class that training never saw is never predicted."""


def class_weights(coefficients: Any, intercepts: Any, present: Any, classes: int) -> tuple[Any, Any]:
    """One row of weights per class, also where scikit-learn keeps one for two classes or none for absent ones."""
    import numpy as np

    weights = np.zeros((classes, coefficients.shape[1]))
    bias = np.full(classes, ABSENT_CLASS_INTERCEPT)
    if len(coefficients) == 1:
        weights[present[1]], bias[present[0]], bias[present[1]] = coefficients[0], 0.0, intercepts[0]
    else:
        weights[present], bias[present] = coefficients, intercepts
    return weights, bias


def solver_of(parameters: dict[str, Any], seed: int) -> Any:
    """lbfgs where the penalty is smooth; saga, which takes the others for any number of classes, where it is not."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    penalty = parameters["penalty"]
    smooth = penalty in ("l2", "none")
    return LogisticRegression(
        C=np.inf if penalty == "none" else parameters["C"],
        l1_ratio={"l1": 1.0, "elasticnet": parameters["l1_ratio"]}.get(penalty, 0.0),
        solver="lbfgs" if smooth else "saga",
        tol=parameters["tol"],
        warm_start=True,
        random_state=seed,
    )


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("logistic", request.task, request.parameters)
    import checkpoint
    import dataset
    import linear_model
    import numpy as np
    from scaling import Scale
    from scores import class_scores, softmax

    start, stored = 0, {}
    if request.resume_from:
        head, stored = checkpoint.read(request.resume_from, "logistic", request)
        start = int(head["iteration"])
    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        from sklearn.exceptions import ConvergenceWarning

        model = solver_of(parameters, request.seed)

    scale = Scale(fold.features, parameters["standardize"])
    scaled = scale.apply(fold.features, np.float32)
    parts = {"train": (fold, scaled)}
    if validation is not None:
        parts["validation"] = (validation, scale.apply(validation.features, np.float32))
    present = np.unique(fold.labels)
    if stored:
        if len(stored["coef"]) != (1 if len(present) == 2 else len(present)):
            raise TrainerError(f"The checkpoint {request.resume_from} is of other data. Start again without resumeFrom.")
        model.coef_, model.intercept_, model.classes_ = stored["coef"], stored["intercept"], present
        contract.log("info", f"Goes on after iteration {start}.")

    def step(iterations: int) -> tuple[int, bool]:
        model.max_iter = iterations
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(scaled, fold.labels, sample_weight=fold.weights)
        used = int(np.max(model.n_iter_))
        return used, used < iterations

    def learnt() -> tuple[Any, Any]:
        return class_weights(model.coef_, model.intercept_, present, len(request.class_names))

    def metrics() -> dict[str, float]:
        weights, bias = (values.astype(np.float32) for values in learnt())
        return {
            f"{part}_{name}": value
            for part, (rows, features) in parts.items()
            for name, value in class_scores(rows, softmax(features @ weights.T + bias)).items()
        }

    chunk = CHUNK_ITERATIONS
    if model.solver == "saga":
        chunk = int(np.clip(SAGA_WORK / (scaled.size * len(present)), 2, CHUNK_ITERATIONS))
    coefficients = lambda: {"coef": model.coef_, "intercept": model.intercept_}  # noqa: E731
    done = linear_model.solve(session, "logistic", start, chunk, step, metrics, coefficients)
    exported = linear_model.export(request, "logistic", scale, *learnt(), fold.features)
    if session.stopping:
        session.leave()
    session.finish(exported, done, done, parameters, linear_model.versions())


if __name__ == "__main__":
    contract.main(train)
