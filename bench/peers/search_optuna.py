"""Optuna and LightGBM as one would write them by hand: TPE, early stopping on validation rows, two threads."""

import time

import lightgbm
import optuna
from search_tables import load, question, score

asked = question()
task, seconds = asked["task"], asked["seconds"]
(train_x, train_y), (valid_x, valid_y), (test_x, test_y) = load(asked)
optuna.logging.set_verbosity(optuna.logging.ERROR)
objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task]
metric = {"binary": "auc", "multiclass": "multi_logloss", "regression": "rmse"}[task]
train = lightgbm.Dataset(train_x, train_y, free_raw_data=False)
valid = lightgbm.Dataset(valid_x, valid_y, reference=train, free_raw_data=False)
best = {"value": None, "booster": None}
sign = -1 if task == "binary" else 1


def trial(one):
    options = {
        "objective": objective,
        "metric": metric,
        "num_threads": 2,
        "verbosity": -1,
        "feature_pre_filter": False,
        "seed": 42,
        "learning_rate": one.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": one.suggest_int("num_leaves", 8, 256, log=True),
        "min_child_samples": one.suggest_int("min_child_samples", 5, 200, log=True),
        "feature_fraction": one.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": one.suggest_float("bagging_fraction", 0.4, 1.0),
        "bagging_freq": 1,
        "lambda_l1": one.suggest_float("lambda_l1", 1e-8, 10, log=True),
        "lambda_l2": one.suggest_float("lambda_l2", 1e-8, 10, log=True),
    }
    if task == "multiclass":
        options["num_class"] = len(asked["classNames"])
    left = end - time.time()
    stop = lightgbm.early_stopping(50, verbose=False)

    def in_time(env):
        if time.time() > begin + left:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    begin = time.time()
    booster = lightgbm.train(options, train, 1000, valid_sets=[valid], callbacks=[stop, in_time])
    value = booster.best_score["valid_0"][metric]
    if best["value"] is None or sign * value < sign * best["value"]:
        best.update(value=value, booster=booster)
    return value


end = time.time() + seconds
study = optuna.create_study(direction="maximize" if task == "binary" else "minimize", sampler=optuna.samplers.TPESampler(seed=42))
study.optimize(trial, timeout=seconds)
booster = best["booster"]
answers = booster.predict(test_x, num_iteration=booster.best_iteration)
print(f"metric={score(task, test_y, answers):.6f} trials={len(study.trials)}")
