"""An XGBoost booster as one ONNX tree ensemble that decides exactly as the booster does."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx_model
import tree_ensemble
import xgboost
from contract import Request
from tree_ensemble import Tree


def trees_of(model: dict[str, Any]) -> list[Tree]:
    """XGBoost compares float32 numbers, `x < threshold`; at a leaf the same array holds its value."""
    return [
        Tree(
            left=np.array(tree["left_children"], np.int64),
            right=np.array(tree["right_children"], np.int64),
            feature=np.array(tree["split_indices"], np.int64),
            threshold=np.array(tree["split_conditions"], np.float32),
            missing_left=np.array(tree["default_left"], np.int64),
            cover=np.array(tree["sum_hessian"], np.float32),
            targets=np.array([target]),
            values=np.array(tree["split_conditions"], np.float32)[:, None],
        )
        for tree, target in zip(model["trees"], model["tree_info"], strict=True)
    ]


def export(booster: xgboost.Booster, iterations: int, features: np.ndarray, request: Request) -> bytes:
    """The first `iterations` rounds as ONNX, checked against the booster itself.

    Written from the booster's own JSON (its documented schema): thresholds, missing values and intercepts are what they
    are there.
    """
    best = booster[:iterations]
    learner = json.loads(best.save_raw("json"))["learner"]
    base = np.atleast_1d(np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float64))
    link = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}[request.task]
    if link == "sigmoid":
        base = np.log(base / (1 - base))
    elif link == "softmax":
        base = np.broadcast_to(base, len(request.class_names))
    trees = trees_of(learner["gradient_booster"]["model"])
    model = tree_ensemble.model(request, "xgboost", trees, "BRANCH_LT", base, link)
    rows = onnx_model.sample_rows(features)
    expected = best.predict(xgboost.DMatrix(rows, nthread=request.threads)).astype(np.float64)
    if request.task == "binary":
        expected = np.column_stack([1 - expected, expected])
    return onnx_model.verified_bytes(model, rows, np.reshape(expected, (len(rows), -1)), request)


def versions() -> dict[str, str]:
    # The package may be the one without GPUs.
    return {"xgboost": xgboost.__version__} | {name: version(name) for name in ("numpy", "onnx", "onnxruntime")}
