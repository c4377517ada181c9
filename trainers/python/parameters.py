"""Names, defaults and limits of every hyperparameter, in one place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from contract import TrainerError


@dataclass(frozen=True)
class Number:
    default: float
    low: float
    high: float = float("inf")
    integer: bool = False
    above_low: bool = False
    """True where `low` itself is not allowed."""

    def check(self, name: str, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TrainerError(f'The parameter "{name}" must be a number.')
        if self.integer and value != int(value):
            raise TrainerError(f'The parameter "{name}" must be a whole number, not {value}.')
        if not self.low <= value <= self.high or (self.above_low and value == self.low):
            low = f"{'above' if self.above_low else 'at least'} {self.low:g}"
            high = "" if self.high == float("inf") else f" and at most {self.high:g}"
            raise TrainerError(f'The parameter "{name}" must be {low}{high}, not {value}.')
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Choice:
    default: str
    options: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        if value not in self.options:
            raise TrainerError(f'The parameter "{name}" must be one of {", ".join(self.options)}, not "{value}".')
        return str(value)


@dataclass(frozen=True)
class Flag:
    default: bool

    def check(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TrainerError(f'The parameter "{name}" must be true or false.')
        return value


@dataclass(frozen=True)
class Share:
    """A share of the features, or a word for one."""

    default: str | float
    words: tuple[str, ...] = ("sqrt", "log2")

    def check(self, name: str, value: Any) -> str | float:
        if isinstance(value, str) and value in self.words:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            words = " or ".join(self.words)
            raise TrainerError(f'The parameter "{name}" must be {words}, or above 0 and at most 1, not {value!r}.')
        return float(value)


Spec = dict[str, Number | Choice | Flag | Share]

EARLY_STOPPING: Spec = {
    "early_stopping_rounds": Number(50, 0, integer=True),
    "early_stopping_min_delta": Number(0, 0),
}

# For 10,000 to a million rows of tabular data. The rows and columns that each tree sees are sampled a little:
# it costs nothing, trains faster and generalises better than LightGBM's own defaults on noisy data.
LIGHTGBM: Spec = {
    "learning_rate": Number(0.1, 0, 1, above_low=True),
    "num_leaves": Number(31, 2, 4096, integer=True),
    "max_depth": Number(-1, -1, 64, integer=True),
    "min_child_samples": Number(20, 0, integer=True),
    "min_child_weight": Number(1e-3, 0),
    "min_split_gain": Number(0, 0),
    "lambda_l1": Number(0, 0),
    "lambda_l2": Number(1, 0),
    "feature_fraction": Number(0.9, 0, 1, above_low=True),
    "bagging_fraction": Number(0.9, 0, 1, above_low=True),
    "bagging_freq": Number(1, 0, integer=True),
    "max_bin": Number(255, 2, 65535, integer=True),
    "path_smooth": Number(0, 0),
} | EARLY_STOPPING
# All of these predict on the scale of the target; log-link objectives would not.
LIGHTGBM_REGRESSION: Spec = LIGHTGBM | {"objective": Choice("l2", ("l2", "l1", "huber"))}

# Names of XGBoost. A smaller step than its own (0.3) goes with early stopping; rows and columns are sampled a little.
XGBOOST: Spec = {
    "learning_rate": Number(0.1, 0, 1, above_low=True),
    "max_depth": Number(6, 0, 64, integer=True),
    "max_leaves": Number(0, 0, 4096, integer=True),
    "grow_policy": Choice("depthwise", ("depthwise", "lossguide")),
    "min_child_weight": Number(1, 0),
    "gamma": Number(0, 0),
    "reg_alpha": Number(0, 0),
    "reg_lambda": Number(1, 0),
    "subsample": Number(0.9, 0, 1, above_low=True),
    "colsample_bytree": Number(0.9, 0, 1, above_low=True),
    "colsample_bylevel": Number(1, 0, 1, above_low=True),
    "colsample_bynode": Number(1, 0, 1, above_low=True),
    "max_delta_step": Number(0, 0),
    "max_bin": Number(256, 2, 65535, integer=True),
} | EARLY_STOPPING
XGBOOST_REGRESSION: Spec = XGBOOST | {
    "objective": Choice("reg:squarederror", ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")),
}

# Names of scikit-learn; 0 stands for its None: no limit.
TREE: Spec = {
    "max_depth": Number(0, 0, 512, integer=True),
    "min_samples_split": Number(2, 2, integer=True),
    "min_samples_leaf": Number(1, 1, integer=True),
    "max_leaf_nodes": Number(0, 0, 1_000_000, integer=True),
    "min_impurity_decrease": Number(0, 0),
}
# Leaves of some rows give better probabilities than scikit-learn's leaves of one, and a model of a tenth of the size.
RANDOM_FOREST: Spec = TREE | {
    "min_samples_leaf": Number(5, 1, integer=True),
    "bootstrap": Flag(True),
    "max_samples": Number(1, 0, 1, above_low=True),
}
RANDOM_FOREST_CLASSIFICATION: Spec = RANDOM_FOREST | {
    "criterion": Choice("gini", ("gini", "entropy", "log_loss")),
    "max_features": Share("sqrt"),
}
RANDOM_FOREST_REGRESSION: Spec = RANDOM_FOREST | {
    "criterion": Choice("squared_error", ("squared_error", "friedman_mse", "absolute_error", "poisson")),
    "max_features": Share(1.0),
}
GRADIENT_BOOSTING: Spec = TREE | {
    "learning_rate": Number(0.1, 0, 1, above_low=True),
    "max_depth": Number(3, 0, 512, integer=True),
    "subsample": Number(1, 0, 1, above_low=True),
    "max_features": Share(1.0),
} | EARLY_STOPPING | {"early_stopping_rounds": Number(20, 0, integer=True)}
GRADIENT_BOOSTING_REGRESSION: Spec = GRADIENT_BOOSTING | {
    "loss": Choice("squared_error", ("squared_error", "absolute_error", "huber")),
}

KNN: Spec = {
    "n_neighbors": Number(15, 1, 1000, integer=True),
    "weights": Choice("uniform", ("uniform", "distance")),
    "standardize": Flag(True),
    # The model holds these rows: it grows, and slows down, with them.
    "max_rows": Number(20_000, 1, 1_000_000, integer=True),
}

PENALTY: Spec = {
    "penalty": Choice("l2", ("l2", "l1", "elasticnet", "none")),
    "l1_ratio": Number(0.5, 0, 1),
    "standardize": Flag(True),
    "tol": Number(1e-4, 0, above_low=True),
}
LOGISTIC: Spec = PENALTY | {"C": Number(1, 0, above_low=True)}
LINEAR: Spec = PENALTY | {"alpha": Number(1e-4, 0)}

BY_TRAINER: dict[str, tuple[Spec | None, Spec | None]] = {
    "lightgbm": (LIGHTGBM, LIGHTGBM_REGRESSION),
    "xgboost": (XGBOOST, XGBOOST_REGRESSION),
    "random_forest": (RANDOM_FOREST_CLASSIFICATION, RANDOM_FOREST_REGRESSION),
    "gradient_boosting": (GRADIENT_BOOSTING, GRADIENT_BOOSTING_REGRESSION),
    "knn": (KNN, KNN),
    "logistic": (LOGISTIC, None),
    "linear": (None, LINEAR),
}
"""For classes, and for numbers."""

def resolve(trainer: str, task: str, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults overridden by what was given. Unknown names and values out of range are errors."""
    spec = BY_TRAINER[trainer][task == "regression"]
    if spec is None:
        other = "linear" if task == "regression" else "logistic"
        raise TrainerError(f"The trainer {trainer} does not fit the task {task}; use {other}.")
    for name in given:
        if name not in spec:
            folded = {known.lower(): known for known in spec}
            near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
            hint = f' Did you mean "{folded[near[0]]}"?' if near else ""
            raise TrainerError(f'The parameter "{name}" is unknown.{hint} Allowed: {", ".join(sorted(spec))}.')
    return {name: kind.check(name, given.get(name, kind.default)) for name, kind in spec.items()}
