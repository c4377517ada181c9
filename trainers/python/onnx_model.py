"""What every trainer's ONNX model has in common: its interface, its opsets, and the proof that it is right."""

from __future__ import annotations

import numpy as np
import onnx
from contract import Request, TrainerError
from onnx import TensorProto, helper

OPSET = 17
"""What the features graph uses, so that composing the two converts nothing. Our operators are the same since 14."""
ML_OPSET = 3
IR_VERSION = 8
CHECKED_ROWS = 1000
TOLERANCE = 1e-4


def output_name(request: Request) -> str:
    return "prediction" if request.task == "regression" else "probabilities"


def build(request: Request, nodes: list, initializers: list, producer: str) -> onnx.ModelProto:
    """A model with the input `features` [batch, f] and the one output that the contract asks for."""
    columns = 1 if request.task == "regression" else len(request.class_names)
    graph = helper.make_graph(
        nodes,
        producer,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(request.feature_names)])],
        [helper.make_tensor_value_info(output_name(request), TensorProto.FLOAT, ["batch", columns])],
        initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, producer_name=producer, ir_version=IR_VERSION, opset_imports=opsets)


def sample_rows(features: np.ndarray) -> np.ndarray:
    """Up to 1,000 rows, evenly spread over the matrix."""
    step = max(1, -(-features.shape[0] // CHECKED_ROWS))
    return np.ascontiguousarray(features[::step])


def verified_bytes(model: onnx.ModelProto, rows: np.ndarray, expected: np.ndarray, request: Request) -> bytes:
    """The serialised model, after ONNX Runtime gave the trainer's own predictions for the same rows.

    Probabilities may differ by 1e-4. Predictions of numbers may differ by 1e-4 of their own scale: their unit is
    not ours, and ONNX adds float32 numbers where the libraries add doubles.
    """
    import onnxruntime

    data = model.SerializeToString(deterministic=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    actual = session.run([output_name(request)], {"features": rows})[0]
    if actual.shape != expected.shape:
        raise TrainerError(f"The exported model answers with shape {actual.shape}, expected {expected.shape}.")
    difference = float(np.max(np.abs(actual.astype(np.float64) - expected), initial=0.0))
    scale = float(np.max(np.abs(expected), initial=1.0)) if request.task == "regression" else 1.0
    if not difference <= TOLERANCE * scale:
        raise TrainerError(
            f"The exported ONNX model differs from the trained one by {difference:.3g} on {len(rows)} training rows "
            f"(allowed: {TOLERANCE * scale:.3g}). It would not serve what was trained, so the training failed. "
            "Scale features with very large or very small values, or use another trainer."
        )
    return data
