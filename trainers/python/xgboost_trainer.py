"""Gradient-boosted trees by XGBoost, exported to ONNX."""

from __future__ import annotations

from typing import Any

import contract
from contract import Request, Session

METRIC_NAMES = {"logloss": "log_loss", "mlogloss": "log_loss", "rmse": "rmse", "auc": "auc"}


def library_parameters(request: Request, parameters: dict[str, Any]) -> dict[str, Any]:
    own = ("early_stopping_rounds", "early_stopping_min_delta", "objective")
    task = {
        "binary": {"objective": "binary:logistic", "eval_metric": ["auc", "logloss"]},
        "multiclass": {
            "objective": "multi:softprob",
            "num_class": len(request.class_names),
            "eval_metric": ["mlogloss"],
        },
        "regression": {"objective": parameters.get("objective"), "eval_metric": ["rmse"]},
    }[request.task]
    return {name: value for name, value in parameters.items() if name not in own} | task | {
        "tree_method": "hist",
        "nthread": request.threads,
        "seed": request.seed % 2**31,
        # Every round draws from a seed of its own: a resumed training does not draw its first samples again.
        "seed_per_iteration": True,
        "verbosity": 0,
    }


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("xgboost", request.task, request.parameters)
    import checkpoint
    import dataset
    from rounds import Rounds

    rounds = Rounds(session, "xgboost", parameters)
    resumed = rounds.resume()
    fold = dataset.load_fold(request, "train", missing=True)
    validation = dataset.load_fold(request, "validation", missing=True)
    assert fold is not None

    with contract.without_modules("sklearn", "pandas", "pyarrow", "matplotlib", "scipy.stats"):
        import xgboost

    options = library_parameters(request, parameters)
    threads = request.threads
    data = xgboost.QuantileDMatrix(
        fold.features, fold.labels, weight=fold.weights, nthread=threads, max_bin=parameters["max_bin"]
    )
    judged = None
    if validation is not None:
        judged = xgboost.DMatrix(validation.features, validation.labels, weight=validation.weights, nthread=threads)
    cached = [data] if judged is None else [data, judged]
    stored = bytearray(resumed["model"].tobytes()) if resumed else None
    booster = xgboost.Booster(options, cached, model_file=stored)

    def scores(part: Any, iteration: int) -> dict[str, float]:
        """XGBoost tells them as text: `[3]\\tpart-auc:0.91\\tpart-logloss:0.35`."""
        told = booster.eval_set([(part, "part")], iteration).split()[1:]
        return {METRIC_NAMES[name.removeprefix("part-")]: float(value) for name, value in (one.split(":") for one in told)}

    last = not rounds.more
    while not last:
        iteration = rounds.done
        booster.update(data, iteration)
        last = rounds.after(
            iteration + 1,
            {} if judged is None else scores(judged, iteration),
            lambda at=iteration: scores(data, at),
            lambda: {"model": checkpoint.bytes_array(bytes(booster.save_raw("ubj")))},
        )

    import xgboost_export

    model = xgboost_export.export(booster, rounds.kept, fold.features, request)
    if session.stopping:
        session.leave()
    session.finish(model, rounds.done, rounds.kept, parameters, xgboost_export.versions())


if __name__ == "__main__":
    contract.main(train)
