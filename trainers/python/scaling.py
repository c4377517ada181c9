"""The scaling of features that is part of a model."""

from __future__ import annotations

import numpy as np
from dataset import CHUNK_ROWS
from onnx import NodeProto, TensorProto, helper, numpy_helper


class Scale:
    """Mean and standard deviation of each feature. They become part of the model, so callers need not scale."""

    def __init__(self, features: np.ndarray, standardize: bool):
        columns = features.shape[1]
        self.mean = np.zeros(columns)
        self.deviation = np.ones(columns)
        if standardize:
            self.mean = np.mean(features, axis=0, dtype=np.float64)
            deviation = np.std(features, axis=0, dtype=np.float64)
            # A constant column says nothing: it becomes zero, not a division by (almost) zero.
            self.deviation = np.where(deviation > 1e-12 * np.maximum(1, np.abs(self.mean)), deviation, 1.0)

    def apply(self, features: np.ndarray, dtype: type) -> np.ndarray:
        scaled = np.empty(features.shape, dtype=dtype)
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            scaled[part] = (features[part].astype(np.float64) - self.mean) / self.deviation
        return scaled

    def as_graph(self, features: np.ndarray) -> np.ndarray:
        """The very float32 numbers that the nodes give."""
        return (features - self.mean.astype(np.float32)) / self.deviation.astype(np.float32)

    def nodes(self) -> tuple[list[NodeProto], list[TensorProto]]:
        """ONNX nodes and constants from `features` to `scaled`."""
        constants = {"mean": self.mean, "deviation": self.deviation}
        return [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        ], [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
