"""A LightGBM booster as one ONNX tree ensemble that decides exactly as the booster does."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import lightgbm
import numpy as np
import onnx_model
from contract import Request
from onnx import helper
from tree_ensemble import thresholds_down


def round_thresholds_down(model_text: str) -> str:
    """ONNX stores thresholds as float32; rounded to nearest, one may pass a value that lies between it and the double."""

    def rounded(match: re.Match[str]) -> str:
        single = thresholds_down(np.array(match.group(1).split(), dtype=np.float64))
        return "threshold=" + " ".join(repr(float(value)) for value in single)

    # Byte offsets of the trees in the old text. Without them LightGBM reads the trees one after the other.
    text = re.sub(r"^tree_sizes=.*\n", "", model_text, count=1, flags=re.MULTILINE)
    return re.sub(r"^threshold=(.*)$", rounded, text, flags=re.MULTILINE)


def export(booster: lightgbm.Booster, iterations: int, features: np.ndarray, request: Request) -> bytes:
    """The first `iterations` trees as ONNX, checked against the booster itself."""
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    text = booster.model_to_string(num_iteration=iterations)
    rounded = lightgbm.Booster(model_str=round_thresholds_down(text))
    converted = convert_lightgbm(
        rounded,
        name="lightgbm",
        initial_types=[("features", FloatTensorType([None, len(request.feature_names)]))],
        # The newest that the converter knows well; the tree operator itself is the same in ours.
        target_opset=15,
        zipmap=False,
    )
    # The converter wraps the ensemble in nodes that compute or copy a label; the contract has no label.
    trees = next(node for node in converted.graph.node if node.op_type.startswith("TreeEnsemble"))
    name = onnx_model.output_name(request)
    outputs = [name] if request.task == "regression" else ["lightgbm_label", name]
    node = helper.make_node(trees.op_type, ["features"], outputs, name="lightgbm", domain="ai.onnx.ml")
    node.attribute.extend(attribute for attribute in trees.attribute)
    model = onnx_model.build(request, [node], [], "perennial-lightgbm")

    rows = onnx_model.sample_rows(features)
    expected: Any = booster.predict(rows, num_iteration=iterations)
    if request.task == "binary":
        expected = np.column_stack([1 - expected, expected])
    return onnx_model.verified_bytes(model, rows, np.reshape(expected, (len(rows), -1)), request)


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("lightgbm", "numpy", "onnx", "onnxmltools", "onnxruntime")}
