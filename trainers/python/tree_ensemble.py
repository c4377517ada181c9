"""Decision trees of any library as one ONNX tree ensemble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_model
from contract import Request
from onnx import helper, numpy_helper

ABSENT_CLASS_MARGIN = -1e4
"""The softmax of it is 0 in float32: a class that training never saw is never predicted."""


@dataclass(frozen=True)
class Tree:
    """One tree: arrays with an entry per node. A leaf's `left` is -1. Thresholds are float32, as the graph's are."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    cover: np.ndarray
    """How much of the training data came to each node, as the library counts it: exact attributions average by it."""
    targets: np.ndarray
    """The outputs that its leaves add to."""
    values: np.ndarray
    """`[nodes, targets]`; used of leaves."""


def thresholds_down(exact: np.ndarray) -> np.ndarray:
    """Thresholds as float32, rounded towards minus infinity.

    For float32 inputs, `x <= t` is the same as `x <= (the largest float32 that is not above t)`.
    """
    with np.errstate(over="ignore"):
        single = exact.astype(np.float32)
    return np.where(single.astype(np.float64) > exact, np.nextafter(single, np.float32(-np.inf)), single)


def ensemble_node(trees: list[Tree], mode: str, outputs: int, output: str) -> onnx.NodeProto:
    """The sum of all trees, `[batch, outputs]`. `mode`: BRANCH_LEQ or BRANCH_LT, true goes left."""
    sizes = np.array([len(tree.left) for tree in trees])
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.left for tree in trees])
    right = np.concatenate([tree.right for tree in trees])
    leaf = left < 0
    names = np.where(leaf, "LEAF", mode).astype("S")
    missing = np.concatenate([tree.missing_left for tree in trees])
    inner = lambda values: np.where(leaf, 0, values)  # noqa: E731
    node = helper.make_node("TreeEnsembleRegressor", ["features"], [output], name="trees", domain="ai.onnx.ml")

    def add(name: str, kind: int, values: list) -> None:
        attribute = node.attribute.add(name=name, type=kind)
        {
            onnx.AttributeProto.INTS: attribute.ints,
            onnx.AttributeProto.FLOATS: attribute.floats,
            onnx.AttributeProto.STRINGS: attribute.strings,
        }[kind].extend(values)

    ints, floats = onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS
    add("nodes_treeids", ints, tree_ids.tolist())
    add("nodes_nodeids", ints, node_ids.tolist())
    add("nodes_featureids", ints, inner(np.concatenate([tree.feature for tree in trees])).tolist())
    add("nodes_values", floats, inner(np.concatenate([tree.threshold for tree in trees])).tolist())
    add("nodes_modes", onnx.AttributeProto.STRINGS, names.tolist())
    add("nodes_truenodeids", ints, inner(left).tolist())
    add("nodes_falsenodeids", ints, inner(right).tolist())
    if missing.any():
        add("nodes_missing_value_tracks_true", ints, inner(missing).tolist())
    add("nodes_hitrates", floats, np.concatenate([tree.cover for tree in trees]).tolist())

    targets = [np.tile(tree.targets, int((tree.left < 0).sum())) for tree in trees]
    weights = [tree.values[tree.left < 0].ravel() for tree in trees]
    per_leaf = np.repeat([len(tree.targets) for tree in trees], sizes)[leaf]
    add("target_treeids", ints, np.repeat(tree_ids[leaf], per_leaf).tolist())
    add("target_nodeids", ints, np.repeat(node_ids[leaf], per_leaf).tolist())
    add("target_ids", ints, np.concatenate(targets).tolist())
    add("target_weights", floats, np.concatenate(weights).astype(np.float32).tolist())
    node.attribute.extend([
        helper.make_attribute("n_targets", outputs),
        helper.make_attribute("aggregate_function", "SUM"),
        helper.make_attribute("post_transform", "NONE"),
    ])
    return node


def model(request: Request, kind: str, trees: list[Tree], mode: str, base: np.ndarray, link: str) -> onnx.ModelProto:
    """The whole model. `base` `[outputs]` is added to the sums of the trees.

    `link` says what the sums are: `identity` (numbers, or probabilities of all classes), `complement` (the probability of
    the second of two classes), `sigmoid` (its margin) or `softmax` (margins of all classes).
    """
    name = onnx_model.output_name(request)
    sums = name if link == "identity" else "sums"
    constants = []
    nodes = [ensemble_node(trees, mode, len(base), "trees" if base.any() else sums)]
    if base.any():
        # Not as base_values: ONNX Runtime leaves those out where no tree adds to an output.
        constants.append(numpy_helper.from_array(base.astype(np.float32), "base"))
        nodes.append(helper.make_node("Add", ["trees", "base"], [sums]))
    if link == "softmax":
        nodes.append(helper.make_node("Softmax", [sums], [name], axis=1))
    if link == "sigmoid":
        nodes.append(helper.make_node("Sigmoid", [sums], ["second"]))
    if link in ("sigmoid", "complement"):
        second = "second" if link == "sigmoid" else sums
        constants.append(numpy_helper.from_array(np.float32(1), "one"))
        nodes.append(helper.make_node("Sub", ["one", second], ["first"]))
        nodes.append(helper.make_node("Concat", ["first", second], [name], axis=1))
    return onnx_model.build(request, nodes, constants, f"perennial-{kind}")
