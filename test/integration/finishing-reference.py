"""What scikit-learn and SciPy say about calibration, stacking and class weights; trains and runs models for ensembles.

Usage: finishing-reference.py answer < one JSON request per line
       finishing-reference.py train FOLDER
       finishing-reference.py run FOLDER NAMES
"""

import json
import sys

import numpy as np

CLIP = 1e-7


def log_odds(p):
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.log(p) - np.log(1 - p)


def platt(y, p, weights, grid):
    from scipy.optimize import minimize
    from sklearn.calibration import _sigmoid_calibration

    f, at = log_odds(p), log_odds(grid)
    a, b = _sigmoid_calibration(f, y, weights)
    # scikit-learn stops early: the same loss, taken to its end.
    w = np.ones(len(y)) if weights is None else weights
    negative, positive = w[y == 0].sum(), w[y == 1].sum()
    target = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(ab):
        z = -(ab[0] * f + ab[1])
        return (w * (np.logaddexp(0, z) - target * z)).sum()

    def slope(ab):
        g = -w * (1 / (1 + np.exp(ab[0] * f + ab[1])) - target)
        return np.array([g @ f, g.sum()])

    exact = minimize(loss, [a, b], jac=slope, method="BFGS", options={"gtol": 1e-9}).x
    return {"sklearn": (1 / (1 + np.exp(a * at + b))).tolist(), "exact": (1 / (1 + np.exp(exact[0] * at + exact[1]))).tolist()}


def isotonic(y, p, weights, grid):
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip").fit(p, y, weights)
    return {"sklearn": model.predict(grid).tolist(), "knots": len(model.X_thresholds_)}


def one_against_rest(method, y, p, grid):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Given(ClassifierMixin, BaseEstimator):
        """Answers what it is asked."""

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return self.classes_[X.argmax(axis=1)]

        def predict_proba(self, X):
            return X

    class GivenOdds(Given):
        def decision_function(self, X):
            return log_odds(X)

    given = (GivenOdds if method == "platt" else Given)().fit(p, y)
    name = "sigmoid" if method == "platt" else "isotonic"
    model = CalibratedClassifierCV(FrozenEstimator(given), method=name, ensemble=False).fit(p, y)
    return model.predict_proba(grid).tolist()


def stack(task, y, members, weights):
    """The penalised likelihood of stack-fit.ts, minimised by SciPy."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    w = np.ones(len(y)) if weights is None else weights
    count = len(members)
    average = lambda parameters: np.concatenate([np.full(count, 1 / count), np.zeros(parameters - count)])
    penalty = lambda at: ((at - average(len(at))) ** 2).sum() / 2
    if task == "regression":
        mean = np.average(y, weights=w)
        scale = np.sqrt(np.average((y - mean) ** 2, weights=w))
        x = (np.array(members) - mean) / scale
        z = (y - mean) / scale

        def loss(at):
            return (w * (z - at[:count] @ x - at[count]) ** 2).sum() / 2 + penalty(at)

        parameters = count + 1
    else:
        logs = np.log(np.clip(np.array(members), CLIP, 1 - CLIP))
        if task == "binary":
            logs = np.stack([np.log(np.clip(1 - np.array(members), CLIP, 1 - CLIP)), logs], axis=2)
        classes = logs.shape[2]
        rows = np.arange(len(y))

        def loss(at):
            scores = np.tensordot(at[:count], logs, 1) + np.concatenate([[0], at[count:]])
            likelihood = w * (logsumexp(scores, axis=1) - scores[rows, y])
            return likelihood.sum() + penalty(at)

        parameters = count + classes - 1
    start = average(parameters)
    bounds = [(0, None)] * count + [(None, None)] * (parameters - count)
    options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 10_000, "maxfun": 100_000}
    at = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options=options).x
    if task == "regression":
        return {"weights": at[:count].tolist(), "intercepts": [scale * at[count] + mean * (1 - at[:count].sum())]}
    intercepts = at[count:] if task == "binary" else np.concatenate([[0], at[count:]])
    if task == "multiclass":
        intercepts = intercepts - intercepts.mean()
    return {"weights": at[:count].tolist(), "intercepts": intercepts.tolist()}


def answer():
    from sklearn.utils.class_weight import compute_sample_weight

    for line in sys.stdin:
        asked = json.loads(line)
        y = np.array(asked["labels"])
        weights = None if asked.get("weights") is None else np.array(asked["weights"], dtype=np.float64)
        kind = asked["kind"]
        if kind == "balanced":
            result = compute_sample_weight("balanced", y).tolist()
        elif kind == "stack":
            result = stack(asked["task"], y, asked["answers"], weights)
        else:
            p, grid = np.array(asked["answers"], dtype=np.float64), np.array(asked["grid"], dtype=np.float64)
            if p.ndim == 2:
                result = one_against_rest(kind, y, p, grid)
            else:
                result = {"platt": platt, "isotonic": isotonic}[kind](y, p, weights, grid)
        print(json.dumps(result), flush=True)


def train(folder):
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    matrices = {preset: np.load(f"{folder}/{preset}.npy") for preset in ("tree", "linear")}
    for task in ("binary", "multiclass", "regression"):
        labels = np.load(f"{folder}/{task}.npy")
        regression = task == "regression"
        boosted = (lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier)(
            n_estimators=20, verbose=-1, n_jobs=1, random_state=0
        ).fit(matrices["tree"], labels)
        shape = [("features", FloatTensorType([None, matrices["tree"].shape[1]]))]
        onnx = convert_lightgbm(boosted, initial_types=shape, target_opset=15, **({} if regression else {"zipmap": False}))
        with open(f"{folder}/boosted-{task}.onnx", "wb") as file:
            file.write(onnx.SerializeToString())
        forest = (RandomForestRegressor if regression else RandomForestClassifier)(20, max_depth=6, random_state=0)
        linear = LinearRegression() if regression else LogisticRegression(max_iter=500)
        for name, model in (("forest", forest), ("linear", linear)):
            model.fit(matrices["linear"], labels)
            options = {} if regression else {"zipmap": False}
            onnx = to_onnx(model, matrices["linear"][:1], target_opset=17, options={type(model): options})
            with open(f"{folder}/{name}-{task}.onnx", "wb") as file:
                file.write(onnx.SerializeToString())


def run(folder, names):
    """Answers of MLflow's own loader, which feeds and flattens columns of rank 1."""
    import mlflow.onnx
    import onnx
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import load_model
    from mlflow.types import ColSpec, Schema

    with open(f"{folder}/inputs.json", encoding="utf-8") as file:
        inputs = json.load(file)
    answers = {}
    for name in names:
        model = onnx.load(f"{folder}/{name}.onnx")
        onnx.checker.check_model(model, full_check=True)
        ranks = [len(value.type.tensor_type.shape.dim) for value in [*model.graph.input, *model.graph.output]]
        assert set(ranks) == {1}, ranks
        kinds = {value.name: value.type.tensor_type.elem_type for value in [*model.graph.input, *model.graph.output]}
        column = lambda value: ColSpec("string" if kinds[value.name] == onnx.TensorProto.STRING else "double", value.name)
        signature = ModelSignature(
            inputs=Schema([column(value) for value in model.graph.input]),
            outputs=Schema([column(value) for value in model.graph.output]),
        )
        # Working the requirements out by itself takes ten seconds.
        mlflow.onnx.save_model(model, f"{folder}/mlflow-{name}", signature=signature, pip_requirements=["onnxruntime"])
        types = {
            key: str if kind == onnx.TensorProto.STRING else np.float64 for key, kind in kinds.items() if key in inputs
        }
        frame = pd.DataFrame({key: np.array(inputs[key], dtype=kind) for key, kind in types.items()})
        found = load_model(f"{folder}/mlflow-{name}").predict(frame)
        answers[name] = {key: np.asarray(found[key]).tolist() for key in found}
    with open(f"{folder}/answers.json", "w", encoding="utf-8") as file:
        json.dump(answers, file)


if sys.argv[1] == "answer":
    answer()
elif sys.argv[1] == "train":
    train(sys.argv[2])
else:
    run(sys.argv[2], json.loads(sys.argv[3]))
