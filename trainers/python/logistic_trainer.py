"""Linear models by scikit-learn: logistic regression for classes, ridge regression for numbers."""

from __future__ import annotations

import io
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import contract
from contract import Request, Session, TrainerError

CHECKPOINT_FORMAT = "perennial-logistic-1"
CHUNK_ITERATIONS = 25
"""The solver runs this many iterations at a time, so that it can report, be stopped, and be taken up again."""

ABSENT_CLASS_INTERCEPT = -1e4
"""The softmax of it is 0 in float32: a class that training never saw is never predicted."""


class Scale:
    """Mean and standard deviation of each feature. They become part of the model, so callers need not scale."""

    def __init__(self, features: Any, standardize: bool):
        import numpy as np

        columns = features.shape[1]
        self.mean = np.zeros(columns)
        self.deviation = np.ones(columns)
        if standardize:
            self.mean = np.mean(features, axis=0, dtype=np.float64)
            deviation = np.std(features, axis=0, dtype=np.float64)
            # A constant column says nothing: it becomes zero, not a division by (almost) zero.
            self.deviation = np.where(deviation > 1e-12 * np.maximum(1, np.abs(self.mean)), deviation, 1.0)

    def apply(self, features: Any, dtype: Any) -> Any:
        import numpy as np
        from dataset import CHUNK_ROWS

        scaled = np.empty(features.shape, dtype=dtype)
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            scaled[part] = (features[part].astype(np.float64) - self.mean) / self.deviation
        return scaled


def softmax(logits: Any) -> Any:
    import numpy as np

    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def class_scores(coefficients: Any, intercepts: Any, present: Any, classes: int) -> tuple[Any, Any]:
    """One row of weights per class, also where scikit-learn keeps one for two classes or none for absent ones."""
    import numpy as np

    weights = np.zeros((classes, coefficients.shape[1]))
    bias = np.full(classes, ABSENT_CLASS_INTERCEPT)
    if len(coefficients) == 1:
        weights[present[1]], bias[present[0]], bias[present[1]] = coefficients[0], 0.0, intercepts[0]
    else:
        weights[present], bias[present] = coefficients, intercepts
    return weights, bias


def log_loss(scaled: Any, fold: Any, weights: Any, bias: Any) -> dict[str, float]:
    import numpy as np

    probabilities = softmax(scaled @ weights.T.astype(scaled.dtype) + bias.astype(scaled.dtype))
    chosen = np.clip(probabilities[np.arange(fold.rows), fold.labels].astype(np.float64), 1e-15, 1.0)
    metrics = {"log_loss": float(np.average(-np.log(chosen), weights=fold.weights))}
    if probabilities.shape[1] == 2 and 0 < fold.labels.sum() < fold.rows:
        from sklearn.metrics import roc_auc_score

        metrics["auc"] = float(roc_auc_score(fold.labels, probabilities[:, 1], sample_weight=fold.weights))
    return metrics


def read_checkpoint(path: Path, request: Request) -> tuple[int, Any, Any]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            fits = str(content["format"]) == CHECKPOINT_FORMAT
            iteration, coefficients, intercepts = int(content["iteration"]), content["coef"], content["intercept"]
    except (OSError, ValueError, KeyError) as error:
        raise TrainerError(f"The checkpoint {path} cannot be read. Start again without resumeFrom.") from error
    rows = (1,) if request.task == "binary" else range(1, len(request.class_names) + 1)
    if not fits or coefficients.shape[1] != len(request.feature_names) or len(coefficients) not in rows:
        raise TrainerError(f"The checkpoint {path} is of another trainer or data. Start again without resumeFrom.")
    return iteration, coefficients, intercepts


def save_checkpoint(session: Session, iteration: int, model: Any) -> None:
    import numpy as np

    content = io.BytesIO()
    np.savez(content, format=CHECKPOINT_FORMAT, iteration=iteration, coef=model.coef_, intercept=model.intercept_)
    session.save_checkpoint(iteration, content.getvalue(), ".npz")


def fit_classes(session: Session, parameters: dict[str, Any], fold: Any, validation: Any) -> tuple[Any, Any, Any, int]:
    """Scale, weights `[classes, f]`, intercepts `[classes]`, iterations."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    request = session.request
    scale = Scale(fold.features, parameters["standardize"])
    scaled = scale.apply(fold.features, np.float32)
    judged = scale.apply(validation.features, np.float32) if validation is not None else None
    present = np.unique(fold.labels)
    model = LogisticRegression(C=parameters["C"], tol=parameters["tol"], warm_start=True, random_state=request.seed)
    done = 0
    if request.resume_from:
        done, model.coef_, model.intercept_ = read_checkpoint(request.resume_from, request)
        model.coef_, model.intercept_ = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
        model.classes_ = present
        contract.log("info", f"Goes on after iteration {done}.")
    converged = False
    while done < request.max_iterations and not converged:
        model.max_iter = min(CHUNK_ITERATIONS, request.max_iterations - done)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(scaled, fold.labels, sample_weight=fold.weights)
        used = int(np.max(model.n_iter_))
        converged = used < model.max_iter
        done += used
        weights, bias = class_scores(model.coef_, model.intercept_, present, len(request.class_names))
        metrics = {f"train_{name}": value for name, value in log_loss(scaled, fold, weights, bias).items()}
        if judged is not None:
            metrics |= {f"validation_{name}": value for name, value in log_loss(judged, validation, weights, bias).items()}
        contract.emit("progress", iteration=done, maxIterations=request.max_iterations, metrics=metrics)
        if session.stopping:
            save_checkpoint(session, done, model)
            session.leave()
        if session.checkpoint_due:
            save_checkpoint(session, done, model)
    if not converged:
        contract.log("warning", f"The solver did not converge within {done} iterations. Raise maxIterations, tol, or lower C.")
    weights, bias = class_scores(model.coef_, model.intercept_, present, len(request.class_names))
    return scale, weights, bias, done


def fit_numbers(session: Session, parameters: dict[str, Any], fold: Any, validation: Any) -> tuple[Any, Any, Any, int]:
    """Scale, weights `[1, f]`, intercepts `[1]`, iterations. One solution in closed form: nothing to resume."""
    import numpy as np
    from sklearn.linear_model import Ridge

    scale = Scale(fold.features, parameters["standardize"])
    scaled = scale.apply(fold.features, np.float64)
    model = Ridge(alpha=parameters["alpha"], solver="cholesky", copy_X=False)
    model.fit(scaled, fold.labels.astype(np.float64), sample_weight=fold.weights)
    weights = np.reshape(model.coef_, (1, -1))
    bias = np.reshape(model.intercept_, (1,))

    def rmse(part: Any) -> float:
        predicted = scale.apply(part.features, np.float64) @ weights[0] + bias[0]
        return float(np.sqrt(np.average((predicted - part.labels) ** 2, weights=part.weights)))

    metrics = {"train_rmse": rmse(fold)}
    if validation is not None:
        metrics["validation_rmse"] = rmse(validation)
    contract.emit("progress", iteration=1, maxIterations=session.request.max_iterations, metrics=metrics)
    if session.stopping:
        session.leave()
    return scale, weights, bias, 1


def export(request: Request, scale: Any, weights: Any, bias: Any, features: Any) -> bytes:
    """`(features - mean) / deviation`, a matrix product, and the softmax: the steps of the fit, in float32."""
    import numpy as np
    import onnx_model
    from onnx import helper, numpy_helper

    constants = {"mean": scale.mean, "deviation": scale.deviation, "weights": weights, "bias": bias}
    initializers = [numpy_helper.from_array(np.asarray(v, dtype=np.float32), k) for k, v in constants.items()]
    output = onnx_model.output_name(request)
    linear = output if request.task == "regression" else "logits"
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "weights", "bias"], [linear], transB=1),
    ]
    if request.task != "regression":
        nodes.append(helper.make_node("Softmax", ["logits"], [output], axis=1))
    model = onnx_model.build(request, nodes, initializers, "perennial-logistic")
    rows = onnx_model.sample_rows(features)
    expected = scale.apply(rows, np.float64) @ weights.T + bias
    if request.task != "regression":
        expected = softmax(expected)
    return onnx_model.verified_bytes(model, rows, expected, request)


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    regression = request.task == "regression"
    parameters = table.resolve(table.RIDGE if regression else table.LOGISTIC, request.parameters)
    import dataset

    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    if parameters.get("class_weight") == "balanced":
        fold, validation = dataset.balance(fold, validation, len(request.class_names))
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        import sklearn.linear_model  # noqa: F401
        import sklearn.metrics  # noqa: F401

    fit = fit_numbers if regression else fit_classes
    scale, weights, bias, iterations = fit(session, parameters, fold, validation)
    model = export(request, scale, weights, bias, fold.features)
    if session.stopping:
        session.leave()
    libraries = {name: version(name) for name in ("scikit-learn", "numpy", "onnx", "onnxruntime")}
    session.finish(model, iterations, iterations, parameters, libraries)


if __name__ == "__main__":
    contract.main(train)
