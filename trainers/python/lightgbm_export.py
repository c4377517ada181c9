"""A LightGBM booster as one ONNX tree ensemble that decides exactly as the booster does."""

from __future__ import annotations

from importlib.metadata import version

import lightgbm
import numpy as np
import onnx_model
import tree_ensemble
from contract import Request, TrainerError
from tree_ensemble import Tree, thresholds_down

CATEGORICAL, DEFAULT_LEFT = 1, 2
MISSING_NONE, MISSING_NAN = 0, 2
"""Bits of LightGBM's `decision_type`; the kind of missing value stands in the two above them."""


def tree_of(fields: dict[str, str], target: int) -> Tree:
    """A tree of LightGBM's text: splits first, then leaves. It compares doubles, `x <= threshold`."""

    def numbers(name: str, kind: type = np.int64) -> np.ndarray:
        return np.array(fields.get(name, "").split(), dtype=kind)

    def nodes(of_splits: np.ndarray, of_leaves: np.ndarray | int) -> np.ndarray:
        return np.concatenate([of_splits, np.broadcast_to(of_leaves, len(leaves))])

    leaves, threshold = numbers("leaf_value", np.float64), numbers("threshold", np.float64)
    decision, splits = numbers("decision_type"), len(threshold)
    # Leaves are counted -1, -2 and so on there.
    left, right = (np.where(side < 0, splits - 1 - side, side) for side in map(numbers, ("left_child", "right_child")))
    missing = decision >> 2
    if (decision & CATEGORICAL).any() or not np.isin(missing, (MISSING_NONE, MISSING_NAN)).all():
        raise TrainerError("LightGBM split by categories, or took zero for missing. Neither can be exported.")
    # Where training saw no missing value, LightGBM takes one for 0.
    missing_left = np.where(missing == MISSING_NAN, decision & DEFAULT_LEFT, 0 <= threshold) > 0

    return Tree(
        left=nodes(left, -1),
        right=nodes(right, -1),
        feature=nodes(numbers("split_feature"), 0),
        threshold=nodes(thresholds_down(threshold), np.float32(0)),
        missing_left=nodes(missing_left.astype(np.int64), 0),
        cover=nodes(numbers("internal_count"), numbers("leaf_count")).astype(np.float64),
        targets=np.array([target]),
        values=nodes(np.zeros(splits), leaves)[:, None],
    )


def trees_of(model_text: str, targets: int) -> list[Tree]:
    """The trees of `Booster.model_to_string()`: a block of `name=value` lines each, the outputs in turn."""
    _, *blocks = model_text.split("end of trees")[0].split("\nTree=")
    fields = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks)
    return [tree_of(tree, index % targets) for index, tree in enumerate(fields)]


def export(booster: lightgbm.Booster, iterations: int, features: np.ndarray, request: Request) -> bytes:
    """The first `iterations` iterations as ONNX, checked against the booster itself."""
    link = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}[request.task]
    base = np.zeros(len(request.class_names) if link == "softmax" else 1)
    trees = trees_of(booster.model_to_string(num_iteration=iterations), len(base))
    model = tree_ensemble.model(request, "lightgbm", trees, "BRANCH_LEQ", base, link)
    rows = onnx_model.sample_rows(features)
    expected = np.asarray(booster.predict(rows, num_iteration=iterations))
    if request.task == "binary":
        expected = np.column_stack([1 - expected, expected])
    return onnx_model.verified_bytes(model, rows, np.reshape(expected, (len(rows), -1)), request)


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("lightgbm", "numpy", "onnx", "onnxruntime")}
