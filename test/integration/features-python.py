"""Trains small models with LightGBM and scikit-learn, or runs composed models with Python's onnxruntime."""

import json
import sys

import numpy as np


def train(folder):
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    features = np.load(f"{folder}/features.npy")
    labels = {task: np.load(f"{folder}/{task}.npy") for task in ("binary", "multiclass", "regression")}
    settings = {"n_estimators": 20, "verbose": -1, "n_jobs": 1, "random_state": 0}
    for task, labels_of_task in labels.items():
        kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
        model = kind(**settings).fit(features, labels_of_task)
        options = {} if task == "regression" else {"zipmap": False}
        shape = [("features", FloatTensorType([None, features.shape[1]]))]
        onnx = convert_lightgbm(model, initial_types=shape, target_opset=15, **options)
        with open(f"{folder}/lightgbm-{task}.onnx", "wb") as file:
            file.write(onnx.SerializeToString())
    model = LogisticRegression(max_iter=500).fit(features, labels["binary"])
    onnx = to_onnx(model, features[:1], target_opset=17, options={"zipmap": False})
    with open(f"{folder}/logistic-binary.onnx", "wb") as file:
        file.write(onnx.SerializeToString())


def run(folder):
    import onnx
    import onnxruntime

    types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(string)": object}
    with open(f"{folder}/inputs.json", encoding="utf-8") as file:
        inputs = json.load(file)
    answers = {}
    for name in json.loads(sys.argv[3]):
        onnx.checker.check_model(onnx.load(f"{folder}/{name}.onnx"), full_check=True)
        session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx", providers=["CPUExecutionProvider"])
        feeds = {value.name: np.array(inputs[value.name], dtype=types[value.type]) for value in session.get_inputs()}
        outputs = [value.name for value in session.get_outputs()]
        ranks = [len(value.shape) for value in [*session.get_inputs(), *session.get_outputs()]]
        assert set(ranks) == {1}, ranks
        answers[name] = {key: list(map(str, values)) if values.dtype == object else values.tolist()
                         for key, values in zip(outputs, session.run(None, feeds))}
    with open(f"{folder}/answers.json", "w", encoding="utf-8") as file:
        json.dump(answers, file)


{"train": train, "run": run}[sys.argv[1]](sys.argv[2])
