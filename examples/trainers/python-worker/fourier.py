"""Random Fourier features (Rahimi and Recht, 2007) and a linear model of them: a kernel machine that trains in epochs.

Scaled features go through cos(x · frequencies + phases); the weights behind are fitted by Adam (Kingma and Ba, 2015) on
the log loss or the squared error. Only NumPy, and `onnx` for the export.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Refusal(Exception):
    """The request must change; trying again does not help."""


DEFAULTS = {"components": 256, "gamma": 0.1, "learning_rate": 0.02, "l2": 0.0001, "batch_size": 256}


def parameters_of(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters in force: the defaults, and what was given."""
    for name, value in given.items():
        if name not in DEFAULTS:
            raise Refusal(f'The parameter "{name}" is unknown. Allowed: {", ".join(sorted(DEFAULTS))}.')
        whole = isinstance(DEFAULTS[name], int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not value >= (1 if whole else 0):
            wanted = "a whole number above 0" if whole else "a number from 0 on"
            raise Refusal(f'The parameter "{name}" must be {wanted}.')
    return {**DEFAULTS, **given}


@dataclass
class Fold:
    features: np.ndarray  # float32 [n, f]
    labels: np.ndarray  # int32 class indices, or float32, [n]
    weights: np.ndarray  # float64 [n]

    def check(self, what: str, names: list[str], classes: int) -> None:
        n = len(self.labels)
        if self.features.ndim != 2 or self.features.shape != (n, len(names)) or self.weights.shape != (n,) or n == 0:
            raise Refusal(f"The {what} arrays do not fit together, or are empty.")
        bad = np.flatnonzero(~np.isfinite(self.features).all(axis=0))
        if len(bad):
            raise Refusal(
                f'The {what} features hold missing values in "{names[bad[0]]}". Give the candidate features: linear.'
            )
        if classes and not ((self.labels >= 0) & (self.labels < classes)).all():
            raise Refusal(f"The {what} labels must be class indices from 0 to {classes - 1}.")


class Model:
    """`epoch()` after `epoch()`; `state()` is all that another process needs to go on to the very same model."""

    def __init__(self, train: Fold, classes: int, parameters: dict[str, Any], seed: int) -> None:
        self.train, self.classes, self.parameters, self.seed = train, classes, parameters, seed
        total = train.weights.sum()
        mean = train.weights @ train.features / total
        deviation = np.sqrt(train.weights @ (train.features - mean) ** 2 / total)
        self.mean = mean.astype(np.float32)
        self.inverse = np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), 1 / np.maximum(deviation, 1e-300), 1)
        self.inverse = self.inverse.astype(np.float32)
        self.centre, self.deviation = 0.0, 1.0
        if not classes:
            self.centre = float(train.weights @ train.labels / total)
            self.deviation = float(np.sqrt(train.weights @ (train.labels - self.centre) ** 2 / total)) or 1.0
        random = np.random.default_rng(seed)
        inputs, components = train.features.shape[1], parameters["components"]
        spread = np.sqrt(2 * parameters["gamma"])
        self.frequencies = random.normal(0, spread, (inputs, components)).astype(np.float32)
        self.phases = random.uniform(0, 2 * np.pi, components).astype(np.float32)
        self.epochs = self.steps = 0
        # Weights, and Adam's means of the slopes and of their squares; the bias is the last row.
        self.weights, self.first, self.second = (np.zeros((components + 1, max(1, classes))) for _ in range(3))

    def scores(self, features: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        weights = self.weights if weights is None else weights
        return self._components(features) @ weights[:-1] + weights[-1]

    def answers(self, features: np.ndarray) -> np.ndarray:
        """What the exported graph gives: probabilities [n, classes], or numbers [n, 1]."""
        scores = self.scores(features)
        return _softmax(scores) if self.classes else scores * self.deviation + self.centre

    def metric(self, fold: Fold) -> tuple[str, float]:
        answers, weights = self.answers(fold.features), fold.weights / fold.weights.sum()
        if self.classes:
            own = answers[np.arange(len(answers)), fold.labels]
            return "log_loss", float(-weights @ np.log(np.maximum(own, 1e-300)))
        return "rmse", float(np.sqrt(weights @ (answers[:, 0] - fold.labels) ** 2))

    def epoch(self, alive: Any) -> None:
        """One pass over the rows in an order of its own; `alive()` is called between batches."""
        size, fold = self.parameters["batch_size"], self.train
        order = np.random.default_rng([self.seed, self.epochs]).permutation(len(fold.labels))
        # A copy: where the pass is broken off, the state is that of the last whole epoch.
        steps, weights, first, second = self.steps, self.weights.copy(), self.first.copy(), self.second.copy()
        for begin in range(0, len(order), size):
            alive()
            rows = order[begin : begin + size]
            mass = fold.weights[rows].sum()
            if mass == 0:
                continue
            inputs = self._components(fold.features[rows])
            slopes = inputs @ weights[:-1] + weights[-1]
            if self.classes:
                slopes = _softmax(slopes)
                slopes[np.arange(len(rows)), fold.labels[rows]] -= 1
            else:
                slopes -= ((fold.labels[rows] - self.centre) / self.deviation)[:, None]
            slopes *= (fold.weights[rows] / mass)[:, None]
            gradient = np.vstack([inputs.T @ slopes + self.parameters["l2"] * weights[:-1], slopes.sum(axis=0)])
            steps += 1
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            rate = self.parameters["learning_rate"] * np.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
            weights -= rate * first / (np.sqrt(second) + 1e-8)
        self.steps, self.weights, self.first, self.second = steps, weights, first, second
        self.epochs += 1

    def state(self) -> bytes:
        file = io.BytesIO()
        arrays = {"weights": self.weights, "first": self.first, "second": self.second}
        np.savez(file, counts=np.array([self.epochs, self.steps]), **arrays)
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        with np.load(io.BytesIO(state), allow_pickle=False) as saved:
            if saved["weights"].shape != self.weights.shape:
                raise Refusal("The checkpoint is of another model.")
            self.weights, self.first, self.second = saved["weights"], saved["first"], saved["second"]
            self.epochs, self.steps = (int(count) for count in saved["counts"])

    def onnx(self) -> bytes:
        output = "probabilities" if self.classes else "prediction"
        constants = {
            "mean": self.mean,
            "inverse": self.inverse,
            "frequencies": self.frequencies,
            "phases": self.phases,
            "weights": self.weights[:-1] * self.deviation * self._height,
            "bias": self.weights[-1] * self.deviation + self.centre,
        }
        nodes = [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "inverse"], ["scaled"]),
            helper.make_node("Gemm", ["scaled", "frequencies", "phases"], ["angles"]),
            helper.make_node("Cos", ["angles"], ["waves"]),
            helper.make_node("Gemm", ["waves", "weights", "bias"], ["scores" if self.classes else output]),
        ]
        if self.classes:
            nodes.append(helper.make_node("Softmax", ["scores"], [output], axis=1))
        inputs, outputs = len(self.mean), max(1, self.classes)
        graph = helper.make_graph(
            nodes,
            "fourier",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", inputs])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", outputs])],
            [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        onnx.checker.check_model(model)
        return model.SerializeToString()

    @property
    def _height(self) -> float:
        return float(np.sqrt(2 / self.parameters["components"]))

    def _components(self, features: np.ndarray) -> np.ndarray:
        angles = ((features - self.mean) * self.inverse) @ self.frequencies + self.phases
        return self._height * np.cos(angles).astype(np.float64)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
