"""scikit-learn's trees: into ONNX, and into checkpoints without pickle."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from contract import TrainerError
from sklearn.tree._tree import Tree as SklearnTree
from tree_ensemble import Tree, thresholds_down


def tree_of(tree: SklearnTree, targets: np.ndarray, values: np.ndarray) -> Tree:
    """A tree that adds `values` `[nodes, targets]` to `targets`. It decides by `x <= threshold`."""
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=thresholds_down(tree.threshold),
        missing_left=np.zeros(tree.node_count, np.int64),
        cover=tree.weighted_n_node_samples,
        targets=targets,
        values=values,
    )


def stored(trees: list[SklearnTree]) -> dict[str, np.ndarray]:
    """Trees as arrays for a checkpoint: the state that they give to pickle."""
    states = [tree.__getstate__() for tree in trees]
    return {
        "counts": np.array([state["node_count"] for state in states]),
        "depths": np.array([state["max_depth"] for state in states]),
        "nodes": np.concatenate([state["nodes"] for state in states]),
        "values": np.concatenate([state["values"] for state in states]),
    }


def restored(arrays: dict[str, np.ndarray], path: Path | None, features: int, classes: int) -> list[SklearnTree]:
    """The trees of a checkpoint. `classes` is 1 for trees that predict numbers."""
    ends = np.cumsum(arrays["counts"])
    trees = []
    try:
        for end, count, depth in zip(ends, arrays["counts"], arrays["depths"], strict=True):
            tree = SklearnTree(features, np.array([classes], np.intp), 1)
            part = slice(end - count, end)
            state = {"nodes": arrays["nodes"][part], "values": arrays["values"][part]}
            tree.__setstate__({"max_depth": int(depth), "node_count": int(count), **state})
            trees.append(tree)
    except (ValueError, TypeError) as error:
        raise TrainerError(
            f"The checkpoint {path} is of another version of scikit-learn, or of other data. "
            "Start again without resumeFrom."
        ) from error
    return trees


def limits(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as scikit-learn takes them: its None for our 0."""
    return {name: value or None if name in ("max_depth", "max_leaf_nodes") else value for name, value in parameters.items()}


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("scikit-learn", "numpy", "onnx", "onnxruntime")}
