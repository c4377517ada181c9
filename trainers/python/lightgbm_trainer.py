"""Gradient-boosted trees by LightGBM, exported to ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import contract
from contract import Request, Session, TrainerError

CHECKPOINT_FORMAT = "perennial-lightgbm-1"
METRIC_NAMES = {"binary_logloss": "log_loss", "multi_logloss": "log_loss", "rmse": "rmse", "auc": "auc"}


class Progress:
    """LightGBM callback: reports, saves checkpoints, stops early, and stops when told to."""

    order = 100
    before_iteration = False

    def __init__(self, session: Session, parameters: dict[str, Any], start: int, best: tuple[int, float | None]):
        self.session = session
        self.rounds = parameters["early_stopping_rounds"]
        self.min_delta = parameters["early_stopping_min_delta"]
        self.done = start
        self.best_iteration, self.best_score = best
        # At most 20 looks at the training metrics: each one costs as much as several trees.
        self.every = max(1, session.request.max_iterations // 20)

    def __call__(self, env: Any) -> None:
        from lightgbm.callback import EarlyStopException

        if env.model.current_iteration() <= self.done:
            contract.log("info", f"No split improves the model any more; {self.done} iterations.")
            raise EarlyStopException(self.done - 1, [])
        self.done = env.iteration + 1
        scores = {METRIC_NAMES[entry[1]]: float(entry[2]) for entry in env.evaluation_result_list or []}
        self.judge(scores)
        last = self.done == self.session.request.max_iterations
        exhausted = bool(scores) and 0 < self.rounds <= self.done - self.best_iteration
        if self.done % self.every == 0 or last or exhausted:
            metrics = {f"train_{METRIC_NAMES[name]}": value for _, name, value, _ in env.model.eval_train()}
            metrics |= {f"validation_{name}": value for name, value in scores.items()}
            contract.emit(
                "progress", iteration=self.done, maxIterations=self.session.request.max_iterations, metrics=metrics
            )
        if self.session.stopping:
            self.save(env.model)
            self.session.leave()
        if self.session.checkpoint_due:
            self.save(env.model)
        if exhausted:
            contract.log("info", f"Validation has not improved since iteration {self.best_iteration}: stopped early.")
            raise EarlyStopException(self.best_iteration - 1, env.evaluation_result_list)

    def judge(self, scores: dict[str, float]) -> None:
        score = scores.get("log_loss", scores.get("rmse"))
        if score is None:
            self.best_iteration = self.done
        elif self.best_score is None or score < self.best_score - self.min_delta:
            self.best_iteration, self.best_score = self.done, score

    def save(self, model: Any) -> None:
        content = {
            "format": CHECKPOINT_FORMAT,
            "task": self.session.request.task,
            "classes": len(self.session.request.class_names),
            "iteration": self.done,
            "bestIteration": self.best_iteration,
            "bestScore": self.best_score,
            "model": model.model_to_string(num_iteration=-1),
        }
        self.session.save_checkpoint(self.done, json.dumps(content).encode(), ".json")


def read_checkpoint(path: Path, request: Request) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fits = content["format"] == CHECKPOINT_FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainerError(f"The checkpoint {path} cannot be read. Start again without resumeFrom.") from error
    if not fits or content["task"] != request.task or content["classes"] != len(request.class_names):
        raise TrainerError(f"The checkpoint {path} is of another trainer or task. Start again without resumeFrom.")
    return content


def library_parameters(request: Request, parameters: dict[str, Any], start: int) -> dict[str, Any]:
    """Ours to LightGBM's. The seed moves on with a resumed run, which would otherwise draw its first samples again."""
    own = ("early_stopping_rounds", "early_stopping_min_delta", "class_weight", "objective")
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

    spec = table.LIGHTGBM_REGRESSION if request.task == "regression" else table.LIGHTGBM_CLASSIFICATION
    parameters = table.resolve(spec, request.parameters)
    resumed = read_checkpoint(request.resume_from, request) if request.resume_from else None

    import dataset

    fold = dataset.load_fold(request, "train", missing=True)
    validation = dataset.load_fold(request, "validation", missing=True)
    assert fold is not None
    if parameters.get("class_weight") == "balanced":
        fold, validation = dataset.balance(fold, validation, len(request.class_names))

    with contract.without_modules("sklearn", "pandas", "pyarrow", "matplotlib", "scipy.stats"):
        import lightgbm

    start = min(int(resumed["iteration"]), request.max_iterations) if resumed else 0
    best = (int(resumed["bestIteration"]), resumed["bestScore"]) if resumed else (0, None)
    progress = Progress(session, parameters, start, best)
    booster = lightgbm.Booster(model_str=resumed["model"]) if resumed else None
    if booster is not None and booster.num_feature() != len(request.feature_names):
        raise TrainerError("The checkpoint was made with other features. Start again without resumeFrom.")
    if booster is not None:
        contract.log("info", f"Goes on after iteration {start}.")
    if start < request.max_iterations:
        names = [f"f{i}" for i in range(len(request.feature_names))]
        options = library_parameters(request, parameters, start)
        data = lightgbm.Dataset(fold.features, fold.labels, weight=fold.weights, feature_name=names, params=options)
        judged = []
        if validation is not None:
            judged = [lightgbm.Dataset(validation.features, validation.labels, weight=validation.weights, reference=data)]
        booster = lightgbm.train(
            options,
            data,
            num_boost_round=request.max_iterations - start,
            valid_sets=judged,
            valid_names=["validation"] if judged else None,
            init_model=booster,
            callbacks=[progress],
            keep_training_booster=True,
        )
    assert booster is not None

    import lightgbm_export

    best_iteration = max(1, min(progress.best_iteration, progress.done))
    model = lightgbm_export.export(booster, best_iteration, fold.features, request)
    if session.stopping:
        session.leave()
    session.finish(model, progress.done, best_iteration, parameters, lightgbm_export.versions())


if __name__ == "__main__":
    contract.main(train)
