"""Gradient-boosted trees by LightGBM, exported to ONNX."""

from __future__ import annotations

from typing import Any

import contract
from contract import Request, Session

METRIC_NAMES = {"binary_logloss": "log_loss", "multi_logloss": "log_loss", "rmse": "rmse", "auc": "auc"}


class Progress:
    """LightGBM callback: takes note of each iteration, and stops the training where it was the last one."""

    order = 100
    before_iteration = False

    def __init__(self, rounds: Any):
        self.rounds = rounds

    def __call__(self, env: Any) -> None:
        import checkpoint
        from lightgbm.callback import EarlyStopException

        if env.model.current_iteration() <= self.rounds.done:
            contract.log("info", f"No split improves the model any more; {self.rounds.done} iterations.")
            raise EarlyStopException(self.rounds.done - 1, [])
        scores = {METRIC_NAMES[entry[1]]: float(entry[2]) for entry in env.evaluation_result_list or []}
        last = self.rounds.after(
            env.iteration + 1,
            scores,
            lambda: {METRIC_NAMES[name]: value for _, name, value, _ in env.model.eval_train()},
            lambda: {"model": checkpoint.bytes_array(env.model.model_to_string(num_iteration=-1).encode())},
        )
        if last:
            raise EarlyStopException(self.rounds.kept - 1, env.evaluation_result_list)


def library_parameters(request: Request, parameters: dict[str, Any], start: int) -> dict[str, Any]:
    """Ours to LightGBM's. The seed moves on with a resumed run, which would otherwise draw its first samples again."""
    own = ("early_stopping_rounds", "early_stopping_min_delta", "objective")
    task = {
        "binary": {"objective": "binary", "metric": ["binary_logloss", "auc"]},
        "multiclass": {"objective": "multiclass", "num_class": len(request.class_names), "metric": ["multi_logloss"]},
        "regression": {"objective": parameters.get("objective"), "metric": ["rmse"]},
    }[request.task]
    return {name: value for name, value in parameters.items() if name not in own} | task | {
        "seed": (request.seed + start) % 2**31,
        "num_threads": request.threads,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def train(session: Session) -> None:
    request = session.request
    import parameters as table
    from rounds import Rounds

    parameters = table.resolve("lightgbm", request.task, request.parameters)
    rounds = Rounds(session, "lightgbm", parameters)
    resumed = rounds.resume()

    import dataset

    fold = dataset.load_fold(request, "train", missing=True)
    validation = dataset.load_fold(request, "validation", missing=True)
    assert fold is not None

    with contract.without_modules("sklearn", "pandas", "pyarrow", "matplotlib", "scipy.stats"):
        import lightgbm

    booster = lightgbm.Booster(model_str=resumed["model"].tobytes().decode()) if resumed else None
    if rounds.more:
        names = [f"f{i}" for i in range(len(request.feature_names))]
        options = library_parameters(request, parameters, rounds.done)
        data = lightgbm.Dataset(fold.features, fold.labels, weight=fold.weights, feature_name=names, params=options)
        judged = []
        if validation is not None:
            judged = [lightgbm.Dataset(validation.features, validation.labels, weight=validation.weights, reference=data)]
        booster = lightgbm.train(
            options,
            data,
            num_boost_round=rounds.most - rounds.done,
            valid_sets=judged,
            valid_names=["validation"] if judged else None,
            init_model=booster,
            callbacks=[Progress(rounds)],
            keep_training_booster=True,
        )
    assert booster is not None

    import lightgbm_export

    model = lightgbm_export.export(booster, rounds.kept, fold.features, request)
    if session.stopping:
        session.leave()
    session.finish(model, rounds.done, rounds.kept, parameters, lightgbm_export.versions())


if __name__ == "__main__":
    contract.main(train)
