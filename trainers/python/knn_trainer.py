"""k nearest neighbours by scikit-learn; the model holds the rows and looks through all of them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import contract
from contract import Session, TrainerError

MAX_MODEL_BYTES = 64 * 2**20
SAME_PLACE = 1e-9
"""Squared distances up to this are 0: the graph computes them as |x|² - 2xy + |y|², which is not exact."""


def kept_rows(fold: Any, most: int, seed: int) -> Any:
    """Indices of the rows that the model holds: those with a weight, or a sample of them, in their order."""
    import numpy as np

    rows = np.arange(fold.rows) if fold.weights is None else np.flatnonzero(fold.weights)
    if len(rows) <= most:
        return rows
    contract.log("info", f"The model holds a sample of {most} of the {len(rows)} rows (max_rows).")
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def vote(squares: Any, values: Any, weights: Any, by_distance: bool) -> Any:
    """The answer to each row: `squares` `[n, k]` are squared distances to neighbours of `values` `[n, k, outputs]`.

    By distance, neighbours count by its inverse; where some are in the very place, they alone count, as in scikit-learn.
    """
    import numpy as np

    if by_distance:
        same = squares <= SAME_PLACE
        near = np.where(same.any(axis=1, keepdims=True), same, 1 / np.sqrt(np.maximum(squares, SAME_PLACE)))
        weights = weights * near
    return (values * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1)[:, None]


def graph(request: Any, scale: Any, rows: Any, values: Any, weights: Any, k: int, by_distance: bool) -> Any:
    """Distances by a matrix product in double precision, the k smallest, and their vote."""
    import numpy as np
    import onnx_model
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = scale.nodes()

    def constant(name: str, value: Any) -> None:
        constants.append(numpy_helper.from_array(value, name))

    exact = rows.astype(np.float64)
    constant("rows", np.ascontiguousarray(rows.T))
    constant("row_squares", np.sum(exact * exact, axis=1)[None, :])
    constant("values", (values * weights[:, None]).astype(np.float32))
    constant("row_weights", weights[:, None].astype(np.float32))
    constant("minus_two", np.float64(-2))
    constant("zero", np.float64(0))
    constant("columns", np.array([1], np.int64))
    constant("k", np.array([k], np.int64))
    make = helper.make_node
    nodes += [
        make("Cast", ["scaled"], ["x"], to=TensorProto.DOUBLE),
        # ONNX Runtime computes it once, when the model is loaded.
        make("Cast", ["rows"], ["exact_rows"], to=TensorProto.DOUBLE),
        make("MatMul", ["x", "exact_rows"], ["products"]),
        make("Mul", ["products", "minus_two"], ["mixed"]),
        make("Add", ["mixed", "row_squares"], ["partial"]),
        make("Mul", ["x", "x"], ["x_squared"]),
        make("ReduceSum", ["x_squared", "columns"], ["x_squares"], keepdims=1),
        make("Add", ["partial", "x_squares"], ["rough_squares"]),
        make("Max", ["rough_squares", "zero"], ["squares"]),
        make("TopK", ["squares", "k"], ["nearest", "neighbours"], axis=1, largest=0, sorted=1),
        make("Gather", ["values", "neighbours"], ["votes"], axis=0),
        make("Gather", ["row_weights", "neighbours"], ["counts"], axis=0),
    ]
    if by_distance:
        constant("same_place", np.float64(SAME_PLACE))
        constant("first", np.array([0], np.int64))
        constant("last", np.array([2], np.int64))
        nodes += [
            make("LessOrEqual", ["nearest", "same_place"], ["same"]),
            make("Cast", ["same"], ["same_number"], to=TensorProto.DOUBLE),
            # The neighbours are in order: what holds for any of them holds for the first.
            make("Gather", ["same_number", "first"], ["first_same"], axis=1),
            make("Cast", ["first_same"], ["any_same"], to=TensorProto.BOOL),
            make("Max", ["nearest", "same_place"], ["apart"]),
            make("Sqrt", ["apart"], ["distances"]),
            make("Reciprocal", ["distances"], ["inverses"]),
            make("Where", ["any_same", "same_number", "inverses"], ["near"]),
            # The largest becomes 1, so that float32 can hold all of them.
            make("Gather", ["near", "first"], ["highest"], axis=1),
            make("Div", ["near", "highest"], ["relative"]),
            make("Cast", ["relative"], ["relative_single"], to=TensorProto.FLOAT),
            make("Unsqueeze", ["relative_single", "last"], ["factors"]),
            make("Mul", ["votes", "factors"], ["counted_votes"]),
            make("Mul", ["counts", "factors"], ["counted"]),
        ]
    votes, counts = ("counted_votes", "counted") if by_distance else ("votes", "counts")
    nodes += [
        make("ReduceSum", [votes, "columns"], ["sum"], keepdims=0),
        make("ReduceSum", [counts, "columns"], ["weight"], keepdims=0),
        make("Div", ["sum", "weight"], [onnx_model.output_name(request)]),
    ]
    return onnx_model.build(request, nodes, constants, "perennial-knn")


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("knn", request.task, request.parameters)
    contract.refuse_resume(request)
    import dataset
    import numpy as np
    import onnx_model
    from scaling import Scale
    from scores import scores

    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        from sklearn.neighbors import NearestNeighbors

    chosen = kept_rows(fold, parameters["max_rows"], request.seed)
    labels = fold.labels[chosen]
    values = labels[:, None].astype(np.float64)
    if request.task != "regression":
        values = (labels[:, None] == np.arange(len(request.class_names))).astype(np.float64)
    weights = np.ones(len(chosen)) if fold.weights is None else fold.weights[chosen] / fold.weights[chosen].mean()
    size = len(chosen) * (4 * fold.features.shape[1] + 4 * values.shape[1] + 12)
    if size > MAX_MODEL_BYTES:
        raise TrainerError(
            f"The model would hold {len(chosen)} rows of {fold.features.shape[1]} features, {size >> 20} MiB, more than "
            f"{MAX_MODEL_BYTES >> 20}. Lower max_rows, or use fewer features."
        )
    scale = Scale(fold.features, parameters["standardize"])
    rows = scale.as_graph(fold.features[chosen])
    k, by_distance = min(parameters["n_neighbors"], len(chosen)), parameters["weights"] == "distance"

    finder = NearestNeighbors(n_neighbors=min(k + 1, len(rows)), algorithm="brute", n_jobs=request.threads).fit(rows)

    def answers(part: Any) -> tuple[Any, Any]:
        """The answers to rows, and for which of them it is clear who the neighbours are.

        Where the k-th and the next one are equally far, which of them counts is arbitrary, in scikit-learn too.
        """
        distances, neighbours = finder.kneighbors(scale.as_graph(part.features))
        squares, neighbours, after = distances[:, :k] ** 2, neighbours[:, :k], distances[:, k:] ** 2
        clear = np.all(after - squares[:, -1:] > SAME_PLACE * (1 + after), axis=1)
        return vote(squares, values[neighbours], weights[neighbours], by_distance), clear

    # One search serves the training metrics and the comparison with the graph.
    checked = fold.spread(onnx_model.CHECKED_ROWS)
    expected, clear = answers(checked)
    metrics = {f"train_{metric}": value for metric, value in scores(checked, expected).items()}
    if validation is not None:
        metrics |= {f"validation_{metric}": value for metric, value in scores(validation, answers(validation)[0]).items()}
    contract.emit("progress", iteration=1, maxIterations=request.max_iterations, metrics=metrics)

    model = graph(request, scale, rows, values, weights, k, by_distance)
    # Rows whose neighbours are not clear prove nothing.
    exported = onnx_model.verified_bytes(model, checked.features[clear], expected[clear], request)
    if session.stopping:
        session.leave()
    libraries = {name: version(name) for name in ("scikit-learn", "numpy", "onnx", "onnxruntime")}
    session.finish(exported, 1, 1, parameters, libraries)


if __name__ == "__main__":
    contract.main(train)
