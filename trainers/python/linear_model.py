"""What logistic and linear regression have in common: iterations in chunks, and the graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version

import checkpoint
import contract
import numpy as np
import onnx_model
from contract import Request, Session
from onnx import helper, numpy_helper
from scaling import Scale
from scores import softmax


def solve(
    session: Session,
    kind: str,
    start: int,
    chunk: int,
    step: Callable[[int], tuple[int, bool]],
    metrics: Callable[[], dict[str, float]],
    coefficients: Callable[[], dict[str, np.ndarray]],
) -> int:
    """Iterates until the solver converges, and gives the iterations that ran.

    Solvers run `chunk` iterations at a time, so that they can report, be stopped, and be taken up again.

    `step` runs so many iterations at the most, and tells how many ran and whether it converged. `metrics` are reported
    after each chunk, `coefficients` are what a checkpoint holds.
    """
    most = session.request.max_iterations
    done, converged, pace = start, False, 0.0
    while done < most and not converged and not (done > 0 and session.out_of_time):
        steps = min(chunk, most - done)
        if pace > 0 and pace * steps > session.seconds_left:
            steps = max(1, int(session.seconds_left / pace))
        begun = time.monotonic()
        used, converged = step(steps)
        pace = (time.monotonic() - begun) / max(1, used)
        done += used
        contract.emit("progress", iteration=done, maxIterations=most, metrics=metrics())
        if session.stopping or session.checkpoint_due:
            content = checkpoint.content(kind, session.request, {"iteration": done}, coefficients())
            session.save_checkpoint(done, content, checkpoint.SUFFIX)
        if session.stopping:
            session.leave()
    if not converged and session.out_of_time:
        contract.log("info", f"The time is used up after {done} iterations.")
    elif not converged:
        contract.log("warning", f"The solver did not converge within {done} iterations. Raise maxIterations or tol.")
    return done


def export(request: Request, kind: str, scale: Scale, weights: np.ndarray, bias: np.ndarray, features: np.ndarray) -> bytes:
    """`(features - mean) / deviation`, a matrix product, and the softmax: the steps of the fit, in float32.

    `weights` are `[outputs, f]`, `bias` `[outputs]`.
    """
    nodes, initializers = scale.nodes()
    output = onnx_model.output_name(request)
    numbers = request.task == "regression"
    nodes.append(helper.make_node("Gemm", ["scaled", "weights", "bias"], [output if numbers else "logits"], transB=1))
    if not numbers:
        nodes.append(helper.make_node("Softmax", ["logits"], [output], axis=1))
    initializers.append(numpy_helper.from_array(weights.astype(np.float32), "weights"))
    initializers.append(numpy_helper.from_array(bias.astype(np.float32), "bias"))
    model = onnx_model.build(request, nodes, initializers, f"perennial-{kind}")
    rows = onnx_model.sample_rows(features)
    expected = scale.apply(rows, np.float64) @ weights.T + bias
    return onnx_model.verified_bytes(model, rows, expected if numbers else softmax(expected), request)


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("scikit-learn", "numpy", "onnx", "onnxruntime")}
